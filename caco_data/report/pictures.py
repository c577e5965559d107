"""Stacks of images for the page: which locations, which bands, and tiles as WebP."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caco_data.change_mask import decode_mask
from caco_data.dataset.layout import CHANGE_MASK, bands_by_pixel
from caco_data.dataset.reader import Dataset
from caco_data.dataset.true_colour import true_colour
from caco_data.errors import InputError
from caco_data.report.elements import Picture, StackPictures
from caco_data.sentinel2 import BAND_PIXEL_M, PIXEL_M, RGB_BANDS
from caco_data.types import PeriodName

_QUALITY = 80
#: Percentiles of a band that are shown as black and white, for other bands than true colour.
_STRETCH = (1.0, 99.0)


@dataclass(frozen=True)
class Change:
    """What is known of the change of the locations."""

    amount: Mapping[int, float] = field(default_factory=dict)
    """By location; higher is more change."""
    words: str = ""
    """Format of a note with the amount, such as `{:.0%} of the pixels changed`."""
    place: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    """Place of the largest change by location: fractions from the left and from the top."""


def choose(location_ids: NDArray[np.int64], change: Change, number: int) -> list[int]:
    """Choose locations: the most changed first; evenly spaced ids if no change is known."""
    if change.amount:
        amount = np.array([change.amount.get(i, -np.inf) for i in location_ids.tolist()])
        return [int(i) for i in location_ids[np.argsort(-amount, kind="stable")][:number]]
    step = max(1, location_ids.size // max(1, number))
    return [int(i) for i in location_ids[::step][:number]]


def shown_bands(dataset: Dataset, bands: Sequence[str] | None) -> tuple[str, ...]:
    """Bands of the images: the given ones, true colour, or the first band in grey.

    Raises
    ------
    InputError
        When the bands are not three of the data set.
    """
    if bands is None:
        fine = bands_by_pixel(dataset.bands).get(PIXEL_M, dataset.bands)
        return RGB_BANDS if set(RGB_BANDS) <= set(dataset.bands) else (fine[0],) * 3
    if len(bands) != 3 or not set(bands) <= set(dataset.bands):
        raise InputError(
            f"{', '.join(bands)} are not three bands of the data set", dataset.root,
            f"Use three of {', '.join(dataset.bands)}",
        )  # fmt: skip
    return tuple(bands)


def stack_pictures(
    dataset: Dataset,
    location_ids: Sequence[int],
    bands: tuple[str, ...],
    titles: Mapping[int, str],
    change: Change,
) -> list[StackPictures]:
    """Render all tiles of some locations.

    Raises
    ------
    DatasetError
        When a tile is damaged.
    """
    columns = ["location_id", "period", "t", "acquired", "cloud_pct", "clear_fraction"]
    rows = dataset.index.of(location_ids, columns).to_pylist()
    masks = _mask_places(dataset, location_ids)
    found = []
    for location_id in location_ids:
        own = [row for row in rows if row["location_id"] == location_id]
        periods = []
        for period in dict.fromkeys(row["period"] for row in own):
            tiles = _rendered(dataset, location_id, period, bands)
            facts = [row for row in own if row["period"] == period]
            periods.append((
                period,
                tuple(_picture(tile, row) for tile, row in zip(tiles, facts, strict=True)),
            ))  # fmt: skip
        amount = change.amount.get(location_id)
        note = "" if amount is None else change.words.format(amount)
        place = masks.get(location_id) or change.place.get(location_id)
        found.append(
            StackPictures(
                location_id, titles.get(location_id, str(location_id)), note, tuple(periods), place
            )
        )
    return found


def _rendered(
    dataset: Dataset, location_id: int, period: PeriodName, bands: tuple[str, ...]
) -> NDArray[np.uint8]:
    """Tiles of a period, (T, H, W, 3); bands of 20 m and 60 m are repeated to 10 m."""
    planes: dict[str, NDArray[Any]] = {}
    for suffix, names in dataset.member_bands.items():
        if set(names) & set(bands):
            values = dataset.read_member(location_id, period, suffix)
            for i, name in enumerate(names):
                factor = BAND_PIXEL_M[name] // PIXEL_M
                planes[name] = values[:, i].repeat(factor, 1).repeat(factor, 2)
    stack = np.stack([planes[band] for band in bands], axis=1)
    if bands == RGB_BANDS:
        return true_colour(stack, bands)
    low, high = np.percentile(stack, _STRETCH, axis=(0, 2, 3), keepdims=True)
    scaled = np.clip((stack - low) / np.maximum(high - low, 1), 0, 1)
    rendered: NDArray[np.uint8] = (255 * scaled).astype(np.uint8).transpose(0, 2, 3, 1)
    return rendered


def _picture(tile: NDArray[np.uint8], row: Mapping[str, Any]) -> Picture:
    day = f"{row['acquired']:%Y-%m-%d}"
    text = f"{day}, {row['cloud_pct']:.0f} % clouds in the scene"
    if row["clear_fraction"] is not None:
        text += f", {row['clear_fraction']:.0%} of the patch clear"
    return Picture(data_url(tile), text, day)


def data_url(image: NDArray[np.uint8]) -> str:
    """Image, (H, W, 3), as a `data:` URL in WebP."""
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(image).save(data, "WEBP", quality=_QUALITY)
    return "data:image/webp;base64," + base64.b64encode(data.getvalue()).decode()


def _mask_places(dataset: Dataset, location_ids: Sequence[int]) -> dict[int, tuple[float, float]]:
    """Middle of the changed pixels by location, where the data set has change masks."""
    truth = dataset.truth()
    if truth is None or CHANGE_MASK.name not in truth.column_names:
        return {}
    places = {}
    side = dataset.layout.patch_px
    wanted = set(location_ids)
    for row in truth.select(["location_id", CHANGE_MASK.name]).to_pylist():
        if row["location_id"] in wanted and row[CHANGE_MASK.name]:
            y, x = np.nonzero(decode_mask(row[CHANGE_MASK.name], side))
            if x.size:
                places[row["location_id"]] = (
                    (float(np.median(x)) + 0.5) / side, (float(np.median(y)) + 0.5) / side
                )  # fmt: skip
    return places
