"""NumPy files and data types of pixel responses."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caco_data.errors import PermanentError
from caco_data.sources.earthengine.pixels import read_npy, strips, to_dn
from caco_data.types import Grid


def npy(array: np.ndarray, version: tuple[int, int] = (1, 0)) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version)
    return file.getvalue()


PIXELS = np.zeros((3, 4), [("B2", "<u2"), ("SCL", "u1")])
PIXELS["B2"] = np.arange(12).reshape(3, 4)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_all_versions_and_orders_are_read(version: tuple[int, int], order: str) -> None:
    found = read_npy(npy(np.array(PIXELS, order=order), version))  # type: ignore[call-overload]
    np.testing.assert_array_equal(found, PIXELS)


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"\x93NUMPY",
        b'{"error": 1}',
        b"\x93NUMPX" + npy(PIXELS)[6:],
        b"\x93NUMPY\x04\x00" + npy(PIXELS)[8:],
        npy(PIXELS)[:40],
        npy(PIXELS)[:-1],
        npy(PIXELS) + b"xyz",
    ],
)
def test_other_files_are_rejected(wrong: bytes) -> None:
    with pytest.raises(ValueError):
        read_npy(wrong)


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "i1", "<i2", "<i4", ">i4", "<u4", "<i8"])
def test_integer_types_become_uint16(dtype: str) -> None:
    layer = np.array([[0, 7], [100, 127]], dtype)
    found = to_dn(layer, "B2")
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, [[0, 7], [100, 127]])


def test_negative_values_become_0_and_large_ones_are_refused() -> None:
    for dtype in ("i2", "i4", "i8"):
        assert to_dn(np.array([[-1, -32_768, 5]], dtype), "B2").tolist() == [[0, 0, 5]]
    assert to_dn(np.array([[65_535]], "i4"), "B2").tolist() == [[65_535]]
    for dtype in ("i4", "u4", "i8", "u8"):
        with pytest.raises(PermanentError, match="65535"):
            to_dn(np.array([[65_536]], dtype), "B2")


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "?", "S2"])
def test_other_types_are_refused(dtype: str) -> None:
    with pytest.raises(PermanentError, match="Band B2 has the type"):
        to_dn(np.zeros((2, 2), dtype), "B2")


@given(st.integers(11, 176), st.integers(1, 14))
def test_strips_cover_a_grid_within_the_limit(sixties: int, bands: int) -> None:
    grid = Grid(32631, 500_040, 4_980_000, 6 * sixties, 6 * sixties)
    found = strips(grid, bands)
    assert sum(strip.height_px for strip in found) == grid.height_px
    assert found[0].top_m == grid.top_m
    assert found[-1].bottom_m == grid.bottom_m
    for strip in found:
        assert strip.top_m % 60 == strip.height_px % 6 == 0
        assert strip.width_px * strip.height_px * bands * 4 <= 48 * 1024 * 1024
