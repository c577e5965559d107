"""Differences between the settings of a saved download or training run and the current ones."""

from __future__ import annotations

from typing import Any


def difference(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """List the settings that differ, each as `scenes.max_cloud_pct 20.0 -> 30.0`.

    Parameters
    ----------
    old, new : dict
        JSON-like settings, nested or not.
    prefix : str
        Put before every name.
    """
    lines = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            lines += difference(before, after, f"{prefix}{key}.")
        elif before != after:
            lines.append(f"{prefix}{key} {before} -> {after}")
    return lines
