"""Classification of image files: `eurosat`, and any folder of class folders.

Protocol of torchgeo-bench 0.4: features of the frozen encoder, one vector per image; kNN with k = 5
on the training part; logistic regression with C chosen on the validation part and fitted again to
both parts; 95 % bootstrap intervals of the accuracy on the test part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from caco_data.evaluation.cache import Cache, digest
from caco_data.evaluation.classifiers import (
    C_COUNT,
    C_START,
    C_STOP,
    Prediction,
    linear,
    nearest_neighbours,
)
from caco_data.evaluation.contenders import (
    Contender,
    ImageStatistics,
    Inputs,
    NetworkContender,
    adapt,
    fresh,
    open_device,
    trained,
)
from caco_data.evaluation.evaluation import Evaluation, encoder_name
from caco_data.evaluation.finetune import BATCH as FINETUNE_BATCH
from caco_data.evaluation.finetune import FinetuneJob, finetune
from caco_data.evaluation.image_features import ImageFiles, Progress, band_statistics
from caco_data.evaluation.images import LabelledImages, find_images
from caco_data.evaluation.pictures import plot_confusion, plot_mistakes
from caco_data.evaluation.references import references
from caco_data.evaluation.results import Measured, accuracy, file_stem, measure, write_results
from caco_data.evaluation.settings import ClassificationSettings
from caco_data.storage import LocalStorage
from caco_data.training.models.weights import LoadedEncoder, load_encoder

Task = Literal["eurosat", "knn"]
Method = Literal["knn5", "linear", "finetune"]
#: Images per batch while batch normalisation is adapted: the statistics depend on it.
_ADAPT_BATCH = 64


def evaluate_classification(
    task: Task, settings: ClassificationSettings, progress: Progress = lambda *_: None
) -> Evaluation:
    """Evaluate an encoder on labelled images, beside the floors.

    Parameters
    ----------
    task : {"eurosat", "knn"}
        `knn` computes kNN only.
    settings : ClassificationSettings
        Encoder, data and protocol.
    progress : callable
        Called with the name of a step, the units done and their number.

    Returns
    -------
    Evaluation

    Raises
    ------
    InputError
        When the encoder or the images cannot be used.
    """
    settings.check()
    encoder = load_encoder(settings.encoder)
    images = find_images(Path(settings.data), settings.split_file, settings.seed)
    unit = None if settings.unit == "auto" else settings.unit
    files = ImageFiles(images.paths, settings.bands, unit, settings.batch_size)
    adapting = ImageFiles(images.paths, settings.bands, unit, _ADAPT_BATCH)
    inputs = _inputs(settings, encoder, images, files)
    name = encoder_name(settings)
    contenders = _contenders(settings, name, encoder, inputs, images, adapting)
    work = _Work(task, settings, images, files, Cache(settings.out), progress)
    measured: list[Measured] = []
    predictions: list[Prediction] = []
    methods: tuple[Method, ...] = ("knn5",) if task == "knn" else ("knn5", "linear")
    for contender in contenders:
        features = files.features(contender, work.cache, progress)
        for method in methods:
            predictions.append(work.predict(method, contender, features))
            measured.append(work.measure(method, contender, predictions[-1], features.shape[1]))
    if settings.finetune:
        for contender in contenders:
            if isinstance(contender, NetworkContender):
                predictions.append(work.finetune(contender))
                measured.append(work.measure("finetune", contender, predictions[-1], None))
    stem = file_stem(task, name)
    found = [one.result for one in measured]
    best = max(
        (i for i, row in enumerate(found) if row.name == name), key=lambda i: found[i].metric_value
    )
    pictures = work.pictures(stem, found[best].method, name, predictions[best])
    published = references(task, encoder.card.architecture) if task == "eurosat" else ()
    notes = _notes(images, encoder)
    write_results(
        settings.out,
        stem,
        measured,
        task=task,
        settings=asdict(settings),
        card=encoder.card.to_dict(),
        classes=list(images.classes),
        confusion={
            f"{row.name}, {row.method}": work.confusion(one).tolist()
            for row, one in zip(found, predictions, strict=True)
        },
        references=[one._asdict() for one in published],
        notes=list(notes),
    )
    written = (f"{stem}.json", *pictures, "results.csv")
    return Evaluation(
        tuple(measured), published, notes, tuple(f"{settings.out}/{one}" for one in written)
    )


def _inputs(
    settings: ClassificationSettings,
    encoder: LoadedEncoder,
    images: LabelledImages,
    files: ImageFiles,
) -> Inputs:
    card = encoder.card
    if settings.normalization == "model_native":
        return Inputs(card, settings.image_size)
    statistics = band_statistics(files, images.where("train"), card.band_names)
    return Inputs(card, settings.image_size, statistics)


def _contenders(
    settings: ClassificationSettings,
    name: str,
    encoder: LoadedEncoder,
    inputs: Inputs,
    images: LabelledImages,
    files: ImageFiles,
) -> list[Contender]:
    device = open_device(settings.device)
    networks = [trained(name, encoder, inputs, device), fresh(inputs, device, settings.seed)]
    if settings.adapt_bn:
        # In random order: batches of one class would have too small a variance.
        order = np.random.default_rng(settings.seed).permutation(images.where("train"))
        adapted = [adapt(one, files.batches(order)) for one in networks]
        networks = [networks[0], adapted[0], networks[1], adapted[1]]
    return [*networks, ImageStatistics()]


def _notes(images: LabelledImages, encoder: LoadedEncoder) -> tuple[str, ...]:
    notes = []
    if images.partition.startswith("random"):
        notes.append(
            "random split: neighbouring images may be in different parts, which raises all "
            "figures; use --split-file for a spatial one"
        )
    if encoder.card.assumed:
        notes.append(f"no encoder card; assumed: {', '.join(encoder.card.assumed)}")
    return tuple(notes)


@dataclass(frozen=True)
class _Work:
    """The data of an evaluation, and the steps that each contender goes through."""

    task: Task
    settings: ClassificationSettings
    images: LabelledImages
    files: ImageFiles
    cache: Cache
    progress: Progress

    @property
    def data_digest(self) -> str:
        """Digest of the files' names, their labels and their parts."""
        names = [f"{path.parent.name}/{path.name}" for path in self.images.paths]
        return digest(names, self.images.labels.tolist(), self.images.part.tolist())

    def labels(self, *parts: str) -> NDArray[np.int64]:
        """Classes of the images of some parts."""
        found: NDArray[np.int64] = self.images.labels[self.images.where(*parts)]
        return found

    def predict(
        self, method: Method, contender: Contender, features: NDArray[np.float32]
    ) -> Prediction:
        """Predict the classes of the test part from features."""

        def fit() -> Prediction:
            train, val, test = (features[self.images.where(p)] for p in ("train", "val", "test"))
            if method == "knn5":
                return nearest_neighbours(train, self.labels("train"), test)
            step = f"{method}, {contender.name}"
            return linear(
                train, self.labels("train"), val, self.labels("val"), test,
                lambda done, total: self.progress(step, done, total),
            )  # fmt: skip

        content = hashlib.sha256(features.tobytes()).hexdigest()
        return self.kept(fit, method, content)

    def kept(self, fit: Callable[[], Prediction], *parts: str) -> Prediction:
        """A prediction from the cache, or computed and kept."""

        def compute() -> dict[str, NDArray[Any]]:
            one = fit()
            chosen = [np.nan if x is None else x for x in (one.best_c, one.best_lr)]
            return {"labels": one.labels, "confidence": one.confidence, "chosen": np.array(chosen)}

        found = self.cache.arrays(digest("prediction", self.data_digest, *parts), compute)
        best_c, best_lr = (None if np.isnan(x) else float(x) for x in found["chosen"])
        return Prediction(found["labels"], found["confidence"], best_c, best_lr)

    def finetune(self, contender: NetworkContender) -> Prediction:
        """Train the whole network on the training part, and predict the test part."""
        train, val, test = (self.images.where(part) for part in ("train", "val", "test"))
        job = FinetuneJob(
            contender, self.files, self.images.labels, len(self.images.classes), train, val, test,
            self.settings.finetune_epochs, self.settings.seed,
        )  # fmt: skip
        key = digest(contender.digest, self.files.digest(range(len(self.files.paths))), job.recipe)
        return self.kept(
            lambda: finetune(job, LocalStorage(self.settings.out), key, self.progress),
            "finetune", key,
        )  # fmt: skip

    def measure(
        self, method: Method, contender: Contender, prediction: Prediction, dimension: int | None
    ) -> Measured:
        """Accuracy of a prediction, as a row of the table."""
        settings = self.settings
        network = isinstance(contender, NetworkContender)
        searched = method == "linear"
        card = contender.inputs.card if isinstance(contender, NetworkContender) else None
        test = self.labels("test")
        return measure(
            accuracy(prediction.labels == test), len(test), settings.bootstrap, settings.seed,
            dataset=self.task, method=method, metric_name="accuracy", name=contender.name,
            model=card.architecture if card else "", feature_dim=dimension,
            best_c=prediction.best_c, best_lr=prediction.best_lr,
            best_batch_size=FINETUNE_BATCH if method == "finetune" else None,
            n_train=len(self.images.where("train")), n_val=len(self.images.where("val")),
            normalization=settings.normalization if network else "none",
            image_size=settings.image_size if network else None,
            partition=self.images.partition, bands=" ".join(card.band_names) if card else "",
            c_range_start=C_START if searched else None, c_range_stop=C_STOP if searched else None,
            c_range_num=C_COUNT if searched else None, merge_val=searched,
            encoder_digest=contender.digest, data_digest=self.data_digest,
        )  # fmt: skip

    def confusion(self, prediction: Prediction) -> NDArray[np.int64]:
        """Number of test images by true and predicted class."""
        count = len(self.images.classes)
        found = np.zeros((count, count), dtype=np.int64)
        np.add.at(found, (self.labels("test"), prediction.labels), 1)
        return found

    def pictures(self, stem: str, method: str, name: str, prediction: Prediction) -> Sequence[str]:
        """Plot the confusion matrix and the confident mistakes; return the files' names."""
        folder, title = Path(self.settings.out), f"{self.task}, {name}, {method}"
        classes = np.array(self.images.classes)
        where = self.images.where("test")
        true, predicted = classes[self.labels("test")], classes[prediction.labels]
        share = float(np.mean(true == predicted))
        names = f"{stem}-confusion.png", f"{stem}-mistakes.png"
        plot_confusion(
            self.confusion(prediction), self.images.classes,
            f"{title}: accuracy {share:.3f} on {len(true):,} images", folder / names[0],
        )  # fmt: skip
        plot_mistakes(
            lambda positions: self.files.read(where[positions]), true, predicted,
            prediction.confidence, f"{title}: most confident mistakes", folder / names[1],
        )  # fmt: skip
        return names
