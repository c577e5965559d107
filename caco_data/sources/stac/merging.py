"""One scene for every acquisition: products of several collections and baselines are merged."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import shapely

from caco_data.grid import unwrap
from caco_data.sources.stac.items import Candidate
from caco_data.types import Footprint, Scene


def merge(
    candidates: Iterable[Candidate],
    patch: Footprint,
    collections: Sequence[str],
    max_cloud_pct: float,
) -> list[Scene]:
    """Return the scenes that touch a patch, one per acquisition of a tile.

    Of several products the newest baseline counts, then the earlier collection, then the later
    production. Products that contain the whole patch come first: an acquisition may be split.

    Parameters
    ----------
    candidates : iterable of Candidate
        In any order.
    patch : Footprint
        The patch.
    collections : sequence of str
        The preferred one first.
    max_cloud_pct : float
        Maximum cloud cover of a scene, 0..100. Where it is unknown, this is assumed, so that such a
        scene is tried last.
    """
    square = _polygon(patch, patch.longitudes[0])
    rank = {name: number for number, name in enumerate(collections)}
    best: dict[tuple[str, ...], tuple[tuple[object, ...], Scene]] = {}
    for one in candidates:
        outline = _polygon(one.scene.footprint, patch.longitudes[0])
        if not outline.intersects(square):
            continue
        order = (
            bool(outline.contains_properly(square)),
            one.scene.baseline,
            -rank.get(one.collection, len(rank)),
            one.generated,
            one.scene.image_id,
        )
        known = best.get(one.acquisition)
        if known is None or order > known[0]:
            best[one.acquisition] = order, one.scene
    scenes = []
    for _, scene in best.values():
        cloud_pct = max_cloud_pct if math.isnan(scene.cloud_pct) else scene.cloud_pct
        if cloud_pct <= max_cloud_pct:
            scenes.append(replace(scene, cloud_pct=cloud_pct))
    return scenes


def _polygon(footprint: Footprint, near: float) -> shapely.Polygon:
    longitudes = unwrap(footprint.longitudes, near)
    polygon = shapely.Polygon(list(zip(longitudes, footprint.latitudes, strict=True)))
    return polygon if polygon.is_valid else polygon.buffer(0)
