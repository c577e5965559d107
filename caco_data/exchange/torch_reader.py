"""Map-style torch data sets of the tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from pyproj import CRS
from torch.utils.data import Dataset as TorchDataset

from caco_data.dataset.reader import Dataset, open_dataset
from caco_data.dataset.tiles import location_ids, pixel_size_m, read_tiles, tile_rows

Sample = dict[str, Any]
Layout = Literal["location", "tile"]


class StacksDataset(TorchDataset[Sample]):
    """Locations, or single tiles, as dicts; picklable, for DataLoader with any number of workers.

    Parameters
    ----------
    dataset : Dataset
        The data set; worker processes open it again by its path.
    layout : {"location", "tile"}
        Whether a sample is a location or a tile.
    bands : sequence of str, optional
        Bands in the wanted order; all if None.
    transform : callable, optional
        Applied to every sample.
    georeferenced : bool
        Whether samples have `crs`, `bounds` and `transform`, as those of torchgeo.

    Notes
    -----
    A location has `early` and `late`, tensors (T, C, H, W), and `location_id`. A tile has `image`,
    a tensor (C, H, W) of float32, `location_id`, `period` and `t`. Values are as stored: DN, or
    DN / 10000 * 255.
    """

    def __init__(
        self,
        dataset: Dataset,
        layout: Layout = "location",
        bands: Sequence[str] | None = None,
        transform: Callable[[Sample], Sample] | None = None,
        georeferenced: bool = False,
    ) -> None:
        self.root = dataset.root
        self.layout = layout
        self.bands = tuple(bands or dataset.bands)
        self.transform = transform
        self.georeferenced = georeferenced
        self.location_ids = location_ids(dataset)
        """(L,), ids in the order of the samples."""
        self._dataset: Dataset | None = dataset

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_dataset": None}

    @property
    def dataset(self) -> Dataset:
        """The opened data set."""
        if self._dataset is None:
            self._dataset = open_dataset(self.root)
        return self._dataset

    def __len__(self) -> int:
        per_location = 1 if self.layout == "location" else self.dataset.layout.rows
        return len(self.location_ids) * per_location

    def __getitem__(self, index: int) -> Sample:
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        index %= len(self)
        sample = self._location(index) if self.layout == "location" else self._tile(index)
        return sample if self.transform is None else self.transform(sample)

    def _location(self, index: int) -> Sample:
        location_id = int(self.location_ids[index])
        sample: Sample = {"location_id": location_id}
        for period in self.dataset.layout.periods:
            tiles = read_tiles(self.dataset, location_id, period, self.bands)
            sample[period] = torch.from_numpy(tiles)
        return sample | self._position(location_id, tiles.shape[-1])

    def _tile(self, index: int) -> Sample:
        place, number = divmod(index, self.dataset.layout.rows)
        period, t = self.dataset.layout.order[number]
        location_id = int(self.location_ids[place])
        tile = read_tiles(self.dataset, location_id, period, self.bands)[t]
        image = torch.from_numpy(tile.astype(np.float32))
        sample: Sample = {"image": image, "location_id": location_id, "period": period, "t": t}
        return sample | self._position(location_id, tile.shape[-1])

    def _position(self, location_id: int, side: int) -> Sample:
        if not self.georeferenced:
            return {}
        row = tile_rows(self.dataset, location_id)[0]
        step = pixel_size_m(np.empty((side, side)), self.dataset.layout.patch_px)
        left, top = row.transform[2], row.transform[5]
        bounds = [left, top - side * step, left + side * step, top]
        return {
            "crs": CRS.from_user_input(row.crs),
            "bounds": torch.tensor(bounds, dtype=torch.float64),
            "transform": torch.tensor([step, 0, left, 0, -step, top], dtype=torch.float64),
        }
