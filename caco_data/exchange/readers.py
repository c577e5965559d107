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

        Returns
        -------
        StacksDataset
            Values as stored, DN or DN / 10000 * 255.

        Examples
        --------
        >>> from torch.utils.data import DataLoader
        >>> stacks = open_dataset("dataset").torch(bands=("B4", "B2"))
        >>> len(stacks), sorted(stacks[0])
        (3, ['early', 'late', 'location_id'])
        >>> batch = next(iter(DataLoader(stacks, batch_size=3)))
        >>> batch["late"].shape, batch["location_id"].tolist()
        (torch.Size([3, 5, 2, 264, 264]), [0, 10, 20])
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

        Returns
        -------
        StacksDataset
            `image` is float32 (C, H, W), in the values of the data set; `bounds` and `transform`
            are in metres.

        Examples
        --------
        >>> tile = open_dataset("dataset").torchgeo()[7]
        >>> tile["image"].shape, tile["period"], tile["t"]
        (torch.Size([3, 264, 264]), 'late', 2)
        >>> tile["crs"].to_epsg(), tile["bounds"].tolist()
        (32631, [500000.0, 4997360.0, 502640.0, 5000000.0])
        """
        from caco_data.exchange.torch_reader import StacksDataset

        return StacksDataset(self, "tile", bands, transforms, georeferenced=True)

    def xarray(self, location_id: int) -> xarray.Dataset:
        """A location with the dimensions period, time, band, y, x; see `to_xarray`.

        Parameters
        ----------
        location_id : int
            The location.

        Examples
        --------
        >>> scene = open_dataset("dataset").xarray(0)
        >>> dict(scene["reflectance"].sizes)
        {'period': 2, 'time': 5, 'band': 3, 'y': 264, 'x': 264}
        >>> red = scene["reflectance"].sel(period="late", time=2, band="B4")
        >>> int(red.x[0]), int(red.y[0])  # centre of the first pixel, metres
        (500005, 4999995)
        """
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

    Examples
    --------
    >>> dataset = open_dataset("dataset")
    >>> dataset.bands
    ('B4', 'B3', 'B2')
    >>> dataset.read_member(0, "early").shape
    (5, 3, 264, 264)
    """
    found = reader.open_dataset(root)
    return ReadableDataset(**{one.name: getattr(found, one.name) for one in fields(found)})
