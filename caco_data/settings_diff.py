"""Differences between the settings of a saved download or training run and the current ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def difference(
    old: dict[str, Any],
    new: dict[str, Any],
    prefix: str = "",
    names: Mapping[str, str] | None = None,
) -> list[str]:
    """List the settings that differ, each as `scenes.max_cloud_pct 20.0 -> 30.0`.

    Parameters
    ----------
    old, new : dict
        JSON-like settings, nested or not.
    prefix : str
        Put before every name.
    names : mapping, optional
        Names of settings instead of their keys and prefixes, such as `--max-cloud`.
    """
    lines = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            lines += difference(before, after, f"{prefix}{key}.", names)
        elif before != after:
            name = (names or {}).get(key, f"{prefix}{key}")
            lines.append(f"{name} {before} -> {after}")
    return lines
