"""Estimate of change from the pixels: the most changed part of a patch.

Change is local: a few per cent of a patch at most. A globally pooled embedding of a random crop
hardly depends on it, while the pixels of the place itself do. Each tile is reduced to cells of
40 m; the mean difference of a cell between the periods is divided by its mean difference between
the dates of one period. docs/learning.md compares variants.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor

from caco_data.dataset.stack_table import StackTable
from caco_data.sentinel2 import PIXEL_M
from caco_data.training.batches import Readers
from caco_data.training.change_labels import ChangeLabels
from caco_data.training.settings import MixtureKind
from caco_data.types import PATCH_M, PERIODS, TILES

_log = logging.getLogger(__name__)
#: Side of a cell, metres: differences of single pixels come from misregistration.
CELL_M = 40
#: Part of the cells of a patch that may change more than its ratio: 3.5 ha.
LARGEST = 0.005
#: Added to the differences within a period: the residual differences of the air and the sun, in
#: standard deviations of a tile.
FLOOR = 0.43
#: Minimum value before the logarithm, DN, and minimum standard deviation of the logarithms.
_DARK_DN, _LEAST_DEVIATION = 50.0, 0.03
#: DN of a unit of the dtype uint8.
_UINT8_DN = 10_000 / 255
#: Locations that are read together, and groups read ahead.
_TOGETHER, _AHEAD = 8, 2
#: Time between two lines of progress, seconds.
_REPORT_S = 30.0


class LocalChange(ChangeLabels):
    """Change ratio and place of the largest change of every location, from the pixels.

    Parameters
    ----------
    locations : int
        Number L of locations.
    device : torch.device
        Device of the labels.
    mixture : {"log", "raw"}
        As in `fit_mixture`.
    """

    def __init__(self, locations: int, device: torch.device, mixture: MixtureKind = "log") -> None:
        super().__init__(locations, device, mixture)
        self.ratio = torch.full((locations,), torch.nan, dtype=torch.float64)
        """(L,): change ratio; NaN before `measure`."""
        self.place = torch.zeros(locations, 2, dtype=torch.int64)
        """(L, 2): row and column of the middle of the most changed cell, in 10 m pixels."""

    def ratios(self) -> NDArray[np.float64]:
        """Change ratio per location, (L,); NaN before `measure`."""
        found: NDArray[np.float64] = self.ratio.numpy()
        return found

    def measure(self, stacks: StackTable, workers: int, fabric: Fabric) -> None:
        """Measure all locations and fit the labels, once per run.

        Parameters
        ----------
        stacks : StackTable
            Positions of the stacks in the shards.
        workers : int
            Number of reader threads.
        fabric : Fabric
            Processes of the run; each measures its part of the locations.

        Raises
        ------
        DatasetError
            When a tile cannot be read.
        """
        own = np.arange(fabric.global_rank, len(stacks.location_ids), fabric.world_size)
        found = np.zeros((len(stacks.location_ids), 3))
        dn = _UINT8_DN if stacks.dtype == np.uint8 else 1.0
        began = reported = time.monotonic()
        done = 0
        for locations, tiles in _read(stacks, own, workers):
            for location, pair in zip(locations.tolist(), tiles, strict=True):
                found[location] = local_change(pair, dn)
            done += len(locations)
            if time.monotonic() - reported > _REPORT_S:
                reported = time.monotonic()
                left = (reported - began) / done * (len(own) - done)
                _log.info("Change estimate: %d of %d locations, %.0f s left", done, len(own), left)
        table = torch.from_numpy(found)
        if fabric.world_size > 1:
            summed = fabric.all_reduce(table.to(fabric.device), reduce_op="sum")
            table = torch.as_tensor(summed).cpu()
        self.ratio.copy_(table[:, 0])
        self.place.copy_(table[:, 1:].long())
        self.fit()

    def state_dict(self) -> dict[str, Tensor]:
        """Return the state as tensors, for a checkpoint."""
        return {"ratio": self.ratio, "place": self.place, **super().state_dict()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore the state of a checkpoint of the same locations."""
        super().load_state_dict(state)
        self.ratio.copy_(state["ratio"])
        self.place.copy_(state["place"])


def _read(
    stacks: StackTable, locations: NDArray[np.int64], workers: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[Any]]]:
    """Read all tiles of some locations with the bands of the finest pixels.

    Yields
    ------
    locations : ndarray, shape (n,)
    tiles : ndarray of uint16 or uint8, shape (n, 2, T, C, H, W)
    """
    stacks = replace(stacks, members=stacks.members[:1])
    (member,) = stacks.members
    _, _, height, width = member.shape
    with closing(Readers(stacks, workers)) as readers:
        waiting: deque[tuple[NDArray[np.int64], NDArray[Any], list[Future[None]]]] = deque()
        for start in range(0, len(locations), _TOGETHER):
            some = locations[start : start + _TOGETHER]
            rows = len(PERIODS) * len(some)
            out = np.empty((TILES, rows, len(member.bands), height, width), stacks.dtype)
            chosen = np.tile(np.arange(TILES), (rows, 1))
            waiting.append((some, out, readers.read(some, chosen, [out])))
            if len(waiting) > _AHEAD:
                yield _finished(*waiting.popleft())
        while waiting:
            yield _finished(*waiting.popleft())


def _finished(
    locations: NDArray[np.int64], tiles: NDArray[Any], futures: list[Future[None]]
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    for future in futures:
        future.result()
    by_location = tiles.reshape(TILES, -1, len(PERIODS), *tiles.shape[2:])
    return locations, by_location.transpose(1, 2, 0, 3, 4, 5)


def local_change(tiles: NDArray[Any], dn: float = 1.0) -> tuple[float, int, int]:
    """Change ratio of a location and the place of its largest change.

    Parameters
    ----------
    tiles : ndarray, shape (2, T, C, H, W)
        All tiles of both periods.
    dn : float
        DN of a unit of `tiles`.

    Returns
    -------
    ratio : float
        Ratio that `LARGEST` of the cells exceed.
    row, column : int
        Middle of the cell with the largest ratio, in 10 m pixels.
    """
    side = tiles.shape[-1]
    pixels = max(1, CELL_M * side // PATCH_M)
    cells = side // pixels
    blocks = tiles.reshape(*tiles.shape[:3], cells, pixels, cells, pixels)
    means = blocks.mean((4, 6), dtype=np.float32)
    # Per tile and band: without the common effects of air and sun.
    x = np.log(np.maximum(means * np.float32(dn), _DARK_DN))
    x -= x.mean((-2, -1), keepdims=True)
    x /= x.std((-2, -1), keepdims=True) + _LEAST_DEVIATION
    between = _mean_distance([(a, b) for a in x[0] for b in x[1]])
    within = _mean_distance(
        [(period[i], period[j]) for period in x for i in range(len(period)) for j in range(i)]
    )
    ratio = between / (within + FLOOR)
    cell_px = PATCH_M // cells // PIXEL_M
    row, column = (k * cell_px + cell_px // 2 for k in divmod(int(ratio.argmax()), cells))
    return float(np.quantile(ratio, 1 - LARGEST)), row, column


def _mean_distance(
    pairs: list[tuple[NDArray[np.float32], NDArray[np.float32]]],
) -> NDArray[np.float32]:
    """Mean over pairs of tiles of the root mean square difference of the bands, per cell."""
    distances = [np.sqrt(np.square(a - b).mean(0)) for a, b in pairs]
    mean: NDArray[np.float32] = np.mean(distances, axis=0)
    return mean
