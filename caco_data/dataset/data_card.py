"""Data card of a data set: README.md with the front matter of Hugging Face.

The front matter lets `datasets.load_dataset(FOLDER)` find the shards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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

Early and late stacks of five tiles per location, made with {software}.
Source: {source}, {collection}.

| member | content |
|---|---|
{members}
| `early_scl.npy`, `late_scl.npy` | scene classification, uint8 (5, 132, 132), 20 m |
| `json` | one record per tile: date, scene, clouds, CRS, transform, digests |

Values are {unit}. `index.parquet` has one row per tile with the byte offset of each array;
`locations.parquet` the locations.

```python
import caco_data

dataset = caco_data.open_dataset("FOLDER")  # .torch(), .torchgeo(), .xarray(location_id)

from datasets import load_dataset

rows = load_dataset("FOLDER", streaming=True)["train"]  # early.npy, late.npy, json, ...
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
    ending = ".npy" if settings.get("compress", "none") == "none" else ".npy.zst"
    members = "\n".join(
        f"| `{name}{ending}` | bands {', '.join(bands)}, {settings['dtype']} (5, C, H, W) |"
        for name, bands in meta["grid"]["members"].items()
    )
    eight = settings["dtype"] == "uint8"
    card = _CARD.format(
        complete=meta["counts"]["complete"],
        software=meta.get("software", "caco-data"),
        source=source.get("name", "unknown"),
        collection=source.get("collection", "unknown"),
        members=members,
        unit="DN / 10000 * 255" if eight else "DN (reflectance x 10000)",
    )
    return card if ending == ".npy" else card.replace("_scl.npy`", f"_scl{ending}`")
