"""Rows of a sorted table, taken from its start to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pyarrow as pa
import pyarrow.compute as pc


class Cursor:
    """Takes the rows of a table in order; each is read once, and few are in memory.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
        The table.
    schema : pyarrow.Schema
        Its columns.
    """

    def __init__(self, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> None:
        self._batches = iter(batches)
        self._schema = schema
        self._rest: pa.RecordBatch | None = None

    def take(self, belongs: Callable[[pa.RecordBatch], pa.Array], most: int) -> pa.Table:
        """Take the rows up to the first one that does not belong.

        Parameters
        ----------
        belongs : callable
            Whether each row of a batch belongs, as Boolean array; null means no.
        most : int
            Maximum number of rows.

        Raises
        ------
        ValueError
            When more rows belong.
        """
        taken: list[pa.RecordBatch] = []
        count = 0
        while (batch := self._next()) is not None:
            end = pc.index(pc.fill_null(belongs(batch), False), False).as_py()
            end = batch.num_rows if end < 0 else end
            taken.append(batch.slice(0, end))
            count += end
            if count > most:
                raise ValueError(f"more than {most} rows in a row belong together")
            if end < batch.num_rows:
                self._rest = batch.slice(end)
                break
        return pa.Table.from_batches(taken, self._schema)

    def up_to(self, location_id: int, most: int) -> pa.Table:
        """Take the rows of the locations up to `location_id`; see `take`."""
        return self.take(lambda batch: pc.less_equal(batch["location_id"], location_id), most)

    def of_shard(self, shard: str, most: int) -> pa.Table:
        """Take the rows of a shard; see `take`."""
        return self.take(lambda batch: pc.equal(batch["shard"], shard), most)

    def is_at_end(self) -> bool:
        """Whether all rows have been taken."""
        self._rest = self._next()
        return self._rest is None

    def _next(self) -> pa.RecordBatch | None:
        batch, self._rest = self._rest, None
        while batch is None or not batch.num_rows:
            batch = next(self._batches, None)
            if batch is None:
                return None
        return batch
