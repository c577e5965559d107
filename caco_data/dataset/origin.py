"""Names that a shard of a merged data set had in the data set for which it was written.

The members of a shard carry location ids, and its json members also the shard's name. A merge
changes neither: dataset.json records for each shard what its members call it (`written_as`) and
what is added to their location ids (`location_offset`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from caco_data.dataset.layout import is_shard_name

#: Largest location id of the format: nine digits in a member's name.
MAX_LOCATION_ID = 999_999_999


@dataclass(frozen=True, slots=True)
class Origin:
    """Names in a shard's members."""

    shard: str
    """Name of the shard in its json members."""
    location_offset: int = 0
    """Location id in the data set minus that in the shard."""

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Origin:
        """Read from a shard's entry of dataset.json.

        Raises
        ------
        ValueError
            When a value is not one that a merge writes.
        """
        shard = entry.get("written_as", entry["name"])
        offset = entry.get("location_offset", 0)
        if not is_shard_name(shard):
            raise ValueError("written_as is not the name of a shard")
        if type(offset) is not int or abs(offset) > MAX_LOCATION_ID:
            raise ValueError("location_offset is not a difference of location ids")
        return cls(shard, offset)

    def entry(self, entry: dict[str, Any], name: str, location_offset: int) -> dict[str, Any]:
        """Entry of the shard in a data set that calls it `name` and adds to its location ids."""
        return {
            "name": name,
            "nbytes": entry["nbytes"],
            "sha256": entry["sha256"],
            "written_as": self.shard,
            "location_offset": self.location_offset + location_offset,
        }

    def original(self, row: dict[str, Any]) -> dict[str, Any]:
        """Index row as in the shard's json member."""
        return row | {
            "location_id": row["location_id"] - self.location_offset,
            "shard": self.shard,
        }
