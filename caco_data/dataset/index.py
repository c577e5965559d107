"""The index of a data set, read on demand: index.parquet has one row per tile.

Only the footer of the file is kept in memory. Rows and columns are read when they are asked for, by
row groups; the statistics of the column `location_id` tell which of them contain a location.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from caco_data.dataset.index_files import is_index, names_in_file, with_names
from caco_data.dataset.layout import INDEX, INDEX_SCHEMA, ROWS_PER_GROUP
from caco_data.dataset.parquet_limits import check_footer, expanded
from caco_data.dataset.tables import unreadable
from caco_data.errors import DatasetError
from caco_data.storage import Storage
from caco_data.types import StackLayout

_ID = "location_id"
#: Columns that are read as dictionaries, which are as small as in the file.
_TEXTS = [field.name for field in INDEX_SCHEMA if pa.types.is_string(field.type)]


@dataclass(frozen=True)
class Index:
    """Rows of index.parquet, ordered by location, period and t."""

    storage: Storage
    footer: pq.FileMetaData
    only: NDArray[np.int64] | None = None
    """The locations to which the index is limited, ascending; None for all."""
    layout: StackLayout = field(default_factory=StackLayout)
    """Periods and tiles of each location."""

    @property
    def num_rows(self) -> int:
        """Number of rows: one per tile of the complete locations."""
        if self.only is not None:
            return self.only.size * self.layout.rows
        return int(self.footer.num_rows)

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        return INDEX_SCHEMA

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Read all rows.

        Parameters
        ----------
        columns : sequence of str, optional
            Names of the columns to read; all if None.

        Raises
        ------
        DatasetError
            When the file is missing or damaged; as do the other methods.
        """
        return pa.concat_tables([_empty(columns), *self.parts(columns)])

    def __getitem__(self, column: str) -> pa.ChunkedArray:
        """Read one column."""
        return self.read([column])[column]

    def location_ids(self) -> NDArray[np.int64]:
        """Ids of all locations, ascending."""
        parts = [np.unique(part[_ID].to_numpy()) for part in self.parts([_ID])]
        return np.unique(np.concatenate(parts)) if parts else np.empty(0, np.int64)

    def parts(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Read all rows in order, as tables of about `ROWS_PER_GROUP` rows.

        The memory does not depend on the number of rows.
        """
        groups = range(self.footer.num_row_groups)
        if self.only is None:
            yield from self._groups(groups, columns)
        else:
            yield from self._selected(groups, self.only, columns)

    def of(self, location_ids: Collection[int], columns: Sequence[str] | None = None) -> pa.Table:
        """Read the rows of some locations.

        Parameters
        ----------
        location_ids : collection of int
            Locations.
        columns : sequence of str, optional
            Names of the columns to read; all if None.

        Returns
        -------
        pyarrow.Table
            In the order of the index; without rows for locations that are not in it.
        """
        wanted = np.unique(np.array(list(location_ids), np.int64))
        if self.only is not None:
            wanted = np.intersect1d(wanted, self.only)
        groups = range(self.footer.num_row_groups)
        return pa.concat_tables([_empty(columns), *self._selected(groups, wanted, columns)])

    def _selected(
        self, groups: Sequence[int], wanted: NDArray[np.int64], columns: Sequence[str] | None
    ) -> Iterator[pa.Table]:
        """Read the rows of some locations, ascending."""
        some = [i for i in groups if self._may_contain(i, wanted)]
        names = INDEX_SCHEMA.names if columns is None else list(columns)
        for part in self._groups(some, list(dict.fromkeys([_ID, *names]))):
            yield part.filter(pc.is_in(part[_ID], pa.array(wanted))).select(names)

    def _may_contain(self, group: int, location_ids: NDArray[np.int64]) -> bool:
        """Whether a row group may contain one of some locations, ascending."""
        bounds = self.footer.row_group(group).column(0).statistics
        if bounds is None or not bounds.has_min_max:
            return True
        first = np.searchsorted(location_ids, bounds.min)
        return bool(first < location_ids.size and location_ids[first] <= bounds.max)

    def _groups(self, groups: Sequence[int], columns: Sequence[str] | None) -> Iterator[pa.Table]:
        """Read row groups, several small ones at a time; texts of any length are refused."""
        names = INDEX_SCHEMA.names if columns is None else list(columns)
        with _dataset_errors(self.storage), self.storage.open(INDEX) as source:
            file = pq.ParquetFile(source, metadata=self.footer, read_dictionary=_TEXTS)
            stored = names_in_file(names, file.schema_arrow.names)
            for some in self._together(groups):
                # Arrow's threads release the Python file later: see `read_parquet`.
                batches = file.iter_batches(
                    ROWS_PER_GROUP, row_groups=some, columns=stored, use_threads=False
                )
                read = [expanded(batch) for batch in batches]
                if read:
                    yield with_names(pa.Table.from_batches(read), names)
                else:
                    yield _empty(names)

    def _together(self, groups: Sequence[int]) -> Iterator[list[int]]:
        """Join row groups to lists with about `ROWS_PER_GROUP` rows."""
        some: list[int] = []
        rows = 0
        for group in groups:
            some.append(group)
            rows += self.footer.row_group(group).num_rows
            if rows >= ROWS_PER_GROUP:
                yield some
                some, rows = [], 0
        if some:
            yield some


def _empty(columns: Sequence[str] | None) -> pa.Table:
    names = INDEX_SCHEMA.names if columns is None else list(columns)
    return INDEX_SCHEMA.empty_table().select(names)


def open_index(storage: Storage, layout: StackLayout | None = None) -> Index:
    """Open the index of a data set with this layout, by default that of two periods.

    Raises
    ------
    DatasetError
        When it is missing, unreadable, not of the format, or its values are too large.
    """
    with _dataset_errors(storage), storage.open(INDEX) as source:
        file = pq.ParquetFile(source)
        if not is_index(file.schema_arrow):
            raise ValueError("the columns are not those of the format")
        check_footer(file.metadata)
        return Index(storage, file.metadata, layout=layout or StackLayout())


@contextmanager
def _dataset_errors(storage: Storage) -> Iterator[None]:
    where = f"{storage.root}/{INDEX}"
    try:
        yield
    except FileNotFoundError as error:
        raise DatasetError("Missing table", where) from error
    except (ValueError, OSError, pa.ArrowException) as error:
        raise unreadable(error, where) from error
