"""Selection of the locations to export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from caco_data.dataset.layout import LOCATIONS
from caco_data.dataset.reader import Dataset
from caco_data.dataset.tables import read_parquet
from caco_data.dataset.tiles import location_ids
from caco_data.errors import InputError


@dataclass(frozen=True)
class Selection:
    """Which locations of a data set; all conditions must hold."""

    locations: str | None = None
    """Ids separated by commas, or a Parquet or CSV file with a column `location_id`."""
    where: str | None = None
    """Condition on the columns of locations.parquet, `country == 'Chile'`, as for pandas."""
    limit: int | None = None
    """Maximum number of locations, the first ones."""


def select(dataset: Dataset, selection: Selection) -> NDArray[np.int64]:
    """Ids of the selected locations, ascending.

    Raises
    ------
    InputError
        When the selection is empty, names unknown locations, or cannot be understood.
    """
    ids = location_ids(dataset)
    if selection.locations is not None:
        wanted = _named(selection.locations)
        if unknown := sorted(set(wanted) - set(ids.tolist())):
            raise InputError(
                f"The data set has no complete location {unknown[0]}", dataset.root,
                "Choose locations of index.parquet",
            )  # fmt: skip
        ids = ids[np.isin(ids, wanted)]
    if selection.where is not None:
        ids = ids[np.isin(ids, _matching(dataset, selection.where))]
    ids = ids[: selection.limit]
    if not len(ids):
        raise InputError("No location is selected", dataset.root, "Change --locations or --where")
    return ids


def _named(text: str) -> list[int]:
    if Path(text).suffix in (".parquet", ".csv"):
        return _from_file(text)
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(
            f"Not a list of locations: '{text}'", "--locations",
            "Use ids, 3,14,15, or a .parquet or .csv file with a column location_id",
        ) from error  # fmt: skip


def _from_file(path: str) -> list[int]:
    try:
        if path.endswith(".csv"):
            from pyarrow import csv

            table = csv.read_csv(path)
        else:
            table = pq.ParquetFile(path).read(use_threads=False)
        ids: list[int] = table["location_id"].to_pylist()
        return ids
    except (OSError, pa.ArrowException, KeyError) as error:
        reason = str(error).splitlines()[0].strip("'\".")
        raise InputError(
            f"Cannot read the locations: {reason}", path, "Use a file with a column location_id"
        ) from error


def _matching(dataset: Dataset, condition: str) -> list[int]:
    table = read_parquet(dataset.storage, LOCATIONS)
    plain = [name for name in table.column_names if name != "geometry"]
    frame = table.select(plain).to_pandas()
    try:
        ids: list[int] = frame.query(condition)["location_id"].tolist()
        return ids
    except Exception as error:  # of any type: pandas evaluates the expression
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(
            f"Condition not understood: {reason}", f"--where {condition}",
            f"Use the columns {', '.join(plain)}",
        ) from error  # fmt: skip
