"""Batches of tiles, read from the shards at their offsets.

Rows 2i and 2i + 1 of a batch are an earlier and a later period of one location; of more than two
periods, the first and the last one, or two random ones. A data set of one period gives one row per
location. Of the tiles of a period, up to three different ones are read, and only these: the offset
of a tile in an uncompressed member is known. The contents of a batch depend only on the seed, the
epoch and the step, so that a run can be resumed at any step. If several processes share a batch,
each reads its own part.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caco_data.dataset.arrays import NPY_HEADER_BYTES
from caco_data.dataset.stack_table import Members, StackTable
from caco_data.errors import REPAIR_REMEDY, DatasetError, InputError
from caco_data.storage import reading_ranges
from caco_data.training.settings import LongTerm
from caco_data.types import TILES

#: Number of batches read ahead of the one in use.
_AHEAD = 2
#: Number of locations per task of a reader thread.
_LOCATIONS_PER_TASK = 8


@dataclass(frozen=True)
class Batch:
    """Tiles of one step."""

    locations: NDArray[np.int64]
    """(N / 2,), or (N,) with one period: positions in the table of stacks, for the whole batch."""
    tiles: tuple[Tensor, ...]
    """(T, n, C, H, W) uint16 or uint8, one tensor per pixel size: tiles t0, t1, ... of each row of
    this process."""


def check_batches(stacks: StackTable, rows: int, parts: int = 1) -> None:
    """Check that batches of this size can be read.

    Parameters
    ----------
    stacks : StackTable
        Positions of the stacks in the shards.
    rows : int
        Number of rows of a batch.
    parts : int
        Number of processes that share it.

    Raises
    ------
    InputError
        When `rows` cannot be divided into pairs per process or needs more locations than the data
        set has.
    """
    locations, each = len(stacks.location_ids), rows_per_location(stacks)
    if rows % (each * parts) or rows < 2:
        multiple = "an even number" if each * parts == 2 else f"a multiple of {each * parts}"
        pairs = ": each location has an early and a late row" if each == 2 else ", at least 2"
        raise InputError(
            f"A batch of {rows} rows on {parts} device(s)",
            "--batch-size",
            f"Use {multiple}{pairs}",
        )
    if rows // each > locations:
        raise InputError(
            f"A batch of {rows} rows needs {rows // each} locations, the data set has {locations}",
            "--batch-size",
            f"Use at most {each * locations}, or download more locations",
        )


def rows_per_location(stacks: StackTable) -> int:
    """Rows that a location has in a batch: one per period, at most two."""
    return min(2, len(stacks.layout.periods))


class BatchReader:
    """Reads batches ahead of their use, with threads.

    Parameters
    ----------
    stacks : StackTable
        Positions of the stacks in the shards.
    rows : int
        Number N of rows of a batch; an even number per process.
    seed : int
        Seed of the order of locations and the choice of tiles.
    tiles : int
        Number T of tiles per period, at most those of the data set.
    aligned : bool
        Whether both periods of a location provide tiles of the same positions in their stacks, and
        thus of the same seasons (paper, equation 3).
    workers : int
        Number of reader threads.
    pinned : bool
        Whether to allocate pinned memory, for asynchronous copies to a GPU.
    long_term : {"last", "random"}
        Of more than two periods, the first and the last one, or two random ones, make a pair.
    part : tuple of int
        Index of the part of each batch to read, and number of parts.

    Raises
    ------
    InputError
        As in `check_batches`.
    """

    def __init__(
        self,
        stacks: StackTable,
        rows: int,
        seed: int,
        tiles: int = 3,
        aligned: bool = True,
        workers: int = 4,
        pinned: bool = False,
        part: tuple[int, int] = (0, 1),
        long_term: LongTerm = "last",
    ) -> None:
        check_batches(stacks, rows, part[1])
        locations = len(stacks.location_ids)
        self._stacks = stacks
        self._rows = rows
        self._seed = seed
        self._tiles = tiles
        self._each = rows_per_location(stacks)
        self._aligned = aligned and self._each == 2
        self._long_term = long_term
        self._part = part
        self._workers = workers
        self._pinned = pinned
        self.steps = locations // (rows // self._each)
        """Number of batches per epoch; remaining locations are skipped in this epoch's order."""

    def epoch(self, epoch: int, first_step: int = 0) -> Generator[Batch, None, None]:
        """Read the batches of an epoch from a step on.

        Raises
        ------
        DatasetError
            When a tile cannot be read; names its location and shard.
        """
        order = np.random.default_rng([self._seed, epoch]).permutation(
            len(self._stacks.location_ids)
        )
        per_batch = self._rows // self._each
        with closing(Readers(self._stacks, self._workers)) as readers:
            waiting: deque[tuple[Batch, list[Future[None]]]] = deque()
            for step in range(first_step, self.steps):
                locations = order[step * per_batch : (step + 1) * per_batch]
                rng = np.random.default_rng([self._seed, epoch, step])
                of = self._stacks.layout.tiles
                chosen = choose_tiles(rng, self._rows, self._tiles, self._aligned, of)
                waiting.append(self._start(readers, locations, self._periods(rng), chosen))
                if len(waiting) > _AHEAD:
                    yield _finish(*waiting.popleft())
            while waiting:
                yield _finish(*waiting.popleft())

    def _periods(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Choose the period of each row, (rows,)."""
        count = len(self._stacks.layout.periods)
        pairs = self._rows // self._each
        if self._long_term == "random" and count > 2:
            drawn = rng.random((pairs, count)).argsort(axis=1)[:, :2]
            return np.sort(drawn, axis=1).ravel()
        return np.tile(np.unique([0, count - 1]), pairs)

    def _start(
        self,
        readers: Readers,
        locations: NDArray[np.int64],
        periods: NDArray[np.int64],
        chosen: NDArray[np.int64],
    ) -> tuple[Batch, list[Future[None]]]:
        number, parts = self._part
        size = len(locations) // parts
        own = slice(number * size, (number + 1) * size)
        rows = slice(self._each * own.start, self._each * own.stop)
        tiles = tuple(
            torch.empty(
                (self._tiles, self._each * size, len(member.bands), *member.shape[2:]),
                dtype=torch.uint8 if self._stacks.dtype == np.uint8 else torch.uint16,
                pin_memory=self._pinned,
            )
            for member in self._stacks.members
        )
        futures = readers.read(
            locations[own],
            periods[rows],
            chosen[rows],
            [tensor.numpy() for tensor in tiles],
        )
        return Batch(locations, tiles), futures


def choose_tiles(
    rng: np.random.Generator, rows: int, tiles: int = 3, aligned: bool = True, of: int = TILES
) -> NDArray[np.int64]:
    """Choose different tiles of `of` for each row at random, (rows, tiles), uniformly."""
    if aligned:
        return choose_tiles(rng, rows // 2, tiles, False, of).repeat(2, axis=0)
    return rng.random((rows, of)).argsort(axis=1)[:, :tiles]


def _finish(batch: Batch, futures: list[Future[None]]) -> Batch:
    for future in futures:
        future.result()
    return batch


class Readers:
    """Threads that fill batches."""

    def __init__(self, stacks: StackTable, workers: int) -> None:
        self._stacks = stacks
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="tiles")

    def close(self) -> None:
        """Cancel the tasks that have not started and wait for the others."""
        self._pool.shutdown(cancel_futures=True)

    def read(
        self,
        locations: NDArray[np.int64],
        periods: NDArray[np.int64],
        chosen: NDArray[np.int64],
        out: list[NDArray[np.generic]],
    ) -> list[Future[None]]:
        """Start to fill `out`, one array (T, n, C, H, W) per pixel size.

        `periods` (n,) and `chosen` (n, T) have the period and the tiles of each row.
        """
        return [
            self._pool.submit(self._read_some, locations, periods, chosen, out, start)
            for start in range(0, len(locations), _LOCATIONS_PER_TASK)
        ]

    def _read_some(
        self,
        locations: NDArray[np.int64],
        periods: NDArray[np.int64],
        chosen: NDArray[np.int64],
        out: list[NDArray[np.generic]],
        start: int,
    ) -> None:
        each = len(periods) // len(locations)
        for i in range(start, min(start + _LOCATIONS_PER_TASK, len(locations))):
            location = int(locations[i])
            path = self._stacks.paths[self._stacks.shard[location]]
            try:
                with reading_ranges(path) as read:
                    for member, array in zip(self._stacks.members, out, strict=True):
                        for row in range(each * i, each * (i + 1)):
                            period = periods[row]
                            at = int(member.offset[location, period])
                            nbytes = int(member.nbytes[location, period])
                            self._read_tiles(read, at, nbytes, member, chosen[row], array[:, row])
            except (OSError, ValueError) as error:
                raise DatasetError(
                    f"Cannot read location {self._stacks.location_ids[location]}: {error}",
                    path,
                    REPAIR_REMEDY,
                ) from error

    def _read_tiles(
        self,
        read: Callable[[int, int], bytes],
        offset: int,
        nbytes: int,
        member: Members,
        chosen: NDArray[np.int64],
        out: NDArray[np.generic],
    ) -> None:
        """Read the tiles `chosen` of a member into `out` (T, C, H, W)."""
        channels = list(member.channels)
        if self._stacks.compressed:
            stack = self._stacks.format(member).decode(read(nbytes, offset))
            np.copyto(out, stack[chosen][:, channels])
            return
        dtype, shape = self._stacks.dtype, member.shape[1:]
        size = int(np.prod(shape)) * dtype.itemsize
        for tile, t in zip(out, chosen, strict=True):
            data = read(size, offset + NPY_HEADER_BYTES + int(t) * size)
            if len(data) < size:
                raise ValueError("the shard is truncated")
            np.copyto(tile, np.frombuffer(data, dtype).reshape(shape)[channels])
