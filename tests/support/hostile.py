"""Hostile data sets: a small one, and changes to it that agree with its digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from caco_data.dataset.description import description_digest
from caco_data.download.settings import FetchSettings, SceneSettings
from tests.support.plain_source import make_dataset, outcomes

#: Settings with the smallest members, compressed and not.
ZSTD = FetchSettings(SceneSettings(), ("B1",), "uint16", "zstd")
PLAIN = FetchSettings(SceneSettings(), ("B1",))
SHARD = "shards/000000.tar"


def small_dataset(root: Path, fetch: FetchSettings = PLAIN, n: int = 3) -> Path:
    """Make a finished data set with small members, two locations per shard."""
    make_dataset(str(root), outcomes(n, fetch=fetch), fetch)
    return root


def describe(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change dataset.json, with a digest that agrees."""
    path = root / "dataset.json"
    meta = json.loads(path.read_text())
    change(meta)
    meta["sha256"] = description_digest(meta)
    path.write_text(json.dumps(meta))


def accept(root: Path) -> None:
    """Make dataset.json agree with the tables and shards as they are now."""

    def change(meta: dict[str, Any]) -> None:
        for name in meta["tables"]:
            meta["tables"][name] = _sha256(root / name)
        for shard in meta["shards"]:
            path = root / "shards" / shard["name"]
            shard |= {"nbytes": path.stat().st_size, "sha256": _sha256(path)}

    describe(root, change)


def tree(folder: Path) -> dict[str, bytes | None]:
    """Content of all files below a folder."""
    paths = sorted(folder.rglob("*"))
    return {str(p): p.read_bytes() if p.is_file() else None for p in paths}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
