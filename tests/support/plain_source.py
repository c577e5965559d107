"""A small image source with known answers, for tests.

One scene every five days. The DN of a pixel encodes its band and position, so that tests can check
grids, decimation and band order. Settings plan the failures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from caco_data.dataset.arrays import member_formats
from caco_data.dataset.layout import layout_record
from caco_data.dataset.ledger import Ledger
from caco_data.dataset.writer import DatasetWriter
from caco_data.download.fetch import Requests, fetch_location
from caco_data.download.settings import FetchSettings, SceneSettings
from caco_data.errors import PermanentError, RefusedError, TransientError
from caco_data.grid import utm_epsg
from caco_data.sentinel2 import ALL_BANDS, SCL_BAND
from caco_data.sources.base import CloudScoreSource, ImageSource, SourceSettings, TruthSource
from caco_data.sources.limiter import Limiter
from caco_data.sources.retry import RetryPolicy
from caco_data.storage import LocalStorage
from caco_data.types import Footprint, Grid, Location, Outcome, Period, Scene, Truth

EPOCH = datetime(2015, 1, 1, 10, 30, tzinfo=UTC)


def make_scene(
    acquired: datetime, epsg: int = 32631, cloud_pct: float = 5.0, span_deg: float = 5.0,
    longitude: float = 3.0, latitude: float = 45.0,
) -> Scene:  # fmt: skip
    """Make a scene whose footprint is a square around a point."""
    w, s = longitude - span_deg, latitude - span_deg
    e, n = longitude + span_deg, latitude + span_deg
    stamp = f"{acquired:%Y%m%dT%H%M%S}"
    return Scene(
        f"{stamp}_{stamp}_T31TCF", acquired, cloud_pct, epsg,
        Footprint((w, e, e, w), (s, s, n, n)), "05.00",
    )  # fmt: skip


@dataclass(frozen=True)
class PlainSettings:
    """Planned failures of the plain source."""

    cloudy_locations: tuple[int, ...] = ()
    """Left edges (UTM metres) of the grids with cloudy tiles only."""
    transient: int = 0
    """Transient failures before each answer."""
    scored: bool = True
    """Whether its scenes have a Cloud Score+."""
    vanished_locations: tuple[int, ...] = ()
    """Left edges of the grids for which every read of a tile is a permanent error."""
    refused_after: int | None = None
    """Number of requests after which the user is refused."""
    name: str = "plain"
    collection: str = "PLAIN"

    @property
    def computes(self) -> bool:
        """The source does not compute pixels."""
        return False

    def record(self) -> dict[str, Any]:
        """All settings."""
        return asdict(self)

    def open(self, limiter: Limiter | None = None) -> PlainSource:
        """Open the source."""
        return PlainSource(self, limiter or Limiter())


@dataclass
class PlainSource:
    """The opened source."""

    settings: PlainSettings
    limiter: Limiter
    requests: int = 0
    failures: dict[object, int] = field(default_factory=dict)

    def _request(self, what: object) -> None:
        with self.limiter.request():
            self.requests += 1
        refused = self.settings.refused_after
        if refused is not None and self.requests > refused:
            raise RefusedError("Quota exhausted", "plain", "Wait a month")
        self.failures[what] = self.failures.get(what, 0) + 1
        if self.failures[what] <= self.settings.transient:
            raise TransientError("503")

    def list_scenes(
        self, footprint: Footprint, start: datetime, end: datetime, max_cloud_pct: float = 100.0
    ) -> list[Scene]:
        """List a scene every five days."""
        self._request((start, footprint))
        lon, lat = footprint.longitudes[0], footprint.latitudes[0]
        epsg = int(utm_epsg(np.mean(footprint.longitudes), np.mean(footprint.latitudes)))
        first = EPOCH + timedelta(days=5 * -((EPOCH - start) // timedelta(days=5)))
        days = (first + timedelta(days=5 * i) for i in range(80))
        return [
            scene
            for day in days
            if start <= day < end
            for scene in [make_scene(day, epsg, float(day.toordinal() * 7 % 31), 4, lon, lat)]
            if scene.cloud_pct <= max_cloud_pct
        ]

    def read_tile(self, scene: Scene, grid: Grid, bands: Sequence[str]) -> NDArray[np.uint16]:
        """Read pixels that encode their band and position."""
        self._request((scene, grid))
        if grid.left_m in self.settings.vanished_locations:
            raise PermanentError("Image not found", scene.image_id)
        layers = []
        for band in bands:
            if band == SCL_BAND:
                cloudy = grid.left_m in self.settings.cloudy_locations
                layers.append(np.full((grid.height_px, grid.width_px), 9 if cloudy else 4))
                continue
            row, col = np.indices((grid.height_px, grid.width_px))
            place = (grid.left_m // 10 + col) * 3 + (grid.top_m // 10 - row) * 5
            layers.append(1 + (place + ALL_BANDS.index(band) * 1000) % 9999)
        return np.stack(layers).astype(np.uint16)

    def read_cloud_score(self, scene: Scene, grid: Grid) -> NDArray[np.float32]:
        """Read a score that is low for cloudy grids."""
        self._request((scene, grid, "score"))
        if not self.settings.scored:
            raise PermanentError("No score", scene.image_id)
        cloudy = grid.left_m in self.settings.cloudy_locations
        return np.full((grid.height_px, grid.width_px), 0.2 if cloudy else 0.9, np.float32)

    def truth(self, grid: Grid, early: Period, late: Period) -> Truth:
        """Return an arbitrary ground truth."""
        return Truth((grid.left_m // 60 % 10) / 10, "plain")


def _fits() -> tuple[ImageSource, TruthSource, CloudScoreSource, SourceSettings]:
    """Let mypy compare the source with the protocols."""
    plain = PlainSettings().open()
    return plain, plain, plain, PlainSettings()


FETCH = FetchSettings(SceneSettings(), ("B4", "B3", "B2"))
POLICY = RetryPolicy(base_s=0.0)


#: Array members of the locations fetched with `FETCH`.
FORMATS = member_formats(asdict(FETCH))


def locations(n: int) -> list[Location]:
    """Make n locations in zone 31 north."""
    return [Location(i, 1.0 + 0.05 * i, 45.0, 32631) for i in range(n)]


def outcomes(
    n: int,
    settings: PlainSettings | None = None,
    fetch: FetchSettings = FETCH,
    limiter: Limiter | None = None,
) -> list[Outcome]:
    """Fetch n locations from the plain source."""
    made = requests(settings, fetch, limiter)
    return [fetch_location(x, made) for x in locations(n)]


def requests(
    settings: PlainSettings | None = None,
    fetch: FetchSettings = FETCH,
    limiter: Limiter | None = None,
    policy: RetryPolicy = POLICY,
) -> Requests:
    """Make the requests of a process to the plain source."""
    limiter = limiter or Limiter()
    return Requests((settings or PlainSettings()).open(limiter), fetch, policy, limiter)


def description(fetch: FetchSettings = FETCH, per_shard: int = 2) -> dict[str, object]:
    """Describe a data set like `download`, with fewer settings."""
    return {
        "source": {"name": "plain", "collection": "PLAIN"},
        "settings": {
            "bands": list(fetch.bands),
            "dtype": fetch.dtype,
            "compress": fetch.compress,
            "locations_per_shard": per_shard,
            **layout_record(fetch.layout),
        },
    }


def locations_table(n: int) -> pa.Table:
    """Make a locations table of n rows."""
    rows = locations(n)
    return pa.table(
        {
            "location_id": [x.location_id for x in rows],
            "longitude": [x.longitude for x in rows],
            "latitude": [x.latitude for x in rows],
        }
    )


def make_dataset(
    root: str, results: list[Outcome], fetch: FetchSettings = FETCH, per_shard: int = 2
) -> LocalStorage:
    """Make a finished data set from outcomes."""
    storage = LocalStorage(root)
    ids = [result.location_id for result in results]
    writer = DatasetWriter(storage, Ledger(storage, description(fetch, per_shard), ids))
    for result in results:
        writer.add(result)
    writer.finish(locations_table(len(results)))
    return storage
