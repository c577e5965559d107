"""Small data sets of OSCD, BigEarthNet, segmentation and events in the real formats."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.labelled_pictures import write_picture

_IMAGES = "Onera Satellite Change Detection dataset - Images"
_LABELS = "Onera Satellite Change Detection dataset - {} Labels"


def make_oscd(root: Path, side: int = 96) -> Path:
    """Write two training cities and a test city, whose upper half became brighter."""
    for i, (name, part) in enumerate((("paris", "Train"), ("beirut", "Train"), ("rio", "Test"))):
        rng = np.random.default_rng(i)
        changed = np.zeros((side, side), dtype=bool)
        changed[: side // 2] = True
        for number in (1, 2):
            for band in ("B02", "B03", "B04"):
                pixels = rng.normal(800, 60, (side, side)) + 2000 * changed * (number == 2)
                path = root / _IMAGES / name / f"imgs_{number}_rect" / f"{band}.tif"
                write_picture(path, np.clip(pixels, 0, None)[None].astype(np.uint16), "GTiff")
        label = root / _LABELS.format(part) / name / "cm"
        if part == "Train":
            write_picture(label / f"{name}-cm.tif", (1 + changed)[None].astype(np.uint8), "GTiff")
        else:
            write_picture(label / "cm.png", (255 * changed)[None].astype(np.uint8))
    return root


def make_segmentation(root: Path, count: int = 10, side: int = 32) -> Path:
    """Write images whose left part is dark (class 0) and whose right part is bright (class 1)."""
    rng = np.random.default_rng(0)
    for i in range(count):
        mask = np.zeros((side, side), dtype=np.uint8)
        mask[:, side // 2 :] = 1
        mask[:2] = 255
        picture = np.clip(rng.normal(40 + 150 * (mask == 1), 10, (3, side, side)), 0, 255)
        write_picture(root / "images" / f"{i}.png", picture.astype(np.uint8))
        write_picture(root / "masks" / f"{i}.png", mask[None])
    return root


def _patch(folder: Path, bright: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for band, side in (("B02", 120), ("B03", 120), ("B04", 120), ("B11", 60)):
        pixels = rng.normal(400 + 1500 * bright, 50, (1, side, side))
        path = folder / f"{folder.name}_{band}.tif"
        write_picture(path, np.clip(pixels, 0, None).astype(np.uint16), "GTiff")


def make_bigearthnet(root: Path, version: int, per_part: int = 6) -> Path:
    """Write patches; bright ones are urban and pastures, dark ones are water."""
    rows: list[dict[str, object]] = []
    parts = {"train": "train", "val": "validation", "test": "test"}
    for p, (part, long) in enumerate(parts.items()):
        names = []
        for i in range(per_part):
            bright = i % 2 == 0
            name = f"S2A_{part}_{i}"
            names.append(name)
            folder = root / ("BigEarthNet-S2/TILE" if version == 2 else "BigEarthNet-v1.0") / name
            _patch(folder, bright, 10 * p + i)
            if version == 2:
                labels = ["Urban fabric", "Pastures"] if bright else ["Inland waters"]
                rows.append({"patch_id": name, "split": long, "labels": labels})
            else:
                old = ["Discontinuous urban fabric", "Pastures"] if bright else ["Water bodies"]
                text = json.dumps({"labels": [*old, "Port areas"]})
                (folder / f"{name}_labels_metadata.json").write_text(text)
        if version == 1:
            (root / f"{part}.csv").write_text("\n".join(names) + "\n")
    if version == 2:
        pq.write_table(pa.Table.from_pylist(rows), root / "metadata.parquet")
    return root


def make_series(root: Path, names: tuple[str, ...] = ("a", "b"), months: int = 6) -> Path:
    """Write monthly pictures; those from 2021-04 of the first series have another texture."""
    for n, name in enumerate(names):
        rng = np.random.default_rng(n)
        base, other = (rng.uniform(0, 255, (3, 32, 32)) for _ in range(2))
        for month in range(1, months + 1):
            scene = other if n == 0 and month >= 4 else base
            noisy = np.clip(scene + rng.normal(0, 8, scene.shape), 0, 255).astype(np.uint8)
            write_picture(root / name / f"2021-{month:02d}.png", noisy)
    (root / "events.csv").write_text("series,date\na,2021-04-10\n")
    return root
