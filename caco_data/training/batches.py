"""Batches of tiles, read from the shards by their offsets.

Row 2i of a batch is a location's early period and row 2i + 1 its late one, so that both are always
together. Of the five tiles of a period three different ones are read, and only these: a tile of an
uncompressed member lies at a known place. What a batch holds depends on the seed, the epoch and the
step alone, so that a run can be resumed at any step.
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

from caco_data.dataset import StackTable
from caco_data.errors import DatasetError, InputError
from caco_data.shards import NPY_HEADER_BYTES, decode

#: Tiles of a period in a step: t0 for the query and view 2, t1 for view 0, t2 for view 1.
TILES_READ = 3
#: Batches read ahead of the one in use.
AHEAD = 2
#: Locations that one reader thread takes at a time.
_LOCATIONS_A_TASK = 8


@dataclass(frozen=True)
class Batch:
    """What one step learns from."""

    locations: NDArray[np.int64]
    """(N / 2,): positions in the table of stacks."""
    tiles: Tensor
    """(3, N, C, H, W) uint16 or uint8: tiles t0, t1, t2 of each row; pinned where asked for."""


class BatchReader:
    """Reads batches with threads, ahead of their use.

    Parameters
    ----------
    stacks : StackTable
        Where the stacks lie.
    rows : int
        Rows N of a batch; even.
    seed : int
        Of the order and the choice of tiles.
    workers : int
        Reader threads.
    pinned : bool
        Whether batches lie in pinned memory, for copies to a GPU that do not wait.

    Raises
    ------
    InputError
        When `rows` is odd or wants more locations than there are, or the shards are not files.
    """

    def __init__(
        self, stacks: StackTable, rows: int, seed: int, workers: int = 4, pinned: bool = False
    ) -> None:
        locations = len(stacks.location_ids)
        if rows % 2 or rows < 2:
            raise InputError(
                f"A batch of {rows} rows",
                "--batch-size",
                "Give an even number: each location has an early and a late row",
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
        self._stacks = stacks
        self._rows = rows
        self._seed = seed
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
                waiting.append(self._start(readers, locations, choose_tiles(rng, self._rows)))
                if len(waiting) > AHEAD:
                    yield _finish(*waiting.popleft())
            while waiting:
                yield _finish(*waiting.popleft())

    def _start(
        self, readers: _Readers, locations: NDArray[np.int64], chosen: NDArray[np.int64]
    ) -> tuple[Batch, list[Future[None]]]:
        tiles = torch.empty(
            (TILES_READ, self._rows, *self._stacks.shape[1:]),
            dtype=torch.uint8 if self._stacks.dtype == np.uint8 else torch.uint16,
            pin_memory=self._pinned,
        )
        futures = readers.read(locations, chosen, tiles.numpy())
        return Batch(locations, tiles), futures


def choose_tiles(rng: np.random.Generator, rows: int, tiles: int = 5) -> NDArray[np.int64]:
    """Choose three different tiles of each row, (rows, 3), every triple equally likely."""
    return rng.random((rows, tiles)).argsort(axis=1)[:, :TILES_READ]


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
        self, locations: NDArray[np.int64], chosen: NDArray[np.int64], out: NDArray[np.generic]
    ) -> list[Future[None]]:
        """Begin to fill `out` (3, N, C, H, W)."""
        return [
            self._pool.submit(self._read_some, locations, chosen, out, start)
            for start in range(0, len(locations), _LOCATIONS_A_TASK)
        ]

    def _read_some(
        self,
        locations: NDArray[np.int64],
        chosen: NDArray[np.int64],
        out: NDArray[np.generic],
        start: int,
    ) -> None:
        for i in range(start, min(start + _LOCATIONS_A_TASK, len(locations))):
            for period in (0, 1):
                row = 2 * i + period
                self._read_tiles(int(locations[i]), period, chosen[row], out[:, row])

    def _read_tiles(
        self, location: int, period: int, chosen: NDArray[np.int64], out: NDArray[np.generic]
    ) -> None:
        """Read tiles `chosen` of a stack into `out` (3, C, H, W)."""
        stacks = self._stacks
        path = stacks.paths[stacks.shard[location]]
        offset, nbytes = (int(x[location, period]) for x in (stacks.offset, stacks.nbytes))
        try:
            file = os.open(path, os.O_RDONLY)
            try:
                if stacks.compressed:
                    stack = decode(os.pread(file, nbytes, offset), ".npy.zst")
                    np.copyto(out, stack[chosen])
                    return
                size = out[0].nbytes
                for tile, t in zip(out, chosen, strict=True):
                    data = os.pread(file, size, offset + NPY_HEADER_BYTES + int(t) * size)
                    np.copyto(tile, np.frombuffer(data, stacks.dtype).reshape(tile.shape))
            finally:
                os.close(file)
        except (OSError, ValueError) as error:
            raise DatasetError(
                f"Cannot read location {stacks.location_ids[location]}: {error}",
                path,
                "Run 'caco-data verify --repair', then 'caco-data download'",
            ) from error
