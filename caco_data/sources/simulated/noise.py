"""Random fields over absolute pixel coordinates: a pixel has the same value in every grid.

The values are equal to the last bit, so that overlapping grids agree exactly. The rounding of a
matrix product depends on the order of its sums and so on the shapes; here lattice values and
weights are integers, small enough that every sum is exact in float64.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Whole = NDArray[np.int64]

#: Bits of lattice values and of weights: sums of a value times two weights stay below 2**53.
_VALUE_BITS, _WEIGHT_BITS = 16, 18
#: Factor to unit variance: interpolation by cubic B-splines in two dimensions reduces the variance
#: of the lattice values, 1/12, by a factor of 0.23.
_UNIT = 7.2 / (1 << (_VALUE_BITS + 2 * _WEIGHT_BITS))
#: OpenBLAS uses one thread for products of at most this many multiplications.
_ONE_THREAD = 1 << 18

#: Salt that makes the hashes of columns differ from those of rows.
_COLUMNS = 7
#: Constants of splitmix64.
_INT_A, _INT_B, _INT_C = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_A, _B, _C = (np.uint64(x) for x in (_INT_A, _INT_B, _INT_C))
_MASK = (1 << 64) - 1

#: Primes of xxHash32.
_PRIME_1, _PRIME_2 = np.uint32(0x9E3779B1), np.uint32(0x85EBCA77)


def mix(*values: object) -> NDArray[np.uint64]:
    """Hash the integer parts of numbers, broadcast together, to 64 bits (splitmix64 finaliser)."""
    scalar, rest = _mixed_scalars(values)
    if not rest:
        return np.asarray(np.uint64(scalar))
    state: Any = np.uint64(scalar)
    with np.errstate(over="ignore"):
        for value in rest:
            x = _bits(value) + (state + _A)
            x = (x ^ (x >> np.uint64(30))) * _B
            x = (x ^ (x >> np.uint64(27))) * _C
            state = x ^ (x >> np.uint64(31))
    return np.asarray(state)


def _mixed_scalars(values: tuple[object, ...]) -> tuple[int, tuple[object, ...]]:
    """Hash the leading scalars with Python's integers, which is faster than with arrays of one."""
    state = 0
    for k, value in enumerate(values):
        if not isinstance(value, int | float | np.integer):
            return state, values[k:]
        x = (int(value) + state + _INT_A) & _MASK
        x = ((x ^ (x >> 30)) * _INT_B) & _MASK
        x = ((x ^ (x >> 27)) * _INT_C) & _MASK
        state = x ^ (x >> 31)
    return state, ()


def _bits(value: object) -> NDArray[np.uint64]:
    whole = np.asarray(value)
    return whole if whole.dtype == np.uint64 else whole.astype(np.int64).view(np.uint64)


def derive_seed(*values: object) -> int:
    """Hash numbers as `mix` does, to a seed of 63 bits, which fits in an int64."""
    return int(mix(*values)) >> 1


def uniform(*values: object) -> Field:
    """Hash numbers as `mix` does, to uniform values in 0..1, float32."""
    return ((mix(*values) >> np.uint64(40)).astype(np.float32) / np.float32(1 << 24)).astype(
        np.float32
    )


@lru_cache(maxsize=512)
def _weights(first: int, count: int, scale: int) -> tuple[int, NDArray[np.float64]]:
    """First lattice node and cubic B-spline weights (count, nodes) of pixels along one axis."""
    position = (np.arange(first, first + count) + 0.5) / scale
    node = np.floor(position).astype(np.int64)
    f = position - node
    start = int(node[0]) - 1
    weights = np.zeros((count, int(node[-1]) - start + 3))
    rows = np.arange(count)
    for k, weight in enumerate(_spline(f)):
        weights[rows, node - start - 1 + k] = np.round(weight / 6 * (1 << _WEIGHT_BITS))
    weights.flags.writeable = False
    return start, weights


