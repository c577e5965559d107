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

#: Central wavelength in nm (Sentinel-2A, spectral response functions 3.0). B10 is in L1C only.
CENTRE_NM: dict[str, float] = {
    "B1": 442.7, "B2": 492.7, "B3": 559.8, "B4": 664.6, "B5": 704.1, "B6": 740.5, "B7": 782.8,
    "B8": 832.8, "B8A": 864.7, "B9": 945.1, "B10": 1373.5, "B11": 1613.7, "B12": 2202.4,
}  # fmt: skip
