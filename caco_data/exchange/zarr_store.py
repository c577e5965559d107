"""Zarr version 3: one group per location with CF attributes, which xarray opens."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

from caco_data.dataset.reader import Dataset
from caco_data.errors import InputError
from caco_data.exchange.geotiff import folder_name, new_folder
from caco_data.exchange.xarray_reader import to_xarray


def open_group(out: str) -> None:
    """Make the folder a Zarr group, of which the locations are subgroups."""
    try:
        import zarr
    except ImportError as error:
        raise InputError(
            "zarr is not installed", "extra [exchange]", "Run: pip install 'caco-data[exchange]'"
        ) from error
    zarr.open_group(out, mode="a", zarr_format=3)


def export_zarr(dataset: Dataset, out: Path, location_id: int) -> None:
    """Write a location as a group of arrays, unless that exists."""
    with new_folder(out / folder_name(location_id)) as folder:
        if folder is None:
            return
        found = to_xarray(dataset, location_id)
        chunks = {"reflectance": (1, 1, *found["reflectance"].shape[2:])}
        encoding = {name: {"chunks": shape} for name, shape in chunks.items()}
        shutil.rmtree(folder)  # zarr makes it
        with warnings.catch_warnings():
            # Texts of fixed length have no final specification in Zarr 3.
            warnings.simplefilter("ignore")
            found.to_zarr(folder, mode="w", zarr_format=3, encoding=encoding, consolidated=False)
