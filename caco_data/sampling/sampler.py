"""The sampler: the first usable candidate point of each row.

The random numbers of attempt `a` of row `i` depend on the seed, `a` and `i` only. Therefore a
longer table begins with the rows of a shorter one, and a row can be computed by itself.
"""

from __future__ import annotations

import numpy as np

from caco_data.errors import InputError
from caco_data.grid import utm_epsg
from caco_data.sampling.candidates import POINT, Points, World, candidate_points
from caco_data.sampling.overlap import Patch, PlacedPatches, patches
from caco_data.sampling.random_words import Integers
from caco_data.sampling.settings import SampleSettings

#: Rows processed together: their arrays fit in the processor's caches.
CHUNK_ROWS = 16_384
#: Rows processed together without overlap, where a row depends on those before it.
BLOCK_ROWS = 1_024
#: Cities farther than this from the region, in sigma, are left out; only 1 in 66 million of their
#: points would be as far away.
REACH_SIGMA = 6.0
#: Attempts of one row after which sampling fails.
MAX_ATTEMPTS = 50_000
#: Sampling also fails when, after `CHECK_AFTER` attempts of a chunk, less than the fraction
#: `MIN_USABLE` of them was usable.
MIN_USABLE, CHECK_AFTER = 2e-4, 1_000_000


def sample_points(settings: SampleSettings, world: World, n: int, first: int = 0) -> Points:
    """Sample n points, or the last of them.

    Parameters
    ----------
    settings : SampleSettings
        Options; the files that they name are already read into `world`.
    world : World
        Cities, land and region.
    n : int
        Number of points.
    first : int
        Number of points that are left out.

    Returns
    -------
    ndarray of POINT, shape (n - first,)
        Row i depends on the settings, the world and i only; with `no_overlap`, also on the rows
        before it.

    Raises
    ------
    InputError
        When no city is near the region, or too few attempts give a usable point.
    """
    if settings.strategy != "uniform" and not len(world.cities):
        raise InputError(
            "No city is near the region", f"--within {settings.within}",
            "Raise --top-cities, enlarge the region, or use --strategy uniform",
        )  # fmt: skip
    if settings.no_overlap:
        return _sample_without_overlap(settings, world, n)[first:]
    starts = range(first, n, CHUNK_ROWS)
    chunks = (np.arange(start, min(start + CHUNK_ROWS, n)) for start in starts)
    return np.concatenate([_first_usable(settings, world, rows) for rows in chunks])


def _first_usable(settings: SampleSettings, world: World, rows: Integers) -> Points:
    """First usable point of each row."""
    accepted = np.empty(rows.size, dtype=POINT)
    pending = np.arange(rows.size)
    attempt, tried, ahead = 0, 0, 1
    while pending.size:
        _check_progress(settings, attempt, tried, rows.size - pending.size)
        attempts = np.repeat(np.arange(attempt, attempt + ahead), pending.size)
        points, usable = candidate_points(settings, world, np.tile(rows[pending], ahead), attempts)
        usable = usable.reshape(ahead, pending.size)
        found = np.flatnonzero(usable.any(axis=0))
        accepted[pending[found]] = points.reshape(ahead, -1)[usable.argmax(axis=0)[found], found]
        pending = np.delete(pending, found)
        tried += attempts.size
        attempt += ahead
        # Try more attempts per row at once as fewer rows remain.
        ahead = max(1, min(attempt, 64, 4096 // max(pending.size, 1)))
    return accepted


def _sample_without_overlap(settings: SampleSettings, world: World, n: int) -> Points:
    """First usable point of each row that does not overlap the rows before."""
    placed = PlacedPatches()
    accepted = np.empty(n, dtype=POINT)
    ahead = 1  # attempts of each row that are made together with those of the whole block
    for first in range(0, n, BLOCK_ROWS):
        rows = np.arange(first, min(first + BLOCK_ROWS, n))
        points, start = _usable_points(settings, world, rows, 0, ahead)
        candidates = _patches(points)
        retried = 0
        for i, row in enumerate(rows.tolist()):
            k = placed.place_first(candidates[start[i] : start[i + 1]])
            if k is not None:
                accepted[row] = points[start[i] + k]
            else:
                retried += 1
                accepted[row] = _retry_row(settings, world, row, ahead, placed)
        if retried > len(rows) // 100:
            ahead = min(2 * ahead, 64)
    return accepted


def _retry_row(
    settings: SampleSettings, world: World, row: int, attempt: int, placed: PlacedPatches
) -> Points:
    """First usable point of a row without overlap, starting at an attempt; shape ()."""
    while True:
        _check_progress(settings, attempt, attempt, 0)
        ahead = min(max(attempt, 8), 64)
        points, _ = _usable_points(settings, world, np.array([row]), attempt, attempt + ahead)
        k = placed.place_first(_patches(points))
        if k is not None:
            return np.asarray(points[k])
        attempt += ahead


def _usable_points(
    settings: SampleSettings, world: World, rows: Integers, first: int, last: int
) -> tuple[Points, Integers]:
    """Usable points of attempts `first` to `last - 1`, by row, and the first point of each row."""
    attempts = np.arange(first, last)
    points, usable = candidate_points(
        settings, world, np.repeat(rows, attempts.size), np.tile(attempts, rows.size)
    )
    count = usable.reshape(rows.size, attempts.size).sum(axis=1)
    return points[usable], np.concatenate([[0], np.cumsum(count)])


def _patches(points: Points) -> list[Patch]:
    longitude, latitude = points["longitude"], points["latitude"]
    return patches(longitude, latitude, utm_epsg(longitude, latitude))


def _check_progress(settings: SampleSettings, attempt: int, tried: int, accepted: int) -> None:
    """Raise InputError when too few attempts succeed, instead of continuing without end."""
    too_few = tried >= CHECK_AFTER and accepted < MIN_USABLE * tried
    if attempt < MAX_ATTEMPTS and not too_few:
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
        remedies += ["sample fewer locations", "leave out --no-overlap"]
    remedy = " or ".join(remedies or ["use another --land file"])
    raise InputError(
        f"Could not place enough locations: only {accepted:,} of the last {tried:,} attempts were "
        "usable", ", ".join(limits), remedy[0].upper() + remedy[1:],
    )  # fmt: skip
