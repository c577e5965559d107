"""Segmentation with decoders on a frozen encoder: mean intersection over union."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from caco_data.errors import InputError
from caco_data.evaluation.cache import Cache, digest
from caco_data.evaluation.contenders import Inputs, NetworkContender, fresh, open_device, trained
from caco_data.evaluation.dense import BATCH, RATE, Head, Pyramid, train_head
from caco_data.evaluation.evaluation import Evaluation, encoder_name
from caco_data.evaluation.image_features import Progress
from caco_data.evaluation.image_reader import Pixels, read_image
from caco_data.evaluation.mask_pictures import plot_masks
from caco_data.evaluation.results import Measured, file_stem, measure, write_results
from caco_data.evaluation.segmentation_files import (
    IGNORED,
    MaskedImages,
    class_count,
    find_masked_images,
    read_mask,
)
from caco_data.evaluation.settings import SegmentationSettings
from caco_data.evaluation.uncertainty import Metric
from caco_data.training.models.weights import load_encoder

TASK = "segmentation"
METHODS: tuple[Head, ...] = ("linear", "unet")


def evaluate_segmentation(
    settings: SegmentationSettings, progress: Progress = lambda *_: None
) -> Evaluation:
    """Evaluate the feature maps of an encoder by decoders trained on them.

    Parameters
    ----------
    settings : SegmentationSettings
        Encoder, data and training of the decoders.
    progress : callable
        Called with the name of a step, the units done and their number.

    Raises
    ------
    InputError
        When the encoder is no ResNet, or images or masks cannot be used.
    """
    settings.check()
    encoder = load_encoder(settings.encoder)
    data = find_masked_images(Path(settings.data), settings.seed)
    masks = [read_mask(path) for path in data.masks]
    images = [read_image(path, settings.bands, _unit(settings)) for path in data.images]
    _check(data, images, masks)
    inputs, device = Inputs(encoder.card, settings.image_size), open_device(settings.device)
    name, cache = encoder_name(settings), Cache(settings.out)
    classes = class_count(masks)
    data_digest = digest([p.name for p in data.images], data.part.tolist(),
                         [m.tobytes().hex() for m in masks],
                         [i.values.tobytes().hex() for i in images])  # fmt: skip
    test = data.where("test")
    measured: list[Measured] = []
    shown: NDArray[np.int64] | None = None
    for one in (trained(name, encoder, inputs, device), fresh(inputs, device, settings.seed)):
        for kind in METHODS:
            job = _Job(one, kind, settings, images, masks, data, classes)
            key = digest(TASK, one.digest, data_digest, kind, settings.epochs, settings.seed)
            step = f"{kind}, {one.name}"
            found = cache.arrays(key, lambda job=job, step=step: job.run(step, progress))  # type: ignore[misc]
            predicted = list(found.values())
            metric = miou([masks[i] for i in test], predicted, classes)
            measured.append(_row(settings, one, kind, data, metric, data_digest))
            if one.name == name:
                shown = np.array(len(measured))
                pictures = predicted
    assert shown is not None
    stem = file_stem(TASK, name)
    picture = f"{stem}-masks.png"
    plot_masks(
        [images[i] for i in test], [masks[i] for i in test], pictures, classes,
        f"{TASK}, {name}, {METHODS[-1]}", Path(settings.out) / picture,
    )  # fmt: skip
    write_results(
        settings.out, stem, measured, task=TASK, settings=asdict(settings),
        card=encoder.card.to_dict(), notes=[],
    )  # fmt: skip
    files = (f"{stem}.json", picture, "results.csv")
    return Evaluation(tuple(measured), (), (), tuple(f"{settings.out}/{one}" for one in files))


def _unit(settings: SegmentationSettings) -> Any:
    return None if settings.unit == "auto" else settings.unit


def _check(
    data: MaskedImages, images: Sequence[Pixels], masks: Sequence[NDArray[np.int64]]
) -> None:
    for path, image, mask in zip(data.images, images, masks, strict=True):
        if image.values.shape[1:] != mask.shape:
            raise InputError(
                f"An image of {image.values.shape[1:]} pixels has a mask of {mask.shape}",
                str(path), "Use masks of the same size",
            )  # fmt: skip
    if len({mask.shape for mask in masks}) > 1:
        raise InputError("Images of different sizes", str(data.images[0].parent), "Cut them alike")


class _Job:
    """Training of one decoder, and its predictions for the test part."""

    def __init__(
        self, contender: NetworkContender, kind: Head, settings: SegmentationSettings,
        images: Sequence[Pixels], masks: Sequence[NDArray[np.int64]], data: MaskedImages,
        classes: int,
    ) -> None:  # fmt: skip
        self.contender, self.kind, self.settings = contender, kind, settings
        self.images, self.masks, self.data, self.classes = images, masks, data, classes
        self.pyramid = Pyramid(contender.module)

    def maps(self, positions: Sequence[int] | NDArray[np.int64]) -> list[Tensor]:
        """Feature maps of some images."""
        x = self.contender.inputs([self.images[i] for i in positions])
        maps: list[Tensor] = self.pyramid(x.to(self.contender.device))
        return maps

    def run(self, step: str, progress: Progress) -> dict[str, NDArray[np.uint8]]:
        """Train, and predict the masks of the test part by position."""
        where = self.data.where("train")
        device = self.contender.device

        def read(positions: NDArray[np.int64]) -> tuple[list[Tensor], Tensor]:
            chosen = where[positions]
            target = torch.from_numpy(np.stack([self.masks[i] for i in chosen])).to(device)
            return self.maps(chosen), target

        head = train_head(
            self.kind, self.pyramid.channels, self.classes, read,
            lambda logits, target: cross_entropy(logits, target, ignore_index=IGNORED),
            len(where), self.settings.epochs, self.settings.seed, device,
            lambda done, total: progress(step, done, total),
        )  # fmt: skip
        return {f"{i:06d}": self.predict(head, int(i)) for i in self.data.where("test")}

    @torch.no_grad()
    def predict(self, head: nn.Module, position: int) -> NDArray[np.uint8]:
        """Mask of one image."""
        logits = head(self.maps([position]), self.masks[position].shape)
        found: NDArray[np.uint8] = logits.argmax(1)[0].cpu().numpy().astype(np.uint8)
        return found


def miou(
    masks: Sequence[NDArray[np.int64]], predicted: Sequence[NDArray[np.uint8]], classes: int
) -> Metric:
    """Mean intersection over union of the classes that occur in the masks, over all pixels.

    Parameters
    ----------
    masks : sequence of ndarray of int64, shape (H, W)
        The truth; pixels with 255 are left out.
    predicted : sequence of ndarray of uint8, shape (H, W)
        Predictions.
    classes : int
        Number of classes.
    """
    counts = np.zeros((len(masks), classes, classes), dtype=np.int64)
    for i, (mask, found) in enumerate(zip(masks, predicted, strict=True)):
        used = mask != IGNORED
        np.add.at(counts[i], (mask[used], found[used]), 1)

    def metric(positions: NDArray[np.int64]) -> float:
        table = counts[positions].sum(0)
        both = np.diag(table)
        present = table.sum(1) > 0
        union = table.sum(0) + table.sum(1) - both
        return float((both[present] / union[present]).mean()) if present.any() else float("nan")

    return metric


def _row(
    settings: SegmentationSettings, contender: NetworkContender, kind: Head, data: MaskedImages,
    metric: Metric, data_digest: str,
) -> Measured:  # fmt: skip
    card = contender.inputs.card
    return measure(
        metric, len(data.where("test")), settings.bootstrap, settings.seed,
        dataset=TASK, method=f"seg-{kind}", metric_name="mIoU", name=contender.name,
        model=card.architecture, best_lr=RATE, best_batch_size=BATCH,
        n_train=len(data.where("train")), n_val=len(data.where("val")),
        normalization="model_native", image_size=settings.image_size, partition=data.partition,
        bands=" ".join(card.band_names), encoder_digest=contender.digest, data_digest=data_digest,
    )  # fmt: skip
