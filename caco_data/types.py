"""Frozen dataclasses shared by the packages: locations, grids, scenes, tiles, stacks, outcomes.

They need the standard library only, so that every process can unpickle them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Literal

from caco_data.sentinel2 import PIXEL_M

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Name of a period; members of shards are called after it.
PeriodName = str
#: Default periods.
PERIODS: tuple[PeriodName, PeriodName] = ("early", "late")
#: Names of four or more periods. No name ends in a digit: members have endings such as `20`.
MANY_PERIODS: tuple[PeriodName, ...] = (
    "first", "second", "third", "fourth", "fifth", "sixth",
    "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth",
)  # fmt: skip


def period_names(count: int) -> tuple[PeriodName, ...]:
    """Names of 1 to 12 periods, in order of time."""
    few: dict[int, tuple[PeriodName, ...]] = {
        1: ("single",), 2: PERIODS, 3: ("early", "middle", "late"),
    }  # fmt: skip
    return few.get(count, MANY_PERIODS[:count])


#: All names of periods.
PERIOD_NAMES = frozenset(
    name for count in range(1, len(MANY_PERIODS) + 1) for name in period_names(count)
)
#: Maximum number of tiles per period.
MAX_TILES = 12

#: Reason of a rejection: the tiles are cloudy; too few scenes cover the patch; tiles have pixels
#: without data; scenes cannot be read although the service reads others; the pixels of scenes
#: contradict their metadata.
RejectionReason = Literal[
    "too cloudy", "too few scenes", "nodata", "unreadable scenes", "inconsistent scenes"
]

#: Data type of the stored tiles: uint16 DN (reflectance x 10,000) or uint8 DN / 10000 * 255.
Dtype = Literal["uint16", "uint8"]
#: Compression of the arrays in a shard.
Compress = Literal["none", "zstd"]

#: Side of a patch: 264 pixels of 10 m (paper, section 3.5, and the released data set).
PATCH_PX = 264
#: Limits of the side of a patch, 10 m pixels: a multiple of 60 m, the largest native pixel size.
MIN_PATCH_PX, MAX_PATCH_PX, PATCH_STEP_PX = 66, 1056, 6
#: Default side in metres.
PATCH_M = PATCH_PX * PIXEL_M
#: Tiles per stack (paper, section 3.3: five images per period).
TILES = 5


@dataclass(frozen=True, slots=True)
class StackLayout:
    """Form of the stacks of every location of a data set."""

    periods: tuple[PeriodName, ...] = PERIODS
    """Names of the periods, in order of time."""
    tiles: int = TILES
    """Tiles per period."""
    patch_px: int = PATCH_PX
    """Side of a patch, 10 m pixels; a multiple of 6."""

    @property
    def patch_m(self) -> int:
        """Side of a patch, metres."""
        return self.patch_px * PIXEL_M

    @property
    def rows(self) -> int:
        """Tiles of a location, which are its rows in the index."""
        return len(self.periods) * self.tiles

    @property
    def order(self) -> list[tuple[PeriodName, int]]:
        """Period and `t` of a location's rows in the index, in their order."""
        return [(period, t) for period in self.periods for t in range(self.tiles)]


@dataclass(frozen=True, slots=True)
class Location:
    """A point on land; its patch is a square around it, by default of side `PATCH_M`."""

    location_id: int
    """0..n-1: row in the locations table."""
    longitude: float
    """Degrees east, -180..180, EPSG:4326."""
    latitude: float
    """Degrees north, -90..90, EPSG:4326."""
    utm_epsg: int
    """EPSG code of the patch's UTM zone (326zz north, 327zz south)."""
    dates: tuple[date, ...] = ()
    """Its own dates: one, or the first and the last of a span; empty without."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The pixel grid of a patch, north up, in a UTM zone."""

    epsg: int
    """EPSG code of the UTM zone."""
    left_m: int
    """Easting of the left edge, metres."""
    top_m: int
    """Northing of the upper edge, metres."""
    width_px: int = PATCH_PX
    """Columns."""
    height_px: int = PATCH_PX
    """Rows."""
    pixel_m: int = PIXEL_M
    """Side of a pixel, metres."""

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """Affine coefficients a, b, c, d, e, f in rasterio's order: x = a*col + b*row + c."""
        return (float(self.pixel_m), 0.0, float(self.left_m), 0.0, -float(self.pixel_m),
                float(self.top_m))  # fmt: skip

    @property
    def crs(self) -> str:
        """CRS as an authority string, `EPSG:32631`."""
        return f"EPSG:{self.epsg}"

    @property
    def right_m(self) -> int:
        """Easting of the right edge, metres."""
        return self.left_m + self.width_px * self.pixel_m

    @property
    def bottom_m(self) -> int:
        """Northing of the lower edge, metres."""
        return self.top_m - self.height_px * self.pixel_m


