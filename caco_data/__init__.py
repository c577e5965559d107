"""Change-aware Sentinel-2 pretraining sets and encoders.

Data flow: `cities -> locations -> plans -> stacks -> shards -> batches -> encoder -> report`.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

#: Functions of this package that are imported when they are first used, and their modules.
_LAZY = {
    "load_encoder": "caco_data.training.models.weights",
    "open_dataset": "caco_data.exchange.readers",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'caco_data' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
