"""Irregular parcels, such as fields and blocks of houses.

The ground is divided into regions, the cells nearest to jittered points. Each has an orientation
and a size of parcels, and is divided into blocks, which roads and tracks separate. Each block is
divided along slanted lines until its parts are as small as the region's parcels. The coordinates
are warped, so that no edge is quite straight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caco_data.sources.simulated.frame import Frame, Ids
from caco_data.sources.simulated.noise import Field, mix, uniform
from caco_data.sources.simulated.salts import WorldSalt

Index = NDArray[np.intp]
Positions = NDArray[np.floating]

#: Numbers hashed with a region's, a block's or a part's name, one per attribute.
_SEED_X, _SEED_Y, _ANGLE, _SIZE, _BLOCK, _SLIP, _WHERE, _SLANT, _LIMIT, _TURN = range(1, 11)
#: Range of the position of a dividing line, relative to the part's extent.
DIVIDE_FROM, DIVIDE_RANGE = 0.33, 0.34
#: A line divides the longer side if it is longer by a factor that is drawn up to this.
ELONGATION = 1.7
#: Primes of xxHash32.
_PRIME_1, _PRIME_2 = np.uint32(0x9E3779B1), np.uint32(0x85EBCA77)
#: Edges without a line are this far away, pixels.
FAR_PX = np.float32(1e4)


@dataclass(frozen=True, slots=True)
class PartitionLayout:
    """Parameters of a division of the ground into parcels."""

    salt: WorldSalt
    region_px: int
    """Typical size of a region with one orientation and parcel size, pixels."""
    block_px: tuple[float, float]
    """Minimum and maximum side of blocks, pixels."""
    parcel_px: tuple[float, float]
    """Minimum and maximum of the region's typical side of a parcel, pixels."""
    depth: int
    """Maximum number of divisions of a block."""
    slant: float
    """Maximum slope of the dividing lines relative to the region's axes."""
    warp_px: float
    """Standard deviation of the displacement of edges, pixels."""
    warp_scale_px: int
    """Length of the bends of edges, pixels."""


class Parcels:
    """Parcels of a frame; fields of shape (H, W), tables of N parcels."""

    def __init__(
        self, index: Index, ids: Ids, x: Positions, y: Positions, region: Index,
        region_x: Positions, region_y: Positions,
        edge_px: Field, road_px: Field, across: Field, along: Field,
    ) -> None:  # fmt: skip
        self.index = index
        """Number of the parcel of each pixel, 0..N-1."""
        self.ids = ids
        """One hash per parcel, (N,)."""
        self.x, self.y = x, y
        """Centre of the parcel, absolute pixels, (N,)."""
        self.region = region
        """Number of the parcel's region, 0..R-1, (N,)."""
        self.region_x, self.region_y = region_x, region_y
        """Position of the regions, absolute pixels, (R,)."""
        self.edge_px = edge_px
        """Distance in pixels to the nearest edge of the parcel."""
        self.road_px = road_px
        """Distance in pixels to the nearest edge of the block or region."""
        self.across = across
        """Position along the region's first axis, pixels."""
        self.along = along
        """Position along the region's second axis, pixels."""

    def number(self, attribute: int) -> Field:
        """Return one uniform random number per parcel, (N,), for a numbered attribute."""
        return uniform(self.ids, attribute)

    def random(self, attribute: int) -> Field:
        """Return the parcel's random number for each pixel, (H, W)."""
        return np.asarray(self.number(attribute).take(self.index))

    def spread(self, values: NDArray[np.floating]) -> Field:
        """Return values of the parcels, (N,), for each pixel, (H, W), float32."""
        return np.asarray(values.astype(np.float32).take(self.index))


@dataclass(frozen=True, slots=True)
class _Regions:
    """The regions near a frame and the division of the frame's pixels among them."""

    names: Ids
    x: Positions
    y: Positions
    nearest: Index
    border_px: Field
    east: Field
    """Pixels from the region's point."""
    south: Field


