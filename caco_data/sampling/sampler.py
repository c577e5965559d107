"""The draw: which points, as pure numbers (paper, section 3.5).

Every row has its own random numbers: those of draw `attempt` of row `i` depend on nothing but the
seed, `attempt` and `i`, whichever other rows are drawn. So a longer table begins with the rows of
a shorter one, and a row can be drawn again by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Philox
from numpy.typing import NDArray
from pyproj import Geod

from caco_data.errors import InputError
from caco_data.grid import patch_corners, utm_epsg
from caco_data.sampling.overlap import Patch, PlacedPatches, patches
from caco_data.sampling.settings import SampleSettings
from caco_data.world.cities import Cities
from caco_data.world.land import LandMask
from caco_data.world.region import Region

#: Where UTM is defined; Sentinel-2 sees no land beyond.
LATITUDE_MIN, LATITUDE_MAX = -80.0, 84.0

#: Rows drawn at once: few enough for the processor's caches.
CHUNK_ROWS = 16_384
#: Rows drawn at once where they depend on those before them.
BLOCK_ROWS = 1_024
#: Rows that the generator skips: for fewer, drawing their numbers in vain is faster.
SKIP_ROWS = 256
#: A city farther than this many sigma from the region is left out: 1 draw in 66 million.
REACH_SIGMA = 6.0
#: A row that fails so often makes the draw fail ...
MAX_ATTEMPTS = 50_000
#: ... and so does a chunk of rows of which fewer are accepted, once it is clear.
MIN_ACCEPTED, CLEAR_AFTER = 2e-4, 1_000_000

_WGS84 = Geod(ellps="WGS84")

#: A drawn point: degrees; position in the city table (-1 for `uniform`) and geodesic distance from
#: it in metres (NaN for `uniform`); how many draws were rejected before this one.
DRAW = np.dtype(
    [
        ("longitude", np.float64),
        ("latitude", np.float64),
        ("city", np.int64),
        ("city_distance_m", np.float64),
        ("redraws", np.int64),
    ]
)

Draws = NDArray[np.void]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class World:
    """What the draw looks at."""

    cities: Cities
    """The cities to choose from; unused by `uniform`."""
    land: LandMask
    region: Region


def draw(settings: SampleSettings, world: World, n: int) -> Draws:
    """Draw n points.

    Parameters
    ----------
    settings : SampleSettings
        What to draw; the files it names are already read into `world`.
    world : World
        Cities, land and region.
    n : int
        How many.

    Returns
    -------
    ndarray of DRAW, shape (n,)
        Row i depends on the settings, the world and i only; with `no_overlap`, on the rows before
        it too.

    Raises
    ------
    InputError
        When the settings leave no room, or too little to be found by drawing.
    """
    if settings.strategy != "uniform" and not len(world.cities):
        raise InputError(
            "No city can reach the region", f"--within {settings.within}",
            "Raise --top-cities, enlarge the region, or use --strategy uniform",
        )  # fmt: skip
    if settings.no_overlap:
        return _settle_apart(settings, world, n)
    chunks = (np.arange(first, min(first + CHUNK_ROWS, n)) for first in range(0, n, CHUNK_ROWS))
    return np.concatenate([_settle(settings, world, rows) for rows in chunks])


def random_words(seed: int, rows: Integers, attempts: Integers) -> NDArray[np.uint64]:
    """Four random words for every pair of a row and an attempt.

    Parameters
    ----------
    seed : int
        The key of the generator (Philox 4x64; Salmon et al., 2011).
    rows, attempts : ndarray of int64, shape (N,)
        The counter. Row i and attempt a give the block of counter `i + 1 + 2**64 a`, since numpy
        counts before it draws.

    Returns
    -------
    ndarray of uint64, shape (N, 4)
    """
    generator = Philox(key=np.array([seed, 0], dtype=np.uint64), counter=0)
    pair = attempts << 40 | rows  # 2**40 rows are beyond any n
    order = np.argsort(pair, kind="stable")
    pair = pair[order]
    words = np.empty((pair.size, 4), dtype=np.uint64)
    position = 0
    for run in np.split(np.arange(pair.size), np.flatnonzero(np.diff(pair) > SKIP_ROWS) + 1):
        first, last = int(pair[run[0]]), int(pair[run[-1]])
        counter = (first >> 40 << 64) + first % 2**40
        generator.advance(counter - position)
        position = counter + last - first + 1
        drawn = generator.random_raw(4 * (last - first + 1)).reshape(-1, 4)
        words[order[run]] = drawn[pair[run] - first]
    return words


def _propose(
    settings: SampleSettings, world: World, rows: Integers, attempts: Integers
) -> tuple[Draws, NDArray[np.bool_]]:
    """Draws of pairs of a row and an attempt (N,), and whether each may stand."""
    words = random_words(settings.seed, rows, attempts)
    # The 53 bits of a double, 0 <= u < 1.
    u = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
    draws = np.empty(rows.size, dtype=DRAW)
    draws["redraws"] = attempts
    place = _place_uniformly if settings.strategy == "uniform" else _place_near_city
    place(settings, world, u, draws)

    longitude, latitude = draws["longitude"], draws["latitude"]
    stands = (latitude >= LATITUDE_MIN) & (latitude <= LATITUDE_MAX)
    if settings.within is not None:
        stands &= world.region.contains(longitude, latitude)
    on_land = world.land.contains(longitude[stands], latitude[stands])
    if settings.strategy != "uniform":
        at_sea = np.flatnonzero(stands)[~on_land]
        lon, lat = longitude[at_sea], latitude[at_sea]
        # The point is off land, so its patch holds some just when a shore crosses the patch.
        on_land[~on_land] = world.land.touches(*patch_corners(lon, lat, utm_epsg(lon, lat)))
    stands[stands] = on_land
    return draws, stands


def _place_near_city(
    settings: SampleSettings, world: World, u: NDArray[np.float64], draws: Draws
) -> None:
    cities = world.cities
    city = (u[:, 0] * len(cities)).astype(np.int64)
    # Box and Muller: the radius of a 2-D Gaussian is Rayleigh's, its direction uniform. Laid off
    # along a geodesic, so that a kilometre is one at every latitude and in every direction.
    distance = settings.sigma_m * np.sqrt(-2.0 * np.log1p(-u[:, 1]))
    longitude, latitude, _ = _WGS84.fwd(
        cities.longitude[city], cities.latitude[city], 360.0 * u[:, 2], distance
    )
    draws["longitude"], draws["latitude"] = longitude, latitude
    draws["city"], draws["city_distance_m"] = city, distance


def _place_uniformly(
    settings: SampleSettings, world: World, u: NDArray[np.float64], draws: Draws
) -> None:
    region = world.region
    latitudes = np.clip([region.latitude_min, region.latitude_max], LATITUDE_MIN, LATITUDE_MAX)
    south, north = np.sin(np.radians(latitudes))
    width = region.longitude_max - region.longitude_min
    draws["longitude"] = (region.longitude_min + u[:, 0] * width + 180.0) % 360.0 - 180.0
    draws["latitude"] = np.degrees(np.arcsin(south + u[:, 1] * (north - south)))
    draws["city"], draws["city_distance_m"] = -1, np.nan


def _settle(settings: SampleSettings, world: World, rows: Integers) -> Draws:
    """For each row, the first draw that stands."""
    settled = np.empty(rows.size, dtype=DRAW)
    pending = np.arange(rows.size)
    attempt, proposed, ahead = 0, 0, 1
    while pending.size:
        _check_hope(settings, attempt, proposed, rows.size - pending.size)
        attempts = np.repeat(np.arange(attempt, attempt + ahead), pending.size)
        draws, stands = _propose(settings, world, np.tile(rows[pending], ahead), attempts)
        stands = stands.reshape(ahead, pending.size)
        found = np.flatnonzero(stands.any(axis=0))
        settled[pending[found]] = draws.reshape(ahead, -1)[stands.argmax(axis=0)[found], found]
        pending = np.delete(pending, found)
        proposed += attempts.size
        attempt += ahead
        # Rows that keep failing are given more and more attempts at once, while they are few.
        ahead = max(1, min(attempt, 64, 4096 // max(pending.size, 1)))
    return settled


def _settle_apart(settings: SampleSettings, world: World, n: int) -> Draws:
    """Row after row, the first draw that stands and keeps clear of the rows before."""
    placed = PlacedPatches()
    settled = np.empty(n, dtype=DRAW)
    ahead = 1  # attempts of a row that are made together with those of the whole block
    for first in range(0, n, BLOCK_ROWS):
        rows = np.arange(first, min(first + BLOCK_ROWS, n))
        draws, start = _standing(settings, world, rows, 0, ahead)
        candidates = _patches(draws)
        alone = 0
        for i, row in enumerate(rows.tolist()):
            k = placed.place_first(candidates[start[i] : start[i + 1]])
            if k is not None:
                settled[row] = draws[start[i] + k]
            else:
                alone += 1
                settled[row] = _draw_alone(settings, world, row, ahead, placed)
        if alone > len(rows) // 100:
            ahead = min(2 * ahead, 64)
    return settled


def _draw_alone(
    settings: SampleSettings, world: World, row: int, attempt: int, placed: PlacedPatches
) -> Draws:
    """A row's first draw, from an attempt on, that stands and keeps clear; shape ()."""
    while True:
        _check_hope(settings, attempt, attempt, 0)
        ahead = min(max(attempt, 8), 64)
        draws, _ = _standing(settings, world, np.array([row]), attempt, attempt + ahead)
        k = placed.place_first(_patches(draws))
        if k is not None:
            return np.asarray(draws[k])
        attempt += ahead


