"""The seam between the pipeline and the archives: what an image source can do.

A source lists scenes and reads tiles, and knows nothing of slots, clouds or shards. Its settings
are small, frozen and picklable; every worker process opens them once and shares the opened source
among its threads. `sources/simulated.py` is the one that needs no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from caco_data.sources.limiter import Limiter
from caco_data.types import Footprint, Grid, Period, Scene, Truth

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ImageSource(Protocol):
    """An opened archive. Both methods may be called from many threads at once."""

    def list_scenes(
        self, footprint: Footprint, start: datetime, end: datetime, max_cloud_pct: float = 100.0
    ) -> list[Scene]:
        """List the scenes that touch a footprint.

        Parameters
        ----------
        footprint : Footprint
            The patch.
        start, end : datetime
            UTC; scenes acquired at `start` are in, at `end` are out.
        max_cloud_pct : float
            Scenes with more clouds over all are left out, 0..100.

        Returns
        -------
        list of Scene
            In no order; none when the archive has none.

        Raises
        ------
        TransientError, PermanentError, RefusedError
            As `caco_data.errors` says.
        """
        ...

    def read_tile(self, scene: Scene, grid: Grid, bands: Sequence[str]) -> NDArray[np.uint16]:
        """Read one scene on a grid, nearest neighbour, as one request.

        Parameters
        ----------
        scene : Scene
            One of `list_scenes`, in the CRS of `grid`.
        grid : Grid
            10 m, snapped to 60 m: a band of 20 m or 60 m comes repeated 2 x 2 or 6 x 6.
        bands : sequence of str
            L2A band names or `SCL`, in the wanted order.

        Returns
        -------
        ndarray of uint16, shape (C, H, W)
            DN (reflectance x 10,000) for bands, class numbers for `SCL`; 0 where there is no data.

        Raises
        ------
        TransientError, PermanentError, RefusedError
            As `caco_data.errors` says.
        """
        ...


@runtime_checkable
class CloudScoreSource(Protocol):
    """A source that knows, beside the scene classification, a score of how clear each pixel is."""

    def read_cloud_score(self, scene: Scene, grid: Grid) -> NDArray[np.float32]:
        """Read the Cloud Score+ of a scene on a grid.

        Returns
        -------
        ndarray of float32, shape (H, W)
            `cs_cdf`, 0 (not clear) to 1 (clear); 0 where there is no data.

        Raises
        ------
        TransientError, RefusedError
            As `caco_data.errors` says.
        PermanentError
            When the scene has no score.
        """
        ...


@runtime_checkable
class TruthSource(Protocol):
    """A source that knows the truth about its own world."""

    def truth(self, grid: Grid, early: Period, late: Period) -> Truth:
        """Truth of a patch between two periods."""
        ...


class SourceSettings(Protocol):
    """How to open a source: a frozen dataclass, picklable, the same in every process."""

    def __hash__(self) -> int:
        """Equal settings share one opened source."""
        ...

    @property
    def name(self) -> str:
        """The word after `--source`."""
        ...

    @property
    def collection(self) -> str:
        """The collection the images come from, as recorded in dataset.json."""
        ...

    @property
    def computes(self) -> bool:
        """Whether a request keeps a processor busy, rather than waiting for an answer."""
        ...

    def record(self) -> dict[str, Any]:
        """What of the settings decides the source's answers, for dataset.json; never a secret."""
        ...

    def open(self, limiter: Limiter) -> ImageSource:
        """Open the source in this process.

        Parameters
        ----------
        limiter : Limiter
            Every request of the source waits for its `request()`.

        Raises
        ------
        InputError
            When something is missing that the user must give, such as credentials.
        TransientError, RefusedError
            When the service cannot be reached, or refuses the user.
        """
        ...
