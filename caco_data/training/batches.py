"""Batches of tiles, read from the shards by their offsets.

Row 2i of a batch is a location's early period and row 2i + 1 its late one, so that both are always
together. Of the five tiles of a period up to three different ones are read, and only these: a tile
of an uncompressed member lies at a known place. What a batch holds depends on the seed, the epoch
and the step alone, so that a run can be resumed at any step. Of several processes each reads its
own part of every batch.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caco_data.dataset.shards import NPY_HEADER_BYTES, decode
from caco_data.dataset.stack_table import Members, StackTable
from caco_data.errors import REPAIR_REMEDY, DatasetError, InputError
from caco_data.types import TILES

#: Batches read ahead of the one in use.
AHEAD = 2
#: Locations that one reader thread takes at a time.
_LOCATIONS_A_TASK = 8


@dataclass(frozen=True)
class Batch:
    """What one step learns from."""

    locations: NDArray[np.int64]
    """(N / 2,): positions in the table of stacks, those of all processes."""
    tiles: tuple[Tensor, ...]
    """(T, n, C, H, W) uint16 or uint8 by pixel size: tiles t0, t1, ... of each row of this process;
    pinned where asked for."""


def check_batches(stacks: StackTable, rows: int, parts: int = 1) -> None:
    """Refuse batches that cannot be made.

    Parameters
    ----------
    stacks : StackTable
        Where the stacks lie.
    rows : int
        Rows of a batch.
    parts : int
        Processes that share it.

    Raises
    ------
    InputError
        When `rows` does not split into pairs or wants more locations than there are, or the shards
        are not files.
    """
    locations = len(stacks.location_ids)
    if rows % (2 * parts) or rows < 2:
        multiple = "an even number" if parts == 1 else f"a multiple of {2 * parts}"
        raise InputError(
            f"A batch of {rows} rows on {parts} device(s)",
            "--batch-size",
            f"Give {multiple}: each location has an early and a late row",
        )
    if rows // 2 > locations:
        raise InputError(
            f"A batch of {rows} rows wants {rows // 2} locations, the data set has {locations}",
            "--batch-size",
            f"Give at most {2 * locations}, or download more locations",
        )
    if any("://" in path for path in stacks.paths):
        raise InputError(
            "Training reads tiles at their offsets in local files",
            stacks.paths[0],
            "Copy the data set to a local or mounted disk",
        )


class BatchReader:
    """Reads batches with threads, ahead of their use.

    Parameters
    ----------
    stacks : StackTable
        Where the stacks lie.
    rows : int
        Rows N of a batch, even for each process.
    seed : int
        Of the order and the choice of tiles.
    tiles : int
        Tiles T of a period that a step needs, at most 5.
    aligned : bool
        Whether both periods of a location give the same places of their stacks, which are in the
        same seasons (paper, equation 3).
    part : tuple of int
        Which part of each batch to read, of how many.
    workers : int
        Reader threads.
    pinned : bool
        Whether batches lie in pinned memory, for copies to a GPU that do not wait.

    Raises
    ------
    InputError
        As `check_batches`.
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
    ) -> None:
        check_batches(stacks, rows, part[1])
        locations = len(stacks.location_ids)
        self._stacks = stacks
        self._rows = rows
        self._seed = seed
        self._tiles = tiles
        self._aligned = aligned
        self._part = part
        self._workers = workers
        self._pinned = pinned
        self.steps = locations // (rows // 2)
        """Batches in an epoch; the rest of the locations waits for another order."""

    def epoch(self, epoch: int, first_step: int = 0) -> Generator[Batch, None, None]:
        """Read an epoch's batches from a step on.

        Raises
        ------
        DatasetError
            When a tile cannot be read whole, naming its location and shard.
        """
        order = np.random.default_rng([self._seed, epoch]).permutation(
            len(self._stacks.location_ids)
        )
        per_batch = self._rows // 2
        with closing(_Readers(self._stacks, self._workers)) as readers:
            waiting: deque[tuple[Batch, list[Future[None]]]] = deque()
            for step in range(first_step, self.steps):
                locations = order[step * per_batch : (step + 1) * per_batch]
                rng = np.random.default_rng([self._seed, epoch, step])
                chosen = choose_tiles(rng, self._rows, self._tiles, self._aligned)
                waiting.append(self._start(readers, locations, chosen))
                if len(waiting) > AHEAD:
                    yield _finish(*waiting.popleft())
            while waiting:
                yield _finish(*waiting.popleft())

    def _start(
        self, readers: _Readers, locations: NDArray[np.int64], chosen: NDArray[np.int64]
    ) -> tuple[Batch, list[Future[None]]]:
        number, parts = self._part
        size = len(locations) // parts
        mine = slice(number * size, (number + 1) * size)
        tiles = tuple(
            torch.empty(
                (self._tiles, 2 * size, len(member.bands), *member.shape[2:]),
                dtype=torch.uint8 if self._stacks.dtype == np.uint8 else torch.uint16,
                pin_memory=self._pinned,
            )
            for member in self._stacks.members
        )
        futures = readers.read(
            locations[mine],
            chosen[2 * mine.start : 2 * mine.stop],
            [tensor.numpy() for tensor in tiles],
        )
        return Batch(locations, tiles), futures