@dataclass(frozen=True, slots=True)
class Footprint:
    """A polygon without holes, as an open ring (the last vertex does not repeat the first)."""

    longitudes: tuple[float, ...]
    """Degrees east of each vertex; continuous across the antimeridian (may exceed 180)."""
    latitudes: tuple[float, ...]
    """Degrees north of each vertex."""


@dataclass(frozen=True, slots=True)
class Period:
    """A span of at most one year from which the tiles of a stack are taken."""

    name: PeriodName
    """`early` and `late` of two periods; `StackLayout` has the names of others."""
    start: datetime
    """First instant, UTC."""
    end: datetime
    """First instant after, UTC."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One Sentinel-2 L2A acquisition of one MGRS tile: one Earth Engine image."""

    image_id: str
    """`system:index` of Earth Engine, `20190105T105431_20190105T105427_T31TCF`."""
    acquired: datetime
    """Sensing time, UTC."""
    cloud_pct: float
    """CLOUDY_PIXEL_PERCENTAGE of the whole scene, 0..100."""
    epsg: int
    """EPSG code of the scene's UTM zone."""
    footprint: Footprint
    """Outline of the area with data."""
    baseline: str
    """PROCESSING_BASELINE, `05.09`."""
    files: tuple[tuple[str, str], ...] = ()
    """Band and address of each file of the scene, for sources that read files."""
    offset_dn: int | None = None
    """DN to subtract from the values in the files; None when unknown, and for sources whose values
    are harmonised."""
    offset_evidence: str = ""
    """What decided on `offset_dn`."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One of the equal parts of a period; it gets one tile."""

    t: int
    """0 to the number of slots - 1, position in the stack."""
    start: datetime
    """First instant, UTC."""
    end: datetime
    """First instant after, UTC."""
    candidates: tuple[Scene, ...]
    """Scenes of the slot, tried first, in order of cloud cover."""
    fallback: tuple[Scene, ...]
    """Scenes of the slot and its neighbours, tried next, in order of cloud cover."""


@dataclass(frozen=True, slots=True)
class PeriodPlan:
    """The scenes to try for one period."""

    period: Period
    slots: tuple[Slot, ...]
    """The period's slots by `t`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The scenes to try for one location."""

    location: Location
    grid: Grid
    periods: tuple[PeriodPlan, ...]
    """In order of time."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One scene cut to one patch."""

    scene: Scene
    pixels: NDArray[np.uint16]
    """`(C, H, W)` DN on the 10 m grid, bands in the requested order."""
    scl: NDArray[np.uint8]
    """`(H/2, W/2)` scene classes at 20 m."""
    clear_fraction: float
    """Clear fraction of the patch, 0..1."""
    cloud_mask: str = "scl"
    """Mask that classified the tile: `scl` (scene classification) or `cs+` (Cloud Score+)."""


@dataclass(frozen=True, slots=True)
class Stack:
    """The tiles of one period, ordered by slot."""

    period: PeriodName
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True)
class LocationStacks:
    """All stacks of a location."""

    location: Location
    grid: Grid
    bands: tuple[str, ...]
    """Names of the tiles' bands, in order."""
    stacks: tuple[Stack, ...]
    """One per period, in order of time."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Reason why a location has no stacks."""

    location_id: int
    reason: RejectionReason
    """A property of the location, never of the service or the network."""
    detail: str
    """Slot, counts, error message of the source."""


@dataclass(frozen=True, slots=True)
class Truth:
    """Ground truth of a patch in a simulated archive."""

    changed_fraction: float
    """Fraction of pixels, 0..1, with different permanent land cover in the middle of the first and
    of the last period."""
    land_cover: str
    """Dominant class in the first period."""
    change_mask: str | None = None
    """Kind of change of each pixel (`caco_data.change_mask`), if requested."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of fetching one location: its stacks, its rejection, or a failure.

    After a failure the location remains to be fetched.
    """

    location_id: int
    part: bytes | str | None = None
    """Its stacks as a shard of one location, or the name of the file with it: a worker has written
    it under a temporary name into the folder of the data set."""
    rejection: Rejection | None = None
    truth: Truth | None = None
    """Ground truth of a complete location; None unless the source is simulated."""
    failure: str = ""
    """Message of the failure."""
