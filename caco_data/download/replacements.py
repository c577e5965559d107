"""Replacements of rejected locations: further rows of the sampler."""

from __future__ import annotations

import logging

from caco_data.errors import InputError
from caco_data.sampling.locations import LocationTable, extend

_log = logging.getLogger(__name__)
#: Maximum number of sampled locations per requested one; fewer are complete if the settings reject
#: more.
MAX_DRAWS = 20


class Replacements:
    """Extends a locations table.

    Parameters
    ----------
    locations : LocationTable
        The requested locations, made by the sampler.
    """

    def __init__(self, locations: LocationTable) -> None:
        self._wanted = len(locations)
        self._sampled = locations

    def extended(self, n: int) -> LocationTable | None:
        """Table with the first n rows of the sampler; None, with a warning, when it is too long.

        More rows than requested are sampled, since some replacements are rejected too.
        """
        if n > MAX_DRAWS * self._wanted:
            _log.warning(
                "%d locations have been tried for %d complete ones: no more are sampled",
                *(len(self._sampled), self._wanted),
            )
            return None
        if n > len(self._sampled):
            try:
                self._extend(n + (n - len(self._sampled)))
            except InputError as error:
                _log.warning("rejected locations are not replaced: %s", error)
                return None
        return self._sampled.head(n)

    def _extend(self, n: int) -> None:
        """Sample up to n rows; the present ones too if a file stored them with other types."""
        now = self._sampled
        more = extend(now.metadata, n, len(now))
        same = more.table.schema.equals(now.table.schema)
        self._sampled = now.followed_by(more) if same else extend(now.metadata, n)