def _product(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the matrix product, computed in parts that OpenBLAS does not divide among threads.

    Waiting for threads takes longer than such small products, many times longer on a busy machine.
    """
    rows = max(_ONE_THREAD // b.size, 1)
    return np.concatenate([a[k : k + rows] @ b for k in range(0, len(a), rows)])


def _lattice(seed: object, scale: int, nodes_x: Whole, nodes_y: Whole) -> NDArray[np.float64]:
    bits = mix(seed, scale, nodes_y[:, None], nodes_x[None, :]) >> np.uint64(64 - _VALUE_BITS)
    return bits.astype(np.float64) - (1 << (_VALUE_BITS - 1))


def smooth(seed: object, x0: int, y0: int, width: int, height: int, scale: int) -> Field:
    """Smooth noise of mean 0 and about unit variance, with features `scale` pixels wide, (H, W).

    Parameters
    ----------
    seed : int
        Seed of the field.
    x0, y0 : int
        Absolute coordinates of the upper left pixel; y grows downwards.
    width, height : int
        Pixels.
    scale : int
        Lattice spacing, pixels.
    """
    xs, wx = _weights(x0, width, scale)
    ys, wy = _weights(y0, height, scale)
    nodes_x = np.arange(xs, xs + wx.shape[1])
    nodes_y = np.arange(ys, ys + wy.shape[1])
    exact = _product(_product(wy, _lattice(seed, scale, nodes_x, nodes_y)), wx.T)
    return np.multiply(exact, _UNIT, dtype=np.float32, casting="same_kind")


def fractal(
    seed: int, x0: int, y0: int, width: int, height: int, scales: tuple[int, ...], gain: float
) -> Field:
    """Sum smooth noises of several scales, scaled to unit variance, (H, W).

    The weight of each noise is `gain` times that of the one before.
    """
    total = np.zeros((height, width), dtype=np.float32)
    weight, power = 1.0, 0.0
    for i, scale in enumerate(scales):
        total += np.float32(weight) * smooth(derive_seed(seed, i), x0, y0, width, height, scale)
        power += weight**2
        weight *= gain
    return total / np.float32(power**0.5)


def stepped(
    seed: int, x0: int, y0: int, width: int, height: int, scales: tuple[int, ...], gain: float,
    step: int,
) -> Field:  # fmt: skip
    """Like `fractal`, constant on blocks of `step` x `step` pixels, which is faster.

    The scales are multiples of `step`; the blocks begin at multiples of `step`.
    """
    left, top = x0 // step, y0 // step
    columns, rows = (x0 + width - 1) // step - left + 1, (y0 + height - 1) // step - top + 1
    coarse = fractal(seed, left, top, columns, rows, tuple(s // step for s in scales), gain)
    whole = coarse.repeat(step, axis=0).repeat(step, axis=1)
    i, j = y0 - top * step, x0 - left * step
    return whole[i : i + height, j : j + width]


def white(seed: object, x0: int, y0: int, width: int, height: int) -> Field:
    """Noise that is independent from pixel to pixel, uniform in -1..1, (H, W)."""
    x = np.arange(x0, x0 + width)
    y = np.arange(y0, y0 + height)
    rows, columns = mix(seed, y)[:, None], mix(seed, _COLUMNS, x)[None, :]
    bits = (rows.astype(np.uint32) ^ columns.astype(np.uint32)) * _PRIME_1
    bits ^= bits >> np.uint32(15)
    bits *= _PRIME_2
    return (bits >> np.uint32(8)).astype(np.float32) * np.float32(2**-23) - np.float32(1)


def normal(*values: object) -> NDArray[np.float64]:
    """Hash numbers as `mix` does, to normally distributed values (Box and Muller, 1958)."""
    bits = mix(*values)
    radius = ((bits >> np.uint64(32)).astype(np.float64) + 1) / 2.0**32
    angle = (bits & np.uint64(0xFFFFFFFF)).astype(np.float64) / 2.0**32
    return np.asarray(np.sqrt(-2 * np.log(radius)) * np.cos(2 * np.pi * angle))


def points(seeds: object, x: NDArray[np.floating], y: NDArray[np.floating], scale: int) -> Field:
    """Value of fields like `smooth` at points in absolute pixels.

    Parameters
    ----------
    seeds : int or ndarray of uint64, shape (K,)
        Seeds of the fields.
    x, y : ndarray, shape (N,)
    scale : int

    Returns
    -------
    ndarray of float32, shape (N,) or (K, N)
    """
    columns, rows = np.floor(x / scale).astype(np.int64), np.floor(y / scale).astype(np.int64)
    step = np.arange(-1, 3)[:, None]
    names = mix(seeds, scale)[..., None, None, None]
    bits = mix(names, (rows + step)[:, None], (columns + step)[None]) >> np.uint64(64 - _VALUE_BITS)
    value = bits.astype(np.float64) - (1 << (_VALUE_BITS - 1))
    across, down = np.stack(_spline(x / scale - columns)), np.stack(_spline(y / scale - rows))
    total = (value * (down[:, None] * across[None])).sum(axis=(-3, -2))
    return np.asarray(total / 36 * (7.2 / (1 << _VALUE_BITS)), dtype=np.float32)


def _spline(f: NDArray[np.floating]) -> tuple[NDArray[np.floating], ...]:
    """Return six times the weights of a cubic B-spline at a fraction of the lattice spacing."""
    return (1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4, -3 * f**3 + 3 * f**2 + 3 * f + 1, f**3


def at(seeds: NDArray[np.uint64], x: int, y: int, scale: int) -> Field:
    """Value of `smooth` at one pixel, for seeds of any shape."""
    xs, wx = _weights(x, 1, scale)
    ys, wy = _weights(y, 1, scale)
    nodes_x = np.arange(xs, xs + wx.shape[1])
    nodes_y = np.arange(ys, ys + wy.shape[1])
    lattice = _lattice(seeds[..., None, None], scale, nodes_x, nodes_y)
    return np.asarray((lattice * (wy.T * wx)).sum(axis=(-2, -1)) * _UNIT, dtype=np.float32)