def choose_tiles(
    rng: np.random.Generator, rows: int, tiles: int = 3, aligned: bool = True
) -> NDArray[np.int64]:
    """Choose different tiles of each row, (rows, tiles), every choice equally likely."""
    if aligned:
        return choose_tiles(rng, rows // 2, tiles, aligned=False).repeat(2, axis=0)
    return rng.random((rows, TILES)).argsort(axis=1)[:, :tiles]


def _finish(batch: Batch, futures: list[Future[None]]) -> Batch:
    for future in futures:
        future.result()
    return batch


class _Readers:
    """Threads that fill batches."""

    def __init__(self, stacks: StackTable, workers: int) -> None:
        self._stacks = stacks
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="tiles")

    def close(self) -> None:
        """Drop what is not begun, and wait for the rest."""
        self._pool.shutdown(cancel_futures=True)

    def read(
        self,
        locations: NDArray[np.int64],
        chosen: NDArray[np.int64],
        out: list[NDArray[np.generic]],
    ) -> list[Future[None]]:
        """Begin to fill `out`, arrays (T, n, C, H, W) by pixel size."""
        return [
            self._pool.submit(self._read_some, locations, chosen, out, start)
            for start in range(0, len(locations), _LOCATIONS_A_TASK)
        ]

    def _read_some(
        self,
        locations: NDArray[np.int64],
        chosen: NDArray[np.int64],
        out: list[NDArray[np.generic]],
        start: int,
    ) -> None:
        for i in range(start, min(start + _LOCATIONS_A_TASK, len(locations))):
            location = int(locations[i])
            path = self._stacks.paths[self._stacks.shard[location]]
            try:
                file = os.open(path, os.O_RDONLY)
                try:
                    for member, array in zip(self._stacks.members, out, strict=True):
                        for period in (0, 1):
                            row = 2 * i + period
                            at = int(member.offset[location, period])
                            nbytes = int(member.nbytes[location, period])
                            self._read_tiles(file, at, nbytes, member, chosen[row], array[:, row])
                finally:
                    os.close(file)
            except (OSError, ValueError) as error:
                raise DatasetError(
                    f"Cannot read location {self._stacks.location_ids[location]}: {error}",
                    path,
                    REPAIR_REMEDY,
                ) from error

    def _read_tiles(
        self,
        file: int,
        offset: int,
        nbytes: int,
        member: Members,
        chosen: NDArray[np.int64],
        out: NDArray[np.generic],
    ) -> None:
        """Read tiles `chosen` of a member into `out` (T, C, H, W)."""
        channels = list(member.channels)
        if self._stacks.compressed:
            stack = decode(os.pread(file, nbytes, offset), ".npy.zst")
            np.copyto(out, stack[chosen][:, channels])
            return
        dtype, shape = self._stacks.dtype, member.shape[1:]
        size = int(np.prod(shape)) * dtype.itemsize
        for tile, t in zip(out, chosen, strict=True):
            data = os.pread(file, size, offset + NPY_HEADER_BYTES + int(t) * size)
            if len(data) < size:
                raise ValueError("the shard ends before it")
            np.copyto(tile, np.frombuffer(data, dtype).reshape(shape)[channels])
