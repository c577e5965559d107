"""Locations as xarray data sets with CF coordinates, which rioxarray understands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from caco_data.dataset.reader import Dataset
from caco_data.dataset.tiles import pixel_size_m, read_tiles, tile_rows
from caco_data.errors import InputError
from caco_data.sentinel2 import CENTRE_NM, SCL_PIXEL_M

if TYPE_CHECKING:
    import xarray

#: Coordinate with the CRS, by the CF conventions.
GRID_MAPPING = "spatial_ref"


def to_xarray(dataset: Dataset, location_id: int) -> xarray.Dataset:
    """Read a location as an xarray data set.

    Parameters
    ----------
    dataset : Dataset
        The data set.
    location_id : int
        The location.

    Returns
    -------
    xarray.Dataset
        `reflectance` with the dimensions period, time, band, y, x, as stored (`scale_factor`
        converts it to reflectance), `scl` with period, time, y_scl, x_scl, and the coordinates
        `acquired` (UTC), `wavelength_nm`, `cloud_pct`, `clear_fraction`, `image_id` and
        `spatial_ref`. `time` is the number of the tile within its period; pixel coordinates are
        those of the pixels' centres in metres.

    Raises
    ------
    InputError
        When the data set has no such location, or xarray is not installed.
    DatasetError
        When the bytes do not match the index.
    """
    try:
        import xarray
    except ImportError as error:
        raise InputError(
            "xarray is not installed", "extra [exchange]", "Run: pip install 'caco-data[exchange]'"
        ) from error
    from pyproj import CRS

    rows = tile_rows(dataset, location_id)
    periods = dataset.layout.periods
    shape = len(periods), dataset.layout.tiles
    tiles = np.stack([read_tiles(dataset, location_id, period) for period in periods])
    scl = np.stack([dataset.read_member(location_id, period, "_scl") for period in periods])
    step = pixel_size_m(tiles, dataset.layout.patch_px)
    left, top = rows[0].transform[2], rows[0].transform[5]
    crs = CRS.from_user_input(rows[0].crs)
    scale = 1 / 255 if tiles.dtype == np.uint8 else 1 / 10000

    def per_tile(name: str, kind: Any = None) -> tuple[tuple[str, str], NDArray[Any]]:
        values = np.array([getattr(row, name) for row in rows], dtype=kind)
        return ("period", "time"), values.reshape(shape)

    times = np.array([row.acquired.replace(tzinfo=None) for row in rows], dtype="datetime64[us]")
    mapping = {"grid_mapping": GRID_MAPPING}
    found = xarray.Dataset(
        {
            "reflectance": (
                ("period", "time", "band", "y", "x"), tiles,
                {**mapping, "long_name": "surface reflectance as stored", "units": "1",
                 "multiply_by": scale},
            ),
            "scl": (("period", "time", "y_scl", "x_scl"), scl,
                    {**mapping, "long_name": "scene classification"}),
        },
        coords={
            "period": list(periods),
            "time": np.arange(shape[1]),
            "band": list(dataset.bands),
            "wavelength_nm": ("band", [CENTRE_NM[band] for band in dataset.bands],
                              {"units": "nm"}),
            "y": ("y", _centres(top, -step, tiles.shape[-2]), _axis("y")),
            "x": ("x", _centres(left, step, tiles.shape[-1]), _axis("x")),
            "y_scl": ("y_scl", _centres(top, -SCL_PIXEL_M, scl.shape[-2]), _axis("y")),
            "x_scl": ("x_scl", _centres(left, SCL_PIXEL_M, scl.shape[-1]), _axis("x")),
            "acquired": (("period", "time"), times.reshape(shape), {"standard_name": "time"}),
            "cloud_pct": per_tile("cloud_pct", np.float64),
            "clear_fraction": per_tile("clear_fraction", np.float64),
            "image_id": per_tile("image_id", np.str_),
            GRID_MAPPING: (
                (), 0,
                {**crs.to_cf(), "GeoTransform": f"{left} {step} 0 {top} 0 {-step}",
                 "spatial_ref": crs.to_wkt()},
            ),
        },
        attrs={"Conventions": "CF-1.11", "location_id": int(location_id), "crs": rows[0].crs},
    )  # fmt: skip
    return found


def _centres(start: float, step: float, count: int) -> NDArray[np.float64]:
    return np.asarray(start + step * (np.arange(count) + 0.5), dtype=np.float64)


def _axis(name: str) -> dict[str, str]:
    return {"axis": name.upper(), "units": "m", "standard_name": f"projection_{name}_coordinate"}