def partition(frame: Frame, layout: PartitionLayout) -> Parcels:
    """Divide the ground of a frame into parcels."""
    regions = _regions(frame, layout)
    names, nearest = regions.names, regions.nearest
    angle = uniform(names, _ANGLE) * np.float32(np.pi)
    cos, sin = np.cos(angle).take(nearest), np.sin(angle).take(nearest)
    u = regions.east * cos + regions.south * sin
    v = regions.south * cos - regions.east * sin
    small, large = layout.parcel_px
    size = small + (large - small) * uniform(names, _SIZE) ** 2
    small, large = layout.block_px
    side = np.maximum(small + (large - small) * uniform(names, _BLOCK), 1.5 * size)
    side_here = side.take(nearest)
    strip = np.floor(u / side_here).astype(np.int64)
    first, count = int(strip.min()), int(np.ptp(strip)) + 1
    slips = uniform(names[:, None], _SLIP, first + np.arange(count))
    strip_number = strip - first + nearest * count
    slip = slips.ravel().take(strip_number)
    position = v / side_here + slip
    row = np.floor(position).astype(np.int64)
    first_row, rows = int(row.min()), int(np.ptp(row)) + 1
    block = strip_number * rows + (row - first_row)
    used, block = _compressed(block, names.size * count * rows)
    region_of, rest = np.divmod(used, count * rows)
    strips, rows_of = np.divmod(rest, rows)
    ids = mix(names[region_of], first + strips, first_row + rows_of)
    extent = side[region_of]
    west = ((first + strips) * extent).astype(np.float32)
    north = ((first_row + rows_of) - slips[region_of, strips]).astype(np.float32) * extent
    across, along = u - west.take(block), v - north.take(block)
    road = np.minimum(np.minimum(across, side_here - across), np.minimum(along, side_here - along))
    np.minimum(road, regions.border_px, out=road)
    leaf, parts, inner = _divided(layout, block, ids, extent, size[region_of], across, along)
    used, index = _compressed(leaf, parts.names.size)
    region, parent = (a.repeat(1 << layout.depth)[used] for a in (region_of, np.arange(ids.size)))
    middle_u, middle_v = west[parent] + parts.across[used], north[parent] + parts.along[used]
    cos, sin = np.cos(angle[region]), np.sin(angle[region])
    return Parcels(
        index, parts.names[used],
        regions.x[region] + middle_u * cos - middle_v * sin,
        regions.y[region] + middle_u * sin + middle_v * cos,
        region, regions.x, regions.y, np.minimum(inner, road), road, u, v,
    )  # fmt: skip


def _compressed(index: NDArray[np.integer], size: int) -> tuple[Index, Index]:
    """Return the numbers that occur in an index, and the index into them."""
    there = np.bincount(index.ravel(), minlength=size) > 0
    used = np.flatnonzero(there)
    return used, (there.cumsum() - 1).take(index)


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts of the blocks, (N,), with their middles relative to the block's corner."""

    names: Ids
    across: Field
    along: Field


def _divided(
    layout: PartitionLayout, block: Index, ids: Ids, extent: Field, size: Field,
    across: Field, along: Field,
) -> tuple[Index, _Parts, Field]:  # fmt: skip
    """Divide blocks: part of each pixel, the parts, distance to the dividing lines, pixels."""
    node, names = block, ids
    low = np.zeros((2, ids.size), dtype=np.float32)
    high = np.stack([extent, extent]).astype(np.float32)
    target = size * (0.6 + 0.8 * uniform(ids, _LIMIT))
    edge = np.full(block.shape, FAR_PX, dtype=np.float32)
    for _ in range(layout.depth):
        sides = high - low
        stretch = ELONGATION ** (2 * uniform(names, _TURN) - 1)
        axis = (sides[1] > sides[0] * stretch).astype(np.intp)
        columns = np.arange(names.size)
        longer = sides[axis, columns]
        divides = longer > target * (0.9 + 0.9 * uniform(names, _SIZE))
        where = DIVIDE_FROM + DIVIDE_RANGE * uniform(names, _WHERE)
        position = low[axis, columns] + where * longer
        slant = layout.slant * (2 * uniform(names, _SLANT) - 1)
        middle = (low[1 - axis, columns] + high[1 - axis, columns]) / 2
        # The line through `position` at the middle of the part: a * across + b * along = c.
        a = np.where(axis == 0, 1, slant).astype(np.float32)
        b = np.where(axis == 0, slant, 1).astype(np.float32)
        c = np.where(divides, position + slant * middle, FAR_PX).astype(np.float32)
        beyond = a.take(node) * across
        beyond += b.take(node) * along
        beyond -= c.take(node)
        np.minimum(edge, np.abs(beyond), out=edge)
        node = node * 2 + (beyond > 0)
        low, high = low.repeat(2, axis=1), high.repeat(2, axis=1)
        cut = np.where(divides, position, high[axis, 2 * columns])
        high[axis, 2 * columns] = cut
        low[axis, 2 * columns + 1] = cut
        names = mix(names[:, None], np.arange(2)).ravel()
        target = target.repeat(2)
    middle = (low + high) / 2
    return node, _Parts(names, middle[0], middle[1]), edge


