"""Land cover before anything changes: woods, fields, towns, water, roads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .land_cover import Cover
from .layers import Classes, Layers
from .parcels import line_distance


def cover_of(layers: Layers, at_sea: NDArray[np.bool_]) -> Classes:
    """Land cover before anything changes."""
    frame, dry, urban = layers.frame, layers.dryness, layers.urban
    # Farmers of a region do alike, and each a little otherwise.
    custom = frame.fractal(99, (1100, 350), 0.7)
    use = 0.5 + 0.5 * (layers.fields.draw(3) - 0.5) + 0.2 * custom
    cover = np.full(urban.shape, Cover.PASTURE, dtype=np.uint8)
    cover[use > 0.42] = Cover.ANNUAL_CROP
    cover[use > 0.8] = Cover.PERMANENT_CROP
    cover[(use > 0.98) | (use < 0.14)] = Cover.HERBACEOUS
    # Woods: where the land is not good for fields, with ragged edges; some whole parcels too.
    cold = np.clip((layers.latitude - 50) / 12, 0, 1)
    rainy = np.exp(-((layers.latitude / 11) ** 2))
    woods = layers.region + 0.4 * layers.patches + 0.9 * cold + 0.5 * rainy - 1.9 * dry
    woods = woods + 0.9 * (layers.steepness - 0.8) + 0.5 * (layers.fields.draw(4) - 0.5)
    cover[woods > 0.3] = Cover.FOREST
    wild = 0.8 * frame.fractal(86, (1500, 500, 120, 40), 0.65) + 2.2 * dry
    wild = wild + 0.35 * (layers.fields.draw(9) - 0.5) + 0.4 * (layers.steepness - 0.8)
    cover[(wild > 1.2) & (cover != Cover.FOREST)] = Cover.HERBACEOUS
    cover[wild > 2.15] = Cover.BARE
    cover[frame.fractal(87, (380, 210, 90, 30), 0.7) - 1.1 * dry > 2.0] = Cover.LAKE
    _draw_rivers(cover, layers)
    developed = urban + 0.22 * frame.fractal(88, (90, 36, 14), 0.75) * np.sqrt(np.minimum(urban, 1))
    town = developed > 0.33
    town &= cover != Cover.RIVER
    if town.any():
        works = frame.fractal(89, (150, 60), 0.6) + 0.5 * (layers.estates.draw(1) - 0.5)
        park = (layers.estates.draw(2) > 0.92) & (urban > 0.3)
        cover[town] = Cover.RESIDENTIAL
        cover[town & park] = np.where(layers.estates.draw(3) > 0.5, Cover.PASTURE, Cover.FOREST)[
            town & park
        ]
        cover[town & (works > 1.05)] = Cover.INDUSTRIAL
    wide = frame.grown(1)
    for salt, scale in ((91, 700), (92, 330)):
        road = line_distance(wide.noise(salt, scale) + 0.06 * wide.noise(salt + 10, 90))
        reach = 1.35 if scale == 700 else 0.75
        cover[(road < reach) & (urban > 0.02)] = Cover.HIGHWAY
    cover[at_sea] = Cover.SEA
    return cover


def _draw_rivers(cover: Classes, layers: Layers) -> None:
    wide = layers.frame.grown(1)
    course = wide.noise(93, 900) + 0.22 * wide.noise(94, 110) + 0.05 * wide.noise(95, 34)
    width = 2.6 + 2.2 * layers.frame.noise(96, 1500)
    river = line_distance(course) < np.clip(width, 0.7, 7) * (layers.dryness < 0.62)
    cover[river] = Cover.RIVER
