"""Interface between the pipeline and the image archives.

A source lists scenes and reads tiles, independently of slots, cloud limits and shards. Its settings
are small, frozen and picklable; every worker process opens the source once and shares it among its
threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from caco_data.sources.limiter import Limiter
from caco_data.types import Footprint, Grid, Period, Scene, Truth

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ImageSource(Protocol):
    """An opened archive. Its methods may be called from several threads at once."""

    def list_scenes(
        self, footprint: Footprint, start: datetime, end: datetime, max_cloud_pct: float = 100.0
    ) -> list[Scene]:
        """List the scenes that touch a footprint.

        Parameters
        ----------
        footprint : Footprint
            The patch.
        start, end : datetime
            UTC; scenes acquired at `start` are included, at `end` excluded.
        max_cloud_pct : float
            Maximum cloud cover of a scene, 0..100.

        Returns
        -------
        list of Scene
            In any order; empty when there are none.

        Raises
        ------
        TransientError, PermanentError, RefusedError
            See `caco_data.errors`.
        """
        ...

    def read_tile(self, scene: Scene, grid: Grid, bands: Sequence[str]) -> NDArray[np.uint16]:
        """Read one scene on a grid, nearest neighbour, as one request.

        Parameters
        ----------
        scene : Scene
            One of `list_scenes`, in the CRS of `grid`.
        grid : Grid
            10 m, snapped to 60 m: pixels of 20 m and 60 m bands are repeated 2 x 2 and 6 x 6.
        bands : sequence of str
            L2A band names or `SCL`, in the order of the result.

        Returns
        -------
        ndarray of uint16, shape (C, H, W)
            DN (reflectance x 10,000) for bands, class numbers for `SCL`; 0 where there is no data.

        Raises
        ------
        TransientError, PermanentError, RefusedError
            See `caco_data.errors`.
        """
        ...


@runtime_checkable
class CloudScoreSource(Protocol):
    """A source that also provides Cloud Score+, one value per pixel."""

    def read_cloud_score(self, scene: Scene, grid: Grid) -> NDArray[np.float32]:
        """Read the Cloud Score+ of a scene on a grid.

        Returns
        -------
        ndarray of float32, shape (H, W)
            `cs_cdf`, 0 (not clear) to 1 (clear); 0 where there is no data.

        Raises
        ------
        TransientError, RefusedError
            See `caco_data.errors`.
        PermanentError
            When the scene has no score.
        """
        ...


@runtime_checkable
class SceneClassSource(Protocol):
    """A source that reads the scene classes alone faster than together with the bands.

    They are read first, and the bands of clear tiles only.
    """

    def read_scene_classes(self, scene: Scene, grid: Grid) -> NDArray[np.uint8]:
        """Read the scene classes of a scene on a grid at 20 m.

        Returns
        -------
        ndarray of uint8, shape (H/2, W/2)
            Class numbers; 0 where there is no data.

        Raises
        ------
        TransientError, PermanentError, RefusedError
            See `caco_data.errors`.
        """
        ...


@runtime_checkable
class PlannedSource(Protocol):
    """A source that reads parts of files which several tiles share, for all announced tiles."""

    def expecting(
        self, tiles: Iterable[tuple[Scene, Grid]], bands: Sequence[str]
    ) -> AbstractContextManager[None]:
        """Announce tiles that are likely to be read before the exit of the context."""
        ...


@runtime_checkable
class TruthSource(Protocol):
    """A source that also provides ground truth: a simulated archive."""

    def truth(self, grid: Grid, early: Period, late: Period) -> Truth:
        """Ground truth of a patch between two periods."""
        ...


@runtime_checkable
class SharingSettings(Protocol):
    """Settings of a source whose processes share what they have read, in files of a folder."""

    def sharing(self, folder: str) -> SourceSettings:
        """Return the settings with that folder; it need not exist in a process."""
        ...


class SourceSettings(Protocol):
    """Settings that open a source: a frozen, picklable dataclass."""

    @property
    def name(self) -> str:
        """Value of `--source`."""
        ...

    @property
    def collection(self) -> str:
        """Collection of the images, recorded in dataset.json."""
        ...

    @property
    def computes(self) -> bool:
        """Whether requests use processor time instead of waiting for a service."""
        ...

    def record(self) -> dict[str, Any]:
        """Settings that affect the images, for dataset.json; no secrets."""
        ...

    def open(self, limiter: Limiter) -> ImageSource:
        """Open the source in this process.

        Parameters
        ----------
        limiter : Limiter
            The source sends every request inside `limiter.request()`.

        Raises
        ------
        InputError
            When a required input of the user is missing, such as credentials.
        TransientError, RefusedError
            When the service cannot be reached, or refuses the user.
        """
        ...
