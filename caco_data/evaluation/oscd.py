"""Change detection on OSCD (Onera): a U-Net on the differences of a frozen encoder's maps.

Task of the paper, section 4.4: absolute differences of the feature maps of two dates are decoded by
a U-Net; precision, recall and F1 at a probability of 0.5 over all pixels of the test cities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from caco_data.evaluation.cache import Cache, digest
from caco_data.evaluation.contenders import Inputs, NetworkContender, fresh, open_device, trained
from caco_data.evaluation.dense import BATCH, RATE, Pyramid, train_head
from caco_data.evaluation.evaluation import Evaluation, encoder_name
from caco_data.evaluation.image_features import Progress
from caco_data.evaluation.image_reader import Pixels
from caco_data.evaluation.oscd_files import City, find_cities, read_city
from caco_data.evaluation.oscd_pictures import save_change_map
from caco_data.evaluation.references import references
from caco_data.evaluation.results import Measured, file_stem, measure, write_results
from caco_data.evaluation.settings import OscdSettings
from caco_data.evaluation.uncertainty import Metric
from caco_data.training.models.weights import load_encoder

TASK = "oscd"
#: Side of the windows that are cut from the cities, pixels.
WINDOW = 96
#: Weight of changed pixels in the loss: they are rare.
_POSITIVE = 10.0


def evaluate_oscd(settings: OscdSettings, progress: Progress = lambda *_: None) -> Evaluation:
    """Evaluate the feature maps of an encoder by change maps of cities.

    Parameters
    ----------
    settings : OscdSettings
        Encoder, data and training of the decoder.
    progress : callable
        Called with the name of a step, the units done and their number.

    Raises
    ------
    InputError
        When the encoder is no ResNet, or the data cannot be used.
    """
    settings.check()
    encoder = load_encoder(settings.encoder)
    bands = encoder.card.band_names
    found = find_cities(Path(settings.data))
    cities = [read_city(city, bands) for city in found]
    parts = [city.part for city in found]
    train = [c for c, part in zip(cities, parts, strict=True) if part == "train"]
    test = [c for c, part in zip(cities, parts, strict=True) if part == "test"]
    inputs, device = Inputs(encoder.card, WINDOW), open_device(settings.device)
    name, cache = encoder_name(settings), Cache(settings.out)
    data = digest([(c.name, c.before.tobytes().hex(), c.after.tobytes().hex(),
                    c.changed.tobytes().hex()) for c in cities])  # fmt: skip
    measured: list[Measured] = []
    stem = file_stem(TASK, name)
    files = [f"{stem}.json", "results.csv"]
    for one in (trained(name, encoder, inputs, device), fresh(inputs, device, settings.seed)):
        job = _Job(one, settings, train, bands)
        key = digest(TASK, one.digest, data, settings.epochs, settings.seed)
        maps = cache.arrays(key, lambda job=job: job.run(test, progress))  # type: ignore[misc]
        for metric_name, metric in pixel_metrics(test, [maps[c.name] for c in test]).items():
            measured.append(
                measure(
                    metric, len(test), settings.bootstrap, settings.seed, dataset=TASK,
                    method="unet", metric_name=metric_name, name=one.name,
                    model=encoder.card.architecture, best_lr=RATE, best_batch_size=BATCH,
                    n_train=len(train), normalization="model_native", image_size=WINDOW,
                    partition="cities of OSCD", bands=" ".join(bands), merge_val=True,
                    encoder_digest=one.digest, data_digest=data,
                )
            )  # fmt: skip
        if one.name == name:
            for city in test:
                picture = f"{stem}-{city.name}.png"
                save_change_map(city, maps[city.name], Path(settings.out) / picture)
                files.append(picture)
    published = references(TASK, encoder.card.architecture)
    notes = ("intervals are over the test cities",)
    write_results(
        settings.out, stem, measured, task=TASK, settings=asdict(settings),
        card=encoder.card.to_dict(), references=[one._asdict() for one in published],
        notes=list(notes),
    )  # fmt: skip
    return Evaluation(
        tuple(measured), published, notes, tuple(f"{settings.out}/{one}" for one in files)
    )


class _Job:
    """Training of the decoder on windows of the training cities."""

    def __init__(
        self, contender: NetworkContender, settings: OscdSettings, train: Sequence[City],
        bands: tuple[str, ...],
    ) -> None:  # fmt: skip
        self.contender, self.settings, self.train, self.bands = contender, settings, train, bands
        self.pyramid = Pyramid(contender.module)

    def differences(self, before: NDArray[np.uint16], after: NDArray[np.uint16]) -> list[Tensor]:
        """Absolute differences of the maps of windows (N, C, 96, 96)."""
        both = []
        for values in (before, after):
            images = [Pixels(one, self.bands, "DN") for one in values]
            both.append(self.pyramid(self.contender.inputs(images).to(self.contender.device)))
        return [(a - b).abs() for a, b in zip(*both, strict=True)]

    def run(self, test: Sequence[City], progress: Progress) -> dict[str, NDArray[np.float32]]:
        """Train, and compute the probability of change of each test city."""
        windows = [(c, y, x) for c in self.train for y, x in corners(c.changed.shape)]
        device = self.contender.device

        def read(positions: NDArray[np.int64]) -> tuple[list[Tensor], Tensor]:
            cuts = [cut(*windows[i]) for i in positions]
            before, after, changed = (np.stack(one) for one in zip(*cuts, strict=True))
            target = torch.from_numpy(changed.astype(np.float32)).to(device)
            return self.differences(before, after), target

        weight = torch.tensor(_POSITIVE, device=device)
        step = f"unet, {self.contender.name}"
        head = train_head(
            "unet", self.pyramid.channels, 1, read,
            lambda logits, target: binary_cross_entropy_with_logits(
                logits[:, 0], target, pos_weight=weight
            ),
            len(windows), self.settings.epochs, self.settings.seed, device,
            lambda done, total: progress(step, done, total),
        )  # fmt: skip
        return {city.name: self.predict(head, city) for city in test}

    @torch.no_grad()
    def predict(self, head: nn.Module, city: City) -> NDArray[np.float32]:
        """Probability of change of each pixel; the mean where windows overlap."""
        total = np.zeros(city.changed.shape, np.float32)
        count = np.zeros(city.changed.shape, np.float32)
        for y, x in corners(city.changed.shape):
            before, after, changed = cut(city, y, x)
            logits = head(self.differences(before[None], after[None]), changed.shape)
            height, width = total[y : y + WINDOW, x : x + WINDOW].shape
            probability = logits[0, 0].sigmoid().cpu().numpy()[:height, :width]
            total[y : y + WINDOW, x : x + WINDOW] += probability
            count[y : y + WINDOW, x : x + WINDOW] += 1
        found: NDArray[np.float32] = total / count
        return found


def corners(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Upper left corners of windows that cover an image, the last ones moved inwards."""
    rows, columns = (
        sorted({min(start, max(0, side - WINDOW)) for start in range(0, side, WINDOW)})
        for side in shape
    )
    return [(y, x) for y in rows for x in columns]


