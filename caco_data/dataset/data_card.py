"""Data card of a data set: README.md with the front matter of Hugging Face.

The front matter lets `datasets.load_dataset(FOLDER)` find the shards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caco_data.dataset.layout import stack_layout
from caco_data.types import StackLayout

_CARD = """\
---
license: other
license_name: copernicus-sentinel-data
task_categories:
- image-feature-extraction
tags:
- sentinel-2
- remote-sensing
- self-supervised-learning
- change-detection
configs:
- config_name: default
  data_files: shards/*.tar
---

# Sentinel-2 stacks of {complete:,} locations

{stacks}, made with {software}.
Source: {source}, {collection}.

| member | content |
|---|---|
{members}
| {classes} | scene classification, uint8 ({tiles}, {side}, {side}), 20 m |
| `json` | one record per tile: date, scene, clouds, CRS, transform, digests |

Values are {unit}. `index.parquet` has one row per tile with the byte offset of each array;
`locations.parquet` the locations.

```python
import caco_data

dataset = caco_data.open_dataset("FOLDER")  # .torch(), .torchgeo(), .xarray(location_id)

from datasets import load_dataset

rows = load_dataset("FOLDER", streaming=True)["train"]  # {columns}, json, ...
```

The shards follow the WebDataset convention:
`webdataset.WebDataset("FOLDER/shards/000000.tar").decode()`.
"""


def data_card(meta: Mapping[str, Any]) -> str:
    """Data card of a data set.

    Parameters
    ----------
    meta : mapping
        Content of dataset.json.
    """
    settings, source = meta["settings"], meta.get("source", {})
    layout = stack_layout(settings)
    ending = ".npy" if settings.get("compress", "none") == "none" else ".npy.zst"
    members = "\n".join(
        f"| `{name}{ending}` | bands {', '.join(bands)}, {settings['dtype']} "
        f"({layout.tiles}, C, H, W) |"
        for name, bands in meta["grid"]["members"].items()
    )
    eight = settings["dtype"] == "uint8"
    return _CARD.format(
        complete=meta["counts"]["complete"],
        software=meta.get("software", "caco-data"),
        source=source.get("name", "unknown"),
        collection=source.get("collection", "unknown"),
        stacks=_stacks(layout),
        classes=", ".join(f"`{period}_scl{ending}`" for period in layout.periods),
        tiles=layout.tiles,
        side=layout.patch_px // 2,
        columns=", ".join(f"{period}.npy" for period in layout.periods),
        members=members,
        unit="DN / 10000 * 255" if eight else "DN (reflectance x 10000)",
    )


def _stacks(layout: StackLayout) -> str:
    """Describe the stacks, `Early and late stacks of five tiles per location`."""
    numbers = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    count = numbers[layout.tiles] if layout.tiles < len(numbers) else str(layout.tiles)
    tiles = f"{count} tile" + "s" * (layout.tiles > 1)
    if len(layout.periods) == 1:
        return f"A stack of {tiles} per location"
    names = f"{', '.join(layout.periods[:-1])} and {layout.periods[-1]}"
    return f"{names.capitalize()} stacks of {tiles} per location"