def _standing(
    settings: SampleSettings, world: World, rows: Integers, first: int, last: int
) -> tuple[Draws, Integers]:
    """Draws `first` to `last - 1` that stand, ordered by row, and where each row's begin."""
    attempts = np.arange(first, last)
    draws, stands = _propose(
        settings, world, np.repeat(rows, attempts.size), np.tile(attempts, rows.size)
    )
    count = stands.reshape(rows.size, attempts.size).sum(axis=1)
    return draws[stands], np.concatenate([[0], np.cumsum(count)])


def _patches(draws: Draws) -> list[Patch]:
    longitude, latitude = draws["longitude"], draws["latitude"]
    return patches(longitude, latitude, utm_epsg(longitude, latitude))


def _check_hope(settings: SampleSettings, attempt: int, proposed: int, accepted: int) -> None:
    """Fail rather than draw for ever."""
    rare = proposed >= CLEAR_AFTER and accepted < MIN_ACCEPTED * proposed
    if attempt < MAX_ATTEMPTS and not rare:
        return
    limits, remedies = [f"--strategy {settings.strategy}"], []
    for option, value in (("cities", settings.cities), ("land", settings.land)):
        limits += [f"--{option} {value}"] if value else []
    if settings.strategy != "uniform":
        remedies += ["raise --sigma-km", "raise --top-cities"]
    if settings.within is not None:
        limits += [f"--within {settings.within}"]
        remedies += ["enlarge the region"]
    if settings.no_overlap:
        limits += ["--no-overlap"]
        remedies += ["ask for fewer locations", "leave out --no-overlap"]
    remedy = " or ".join(remedies or ["give other land"])
    raise InputError(
        f"No room found: {accepted:,} of the last {proposed:,} draws could be used",
        ", ".join(limits), remedy[0].upper() + remedy[1:],
    )  # fmt: skip
