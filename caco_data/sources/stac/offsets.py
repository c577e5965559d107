"""The offset of DN in products from processing baseline 04.00 on, and its check by the pixels.

Since 25 January 2022 a DN of L2A is reflectance x 10,000 + 1,000. Earth Engine's harmonised
collection has the offset removed, and some catalogues have removed it from their copies. The rule:
a flag of the catalogue decides; without one, the baseline. The offset that items state for their
bands (`raster:bands`) does not tell whether it is in the pixels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caco_data.errors import InconsistentError

#: DN that were added from `OFFSET_BASELINE` on.
OFFSET_DN = 1000
OFFSET_BASELINE = 4.0
#: Property of Earth Search: the offset has been removed from the pixels.
APPLIED_FLAG = "earthsearch:boa_offset_applied"
#: Scene classes of the check: vegetation and bare ground. Water and shadow can be darker than 0.
_VEGETATION, _BARE = 4, 5
#: Bands of the check: dark over vegetation.
CHECKED_BANDS = ("B2", "B4")
#: Minimum number of pixels of the check, at 10 m.
_MIN_PIXELS = 500
#: Percentile that counts as the darkest pixels: less would depend on single pixels.
_DARK_PERCENTILE = 1.0


def baseline_of(properties: Mapping[str, Any]) -> str:
    """Return the processing baseline of an item, `05.09`; empty when it is not known."""
    for name in ("s2:processing_baseline", "processing:version"):
        if match := re.fullmatch(r"(\d\d)\.?(\d\d)", str(properties.get(name, "")).strip()):
            return f"{match[1]}.{match[2]}"
    for name in ("s2:product_uri", "s2:datatake_id", "s2:datastrip_id", "s2:tile_id"):
        if match := re.search(r"_N(\d\d)\.?(\d\d)", str(properties.get(name, ""))):
            return f"{match[1]}.{match[2]}"
    return ""


def offset_of(properties: Mapping[str, Any]) -> tuple[int, str] | None:
    """Return the DN to subtract from an item's bands, and the evidence for it.

    Returns
    -------
    tuple of int and str, or None
        0 or `OFFSET_DN`, and what decided; None when nothing tells.
    """
    flag = properties.get(APPLIED_FLAG)
    baseline = baseline_of(properties)
    if flag is True:
        return 0, "flag: removed"
    if not baseline:
        return None
    added = float(baseline) >= OFFSET_BASELINE
    known = "flag: not removed, baseline" if flag is False else "baseline"
    return (OFFSET_DN if added else 0), f"{known} {baseline}"


def check_offset(
    pixels: Mapping[str, NDArray[np.uint16]], scl: NDArray[np.uint16], offset_dn: int, where: str
) -> None:
    """Compare the offset that the metadata state with the darkest land pixels of a tile.

    Parameters
    ----------
    pixels : mapping of str to ndarray of uint16, shape (H, W)
        DN as in the file, by band.
    scl : ndarray of uint16, shape (H, W)
        Scene classes.
    offset_dn : int
        DN that the metadata say are to be subtracted.
    where : str
        The scene, for the message.

    Raises
    ------
    InconsistentError
        When land is darker than the offset that should be in the pixels, or vegetation never darker
        than the offset that should not.
    """
    bands = [band for band in CHECKED_BANDS if band in pixels]
    classes = (_VEGETATION, _BARE) if offset_dn else (_VEGETATION,)
    land = np.isin(scl, classes)
    if not bands or np.count_nonzero(land) < _MIN_PIXELS:
        return
    dark = {
        band: float(np.percentile(pixels[band][land], _DARK_PERCENTILE, method="lower"))
        for band in bands
    }
    band = min(dark, key=lambda name: dark[name])
    if offset_dn and dark[band] < OFFSET_DN:
        raise InconsistentError(
            f"The metadata say that {OFFSET_DN:,} was added to the DN, but the darkest land has "
            f"{dark[band]:.0f} in {band}",
            where,
        )
    if not offset_dn and dark[band] >= OFFSET_DN:
        raise InconsistentError(
            f"The metadata say that nothing was added to the DN, but the darkest vegetation has "
            f"{dark[band]:.0f} in {band}",
            where,
        )


def without_offset(pixels: NDArray[np.uint16], offset_dn: int) -> NDArray[np.uint16]:
    """Subtract an offset; at least 0, so that 0, no data, remains 0."""
    if not offset_dn:
        return pixels
    dn = np.uint16(offset_dn)
    return np.maximum(pixels, dn) - dn
