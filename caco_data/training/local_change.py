"""Change labels from the pixels: ratio and place of the largest change of every location."""

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
from caco_data.training.batches import Readers
from caco_data.training.change_labels import ChangeLabels
from caco_data.training.local_ratio import local_change
from caco_data.training.settings import MixtureKind

_log = logging.getLogger(__name__)
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
                found[location] = local_change(pair, dn, stacks.layout.patch_px)
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
    """Read all tiles of the first and the last period with the bands of the finest pixels.

    Yields
    ------
    locations : ndarray, shape (n,)
    tiles : ndarray of uint16 or uint8, shape (n, 2, T, C, H, W)
    """
    stacks = replace(stacks, members=stacks.members[:1])
    (member,) = stacks.members
    count = stacks.layout.tiles
    _, _, height, width = member.shape
    with closing(Readers(stacks, workers)) as readers:
        waiting: deque[tuple[NDArray[np.int64], NDArray[Any], list[Future[None]]]] = deque()
        for start in range(0, len(locations), _TOGETHER):
            some = locations[start : start + _TOGETHER]
            rows = 2 * len(some)
            out = np.empty((count, rows, len(member.bands), height, width), stacks.dtype)
            chosen = np.tile(np.arange(count), (rows, 1))
            periods = np.tile([0, len(stacks.layout.periods) - 1], len(some))
            waiting.append((some, out, readers.read(some, periods, chosen, [out])))
            if len(waiting) > _AHEAD:
                yield _finished(*waiting.popleft())
        while waiting:
            yield _finished(*waiting.popleft())


def _finished(
    locations: NDArray[np.int64], tiles: NDArray[Any], futures: list[Future[None]]
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    for future in futures:
        future.result()
    by_location = tiles.reshape(len(tiles), -1, 2, *tiles.shape[2:])
    return locations, by_location.transpose(1, 2, 0, 3, 4, 5)
