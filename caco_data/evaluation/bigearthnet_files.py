"""Files of BigEarthNet-S2: patches with one GeoTIFF per band, and their labels in 19 classes."""

from __future__ import annotations

import csv
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from caco_data.errors import InputError
from caco_data.evaluation.image_reader import Pixels
from caco_data.sentinel2 import ALL_BANDS

#: Classes of the 43-class labels in each of the 19 classes (Sumbul et al. 2021); the others of the
#: 43 classes are not used.
NOMENCLATURE: dict[str, tuple[str, ...]] = {
    "Urban fabric": ("Continuous urban fabric", "Discontinuous urban fabric"),
    "Industrial or commercial units": (),
    "Arable land": ("Non-irrigated arable land", "Permanently irrigated land", "Rice fields"),
    "Permanent crops": (
        "Vineyards", "Fruit trees and berry plantations", "Olive groves",
        "Annual crops associated with permanent crops",
    ),
    "Pastures": (),
    "Complex cultivation patterns": (),
    "Land principally occupied by agriculture, with significant areas of natural vegetation": (),
    "Agro-forestry areas": (),
    "Broad-leaved forest": (),
    "Coniferous forest": (),
    "Mixed forest": (),
    "Natural grassland and sparsely vegetated areas": (
        "Natural grassland", "Sparsely vegetated areas",
    ),
    "Moors, heathland and sclerophyllous vegetation": (
        "Moors and heathland", "Sclerophyllous vegetation",
    ),
    "Transitional woodland, shrub": ("Transitional woodland/shrub",),
    "Beaches, dunes, sands": (),
    "Inland wetlands": ("Inland marshes", "Peatbogs"),
    "Coastal wetlands": ("Salt marshes", "Salines"),
    "Inland waters": ("Water courses", "Water bodies"),
    "Marine waters": ("Coastal lagoons", "Estuaries", "Sea and ocean"),
}  # fmt: skip
CLASSES = tuple(NOMENCLATURE)
_BY_NAME = {old: new for new, names in NOMENCLATURE.items() for old in (*names, new)}
#: Pixels per side of a patch at 10 m.
SIDE = 120


@dataclass(frozen=True)
class Patches:
    """N patches with their labels and parts."""

    paths: tuple[Path, ...]
    """Folders of the patches, sorted by name."""
    labels: NDArray[np.bool_]
    """(N, 19)."""
    part: NDArray[np.str_]
    """(N,): `train`, `val` or `test`."""

    def where(self, part: str) -> NDArray[np.int64]:
        """Positions of the patches of a part."""
        return np.flatnonzero(self.part == part)


def find_patches(root: Path) -> Patches:
    """Find the patches of BigEarthNet version 2 (metadata.parquet) or 1 (train, val, test.csv).

    Raises
    ------
    InputError
        When the folder is neither, or has no patch of a part.
    """
    if (root / "metadata.parquet").is_file():
        listed = _version_2(root / "metadata.parquet")
    elif all((root / f"{part}.csv").is_file() for part in ("train", "val", "test")):
        listed = _version_1(root)
    else:
        raise InputError(
            "Neither metadata.parquet nor train.csv, val.csv and test.csv", str(root),
            "Use the folder of BigEarthNet-S2 with its metadata",
        )  # fmt: skip
    folders = {p.parent.name: p.parent for p in sorted(root.glob("**/*_B02.tif"))}
    found = [(name, *listed[name]) for name in sorted(folders) if name in listed]
    chosen = []
    for name, part, labels in found:
        names = labels if labels is not None else _json_labels(folders[name])
        row = np.isin(CLASSES, [_BY_NAME[one] for one in names if one in _BY_NAME])
        if row.any():
            chosen.append((folders[name], row, part))
    parts = [part for _, _, part in chosen]
    for part in ("train", "val", "test"):
        if part not in parts:
            raise InputError(f"No patches of the part {part}", str(root), "Complete the folder")
    return Patches(
        tuple(path for path, _, _ in chosen), np.stack([row for _, row, _ in chosen]),
        np.array(parts),
    )  # fmt: skip


_Listed = dict[str, tuple[str, Sequence[str] | None]]


def _version_2(path: Path) -> _Listed:
    try:
        table = pq.ParquetFile(path).read(["patch_id", "split", "labels"], use_threads=False)
    except (pa.ArrowException, OSError, KeyError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(
            f"Cannot read the metadata: {reason}", str(path), "Download metadata.parquet again"
        ) from error
    parts = {"validation": "val"}
    return {
        row["patch_id"]: (parts.get(row["split"], row["split"]), row["labels"])
        for row in table.to_pylist()
    }


def _version_1(root: Path) -> _Listed:
    found: _Listed = {}
    for part in ("train", "val", "test"):
        with (root / f"{part}.csv").open(newline="") as file:
            found |= {row[0]: (part, None) for row in csv.reader(file) if row}
    return found


def _json_labels(folder: Path) -> Sequence[str]:
    path = folder / f"{folder.name}_labels_metadata.json"
    try:
        labels: Sequence[str] = json.loads(path.read_text())["labels"]
        return labels
    except (OSError, ValueError, KeyError) as error:
        raise InputError("Cannot read the labels of a patch", str(path), "Unpack it again") from (
            error
        )


def read_patch(folder: Path, bands: Sequence[str]) -> Pixels:
    """Read the bands of a patch on the 10 m grid.

    Raises
    ------
    InputError
        When a file is missing or cannot be read.
    """
    import rasterio

    layers = []
    for band in bands:
        if band not in ALL_BANDS:
            raise InputError(f"BigEarthNet has no band {band}", str(folder), "Use L2A bands")
        number = band[1:] if band == "B8A" else f"{int(band[1:]):02d}"
        path = folder / f"{folder.name}_B{number}.tif"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
                with rasterio.open(path) as file:
                    layer = file.read(1)
        except (rasterio.errors.RasterioError, OSError) as error:
            raise InputError("Cannot read a band", str(path), "Unpack the patch again") from error
        step = SIDE // max(layer.shape[0], 1)
        layers.append(layer.repeat(step, axis=0).repeat(step, axis=1))
    return Pixels(np.stack(layers), tuple(bands), "DN")
