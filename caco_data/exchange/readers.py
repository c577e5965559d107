"""A data set with readers for torch, torchgeo and xarray."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from caco_data.dataset import reader
from caco_data.dataset.reader import Dataset

if TYPE_CHECKING:
    import xarray

    from caco_data.exchange.torch_reader import Layout, Sample, StacksDataset


class ReadableDataset(Dataset):
    """A data set that other libraries can read, made by `caco_data.open_dataset`."""

    def torch(
        self,
        bands: Sequence[str] | None = None,
        transform: Callable[[Sample], Sample] | None = None,
        layout: Layout = "location",
    ) -> StacksDataset:
        """Map-style data set for `torch.utils.data.DataLoader`.

        Parameters
        ----------
        bands : sequence of str, optional
            Bands in the wanted order; all if None.
        transform : callable, optional
            Applied to every sample.
        layout : {"location", "tile"}
            Whether a sample is a location, with `early` and `late` (T, C, H, W), or a tile, with
            `image` (C, H, W).
        """
        from caco_data.exchange.torch_reader import StacksDataset

        return StacksDataset(self, layout, bands, transform)

    def torchgeo(
        self,
        bands: Sequence[str] | None = None,
        transforms: Callable[[Sample], Sample] | None = None,
    ) -> StacksDataset:
        """Tiles as samples of torchgeo: `image`, `crs`, `bounds` and `transform`.

        Parameters
        ----------
        bands : sequence of str, optional
            Bands in the wanted order; all if None.
        transforms : callable, optional
            Applied to every sample.
        """
        from caco_data.exchange.torch_reader import StacksDataset

        return StacksDataset(self, "tile", bands, transforms, georeferenced=True)

    def xarray(self, location_id: int) -> xarray.Dataset:
        """A location with the dimensions period, time, band, y, x; see `to_xarray`."""
        from caco_data.exchange.xarray_reader import to_xarray

        return to_xarray(self, location_id)


def open_dataset(root: str | os.PathLike[str]) -> ReadableDataset:
    """Open a finished data set for use with torch, torchgeo or xarray.

    Parameters
    ----------
    root : path or URL
        The folder with dataset.json.

    Raises
    ------
    InputError
        When there is no data set, or an unfinished one.
    DatasetError
        When its description or its index is damaged.
    """
    found = reader.open_dataset(root)
    return ReadableDataset(**{one.name: getattr(found, one.name) for one in fields(found)})