def cut(
    city: City, y: int, x: int
) -> tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.bool_]]:
    """A window of a city; mirrored at the edge of a city smaller than a window."""
    parts: list[Any] = []
    for array in (city.before, city.after, city.changed):
        part = array[..., y : y + WINDOW, x : x + WINDOW]
        missing = [(0, 0)] * (array.ndim - 2) + [(0, WINDOW - n) for n in part.shape[-2:]]
        parts.append(np.pad(part, missing, mode="symmetric"))
    return parts[0], parts[1], parts[2]


def pixel_metrics(
    cities: Sequence[City], probability: Sequence[NDArray[np.float32]]
) -> dict[str, Metric]:
    """Precision, recall and F1 over all pixels of some cities.

    Parameters
    ----------
    cities : sequence of City
        The truth.
    probability : sequence of ndarray of float32, shape (H, W)
        Probabilities of change; 0.5 or more is a change.
    """
    counts = np.array([
        [(found & c.changed).sum(), found.sum(), c.changed.sum()]
        for c, found in ((c, p >= 0.5) for c, p in zip(cities, probability, strict=True))
    ], dtype=np.float64)  # fmt: skip

    def ratio(numerator: float, denominator: float) -> float:
        return float(numerator / denominator) if denominator else 0.0

    def precision(positions: NDArray[np.int64]) -> float:
        hits, found, _ = counts[positions].sum(0)
        return ratio(hits, found)

    def recall(positions: NDArray[np.int64]) -> float:
        hits, _, changed = counts[positions].sum(0)
        return ratio(hits, changed)

    def f1(positions: NDArray[np.int64]) -> float:
        hits, found, changed = counts[positions].sum(0)
        return ratio(2 * hits, found + changed)

    return {"precision": precision, "recall": recall, "F1": f1}
