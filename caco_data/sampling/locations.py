"""The locations table: sampling, and extension by more rows.

One row per location. The columns `city`, `country`, `city_population` and `city_distance_m`
describe the city around which the point was sampled; they are empty with the strategy `uniform`.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from caco_data import __version__
from caco_data.errors import InputError
from caco_data.grid import utm_epsg
from caco_data.sampling.candidates import World
from caco_data.sampling.sampler import REACH_SIGMA, sample_points
from caco_data.sampling.settings import SampleSettings
from caco_data.types import Location
from caco_data.world import cities, land
from caco_data.world.cities import Cities, load_cities
from caco_data.world.geoparquet import array_of, encode_points, strings_of
from caco_data.world.land import load_land
from caco_data.world.region import Region, parse_region

_log = logging.getLogger(__name__)
#: Rows that are sampled again to check whether a table has been changed.
CHECKED_ROWS = 1000

#: Attribution of the bundled data.
NOTICES = {
    "cities": "GeoNames (https://www.geonames.org), CC BY 4.0",
    "land": "Made with Natural Earth (https://www.naturalearthdata.com), public domain",
}


@dataclass(frozen=True)
class LocationTable:
    """N locations, ordered by `location_id`."""

    location_id: NDArray[np.int64]
    """(N,), unique, not negative."""
    longitude: NDArray[np.float64]
    """(N,), degrees east, EPSG:4326."""
    latitude: NDArray[np.float64]
    """(N,), degrees north, EPSG:4326."""
    utm_epsg: NDArray[np.int32]
    """(N,), EPSG code of the UTM zone."""
    metadata: dict[str, Any]
    """Software, seed, settings, inputs and notices; empty for a table from another tool."""
    table: pa.Table
    """All columns, `geometry` as WKB points, without schema metadata."""
    dates: NDArray[np.datetime64] | None = None
    """(N, 1) or (N, 2), days: the date of each location, or first and last date; None without."""

    def __len__(self) -> int:
        return self.location_id.size

    def rows(self, location_ids: NDArray[np.int64]) -> Iterator[Location]:
        """Yield the rows of locations in the table, one at a time."""
        for row in np.searchsorted(self.location_id, location_ids).tolist():
            yield Location(
                int(self.location_id[row]),
                float(self.longitude[row]),
                float(self.latitude[row]),
                int(self.utm_epsg[row]),
                () if self.dates is None else tuple(self.dates[row].tolist()),
            )

    def followed_by(self, more: LocationTable) -> LocationTable:
        """Join with a table of the next rows and the same columns, which are not copied."""
        return LocationTable(
            np.concatenate([self.location_id, more.location_id]),
            np.concatenate([self.longitude, more.longitude]),
            np.concatenate([self.latitude, more.latitude]),
            np.concatenate([self.utm_epsg, more.utm_epsg]),
            more.metadata,
            pa.concat_tables([self.table, more.table]),
        )

    def head(self, n: int) -> LocationTable:
        """First n rows; of a table as the sampler made it, the table that it makes for n."""
        if n >= len(self):
            return self
        shorter = {"n": n} if self.metadata.get("n") == len(self) else {}
        return LocationTable(
            self.location_id[:n], self.longitude[:n], self.latitude[:n], self.utm_epsg[:n],
            self.metadata | shorter, self.table.slice(0, n),
            None if self.dates is None else self.dates[:n],
        )  # fmt: skip


#: Maximum number of locations in a table; sampling takes about 300 bytes of memory for each.
MAX_LOCATIONS = 10_000_000


def sample_locations(settings: SampleSettings, n: int, first: int = 0) -> LocationTable:
    """Sample n locations, or the last of them.

    Parameters
    ----------
    settings : SampleSettings
        Options of the sampler.
    n : int
        Number of locations, at least 1. A longer table begins with the rows of a shorter one.
    first : int
        Number of locations that are left out, less than n.

    Returns
    -------
    LocationTable

    Raises
    ------
    InputError
        When a file cannot be used, n is above `MAX_LOCATIONS`, or too few points satisfy the
        settings.
    """
    if n < 1:
        raise InputError("The number of locations is not positive", f"--n {n}")
    if n > MAX_LOCATIONS:
        raise InputError(
            f"More than {MAX_LOCATIONS:,} locations",
            f"--n {n}",
            "Sample several tables with --seed",
        )
    region = Region() if settings.within is None else parse_region(settings.within)
    world = World(_reachable_cities(settings, region), load_land(settings.land), region)
    points = sample_points(settings, world, n, first)
    longitude, latitude = points["longitude"].copy(), points["latitude"].copy()
    zone = utm_epsg(longitude, latitude)
    number = np.arange(first, n, dtype=np.int64)
    columns = {
        "location_id": array_of(number),
        **_city_columns(world.cities, points["city"], points["city_distance_m"]),
        "utm_epsg": array_of(zone),
        "redraws": array_of(points["redraws"].astype(np.int32)),
        "geometry": encode_points(longitude, latitude),
    }
    return LocationTable(
        number, longitude, latitude, zone, _metadata(settings, n), pa.table(columns)
    )


def extend(metadata: dict[str, Any], n: int, first: int = 0) -> LocationTable:
    """Sample a table again with more rows.

    Parameters
    ----------
    metadata : dict
        `LocationTable.metadata` of the existing table.
    n : int
        Number of rows of the new table.
    first : int
        Number of rows that are left out.

    Returns
    -------
    LocationTable
        Begins with the rows of the existing table, or continues it.

    Raises
    ------
    InputError
        When the table has no sampler settings, or its city, land or region file has changed.
    """
    try:
        settings = SampleSettings(seed=metadata["seed"], **metadata["settings"])
        inputs = metadata["inputs"]
    except (KeyError, TypeError) as error:
        raise InputError(
            "The locations carry no sampler settings",
            "metadata",
            "Only a table made by 'caco-data sample' can be extended",
        ) from error
    for name, digest in _inputs(settings).items():
        if inputs.get(name) != digest:
            file = getattr(settings, name) or f"of caco-data {metadata.get('software', '')}"
            raise InputError(
                f"The {name} file has changed since the locations were sampled",
                str(file),
                "Restore it, or sample again",
            )
    return sample_locations(settings, n, first)


def is_sampled(locations: LocationTable) -> bool:
    """Whether a table is as the sampler made it, so that `extend` continues it.

    Number and ids of the rows, and the first `CHECKED_ROWS` points, are compared.
    """
    n = len(locations)
    if locations.metadata.get("n") != n or (locations.location_id != np.arange(n)).any():
        return False
    try:
        again = extend(locations.metadata, min(n, CHECKED_ROWS))
    except InputError as error:
        _log.warning("the locations cannot be extended: %s", error)
        return False
    return all(
        np.allclose(getattr(again, name), getattr(locations, name)[:CHECKED_ROWS], atol=1e-9)
        for name in ("longitude", "latitude")
    )


def _reachable_cities(settings: SampleSettings, region: Region) -> Cities:
    table = load_cities(settings.cities, settings.top_cities)
    if settings.within is None:
        return table
    reach_m = REACH_SIGMA * settings.sigma_m
    return table.take(region.within_reach(table.longitude, table.latitude, reach_m))


def _city_columns(
    table: Cities, city: NDArray[np.int64], distance_m: NDArray[np.float64]
) -> dict[str, pa.Array]:
    if city.size and city[0] < 0:
        types = {"city": pa.string(), "country": pa.string(), "city_population": pa.int64(),
                 "city_distance_m": pa.float64()}  # fmt: skip
        return {name: pa.nulls(city.size, kind) for name, kind in types.items()}
    rows = array_of(city.copy())
    return {
        "city": strings_of(table.name).take(rows),
        "country": strings_of(table.country).take(rows),
        "city_population": array_of(table.population[city]),
        "city_distance_m": array_of(distance_m.copy()),
    }


def _inputs(settings: SampleSettings) -> dict[str, str]:
    """SHA-256 of every file that the locations depend on."""
    used: dict[str, str | os.PathLike[str]] = {"land": settings.land or land.BUNDLED}
    if settings.strategy != "uniform":
        used["cities"] = settings.cities or cities.BUNDLED
    if settings.within is not None and Path(settings.within).exists():
        used["within"] = settings.within
    return {name: _sha256(Path(path)) for name, path in used.items()}


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"Cannot read: {error.strerror}", str(path)) from error


def _metadata(settings: SampleSettings, n: int) -> dict[str, Any]:
    choices = asdict(settings)
    seed = choices.pop("seed")
    inputs = _inputs(settings)
    own = {"cities": settings.cities, "land": settings.land}
    return {
        "software": f"caco-data {__version__}",
        "seed": seed,
        "n": n,
        "settings": choices,
        "inputs": inputs,
        "notices": [NOTICES[name] for name in sorted(own) if name in inputs and not own[name]],
    }