def _regions(frame: Frame, layout: PartitionLayout) -> _Regions:
    """Assign each pixel to the nearest of the jittered points of its own and adjacent cells."""
    region_px = layout.region_px
    x, y = frame.coordinates()
    columns, left = _cells(frame.x0, frame.width, region_px)
    rows, top = _cells(frame.y0, frame.height, region_px)
    seeds = mix(frame.seed, layout.salt, rows[:, None], columns[None, :])
    seed_x = (columns + uniform(seeds, _SEED_X)) * region_px
    seed_y = (rows[:, None] + uniform(seeds, _SEED_Y)) * region_px
    bend = np.float32(layout.warp_px)
    dx = bend * frame.noise(layout.salt + 1000, layout.warp_scale_px)
    dy = bend * frame.noise(layout.salt + 2000, layout.warp_scale_px)
    shape = frame.height, frame.width
    nearest = np.empty(shape, dtype=np.intp)
    border, east, south = (np.empty(shape, dtype=np.float32) for _ in range(3))
    numbers = np.arange(seeds.size).reshape(seeds.shape)
    for i in range(len(rows) - 2):
        for j in range(len(columns) - 2):
            cell = slice(top[i], top[i + 1]), slice(left[j], left[j + 1])
            around = slice(i, i + 3), slice(j, j + 3)
            px, py = seed_x[around].reshape(9, 1, 1), seed_y[around].reshape(9, 1, 1)
            e = (x[:, cell[1]] - px).astype(np.float32) + dx[cell]
            s = (y[cell[0]] - py).astype(np.float32) + dy[cell]
            squares = e * e
            squares += s * s
            pixels = np.arange(squares[0].size).reshape(squares[0].shape)
            first = squares.argmin(axis=0)
            at_first = first * pixels.size + pixels
            own = squares.ravel().take(at_first)
            squares.ravel()[at_first] = np.float32(1e12)
            second = squares.argmin(axis=0)
            other = squares.ravel().take(second * pixels.size + pixels)
            apart = np.hypot(px.reshape(9, 1) - px.ravel(), py.reshape(9, 1) - py.ravel())
            border[cell] = (other - own) / (
                2 * apart.astype(np.float32).ravel().take(first * 9 + second)
            )
            east[cell] = e.ravel().take(at_first)
            south[cell] = s.ravel().take(at_first)
            nearest[cell] = numbers[around].ravel().take(first)
    return _Regions(seeds.ravel(), seed_x.ravel(), seed_y.ravel(), nearest, border, east, south)


def _cells(first: int, count: int, size: int) -> tuple[NDArray[np.int64], list[int]]:
    """Return the cells along an axis, one more on both sides, and the inner cells' limits."""
    cells = np.arange(first // size - 1, (first + count - 1) // size + 2)
    limits = np.clip(cells[1:] * size - first, 0, count)
    return cells, limits.tolist()


def lot_numbers(parcels: Parcels, width_px: Field, length_px: Field) -> Field:
    """Return one random number, 0..1, for each lot of the parcels, (H, W).

    Parameters
    ----------
    parcels : Parcels
    width_px, length_px : ndarray of float32, shape (H, W)
        Extent of the lots along the axes of the region, the same in each parcel.
    """
    column = np.floor(parcels.across / width_px).astype(np.int32)
    row = np.floor(parcels.along / length_px).astype(np.int32)
    # 32 bits suffice and are hashed faster than the 64 of `mix`.
    bits = (parcels.ids >> np.uint64(32)).astype(np.uint32).take(parcels.index)
    for axis in (column, row):
        bits ^= axis.view(np.uint32) * _PRIME_1
        bits *= _PRIME_2
        bits ^= bits >> np.uint32(15)
    return np.asarray((bits >> np.uint32(8)).astype(np.float32) / np.float32(1 << 24))
