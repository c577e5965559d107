"""Bands, native pixel sizes and scene classes of Sentinel-2 Level-2A."""

from __future__ import annotations

#: L2A bands in the product's order (L2A has no B10), with their native pixel size in metres.
BAND_PIXEL_M: dict[str, int] = {
    "B1": 60, "B2": 10, "B3": 10, "B4": 10, "B5": 20, "B6": 20, "B7": 20, "B8": 10,
    "B8A": 20, "B9": 60, "B11": 20, "B12": 20,
}  # fmt: skip
ALL_BANDS = tuple(BAND_PIXEL_M)
RGB_BANDS = ("B4", "B3", "B2")
#: Finest native pixel size, metres: that of the patch grid.
PIXEL_M = 10

#: Scene classification of L2A, 20 m (Sentinel-2 L2A product guide, section "SCL").
SCL_BAND = "SCL"
SCL_PIXEL_M = 20
