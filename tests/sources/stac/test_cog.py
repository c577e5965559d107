"""Reading of real files at the right places, compared with rasterio's own windows."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.io import MemoryFile
from rasterio.transform import Affine
from rasterio.windows import from_bounds

from caco_data.errors import PermanentError, TransientError
from caco_data.sources.limiter import Limiter
from caco_data.sources.stac.cog import BlockReader
from caco_data.sources.stac.web import FileServer, Web
from caco_data.types import Grid
from tests.support.stac_material import COGS

LEFT, TOP = 199980, 2800020


class DiskFiles(FileServer):
    """Reads parts of files on the disk or in memory, and counts the requests."""

    def __init__(self, **files: bytes) -> None:
        super().__init__(Web(1.0, Limiter()))
        self.files = files
        self.parts: list[tuple[int, int]] = []

    def read(self, href: str, start: int, nbytes: int, at_most: bool = False) -> bytes:
        data = self.files.get(href) or Path(href).read_bytes()
        self.parts.append((start, nbytes))
        part = data[start : start + nbytes]
        if not at_most and len(part) != nbytes:
            raise TransientError("file shorter than stated", href, uncertain=True)
        return part


def window_of(path: str, grid: Grid) -> NDArray[np.uint16]:
    with rasterio.open(path) as file:
        window = from_bounds(grid.left_m, grid.bottom_m, grid.right_m, grid.top_m, file.transform)
        pixels: NDArray[np.uint16] = file.read(1, window=window, boundless=True, fill_value=0)
        return pixels


# rasterio multiplies matrices with "*".
@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.parametrize(("name", "pixel_m"), [("SCL", 200), ("B01", 600), ("B09", 600)])
@pytest.mark.parametrize("place", [(0, 0), (50_400, 30_000), (108_000, 108_000), (-1200, -1200)])
def test_real_files(name: str, pixel_m: int, place: tuple[int, int]) -> None:
    path = str(COGS / f"{name}.tif")
    grid = Grid(32629, LEFT + place[0], TOP - place[1], 240, 240)
    found = BlockReader(DiskFiles()).read(path, grid, pixel_m)
    np.testing.assert_array_equal(found, window_of(path, grid))
    assert found.any()


def test_pixels_of_other_sizes_and_systems_are_refused() -> None:
    path = str(COGS / "SCL.tif")
    reader = BlockReader(DiskFiles())
    with pytest.raises(PermanentError, match="pixels of 200 m"):
        reader.read(path, Grid(32629, LEFT, TOP, 240, 240), 20)
    with pytest.raises(PermanentError, match="EPSG:32629"):
        reader.read(path, Grid(32630, LEFT, TOP, 240, 240), 200)
    with pytest.raises(PermanentError, match="not on the grid"):
        reader.read(path, Grid(32629, LEFT + 60, TOP, 240, 240), 200)


def written(pixels: NDArray[np.generic], **options: object) -> bytes:
    with MemoryFile() as memory:
        with memory.open(
            driver="COG", height=pixels.shape[0], width=pixels.shape[1], count=1,
            dtype=pixels.dtype, crs="EPSG:32631", transform=Affine(10, 0, 399960, 0, -10, 4900020),
            blocksize=128, nodata=0, **options,
        ) as file:  # fmt: skip
            file.write(pixels, 1)
        data: bytes = memory.read()
        return data


PIXELS = np.random.default_rng(0).integers(1, 3000, (600, 500)).astype(np.uint16)
FILES = {
    "deflate": written(PIXELS, compress="DEFLATE"),
    "predictor": written(PIXELS, compress="DEFLATE", predictor=2),
    "lzw": written(PIXELS, compress="LZW", predictor=2),
    "zstd": written(PIXELS, compress="ZSTD"),
    "none": written(PIXELS, compress="NONE"),
    "sparse": written(np.where(PIXELS > 0, 0, PIXELS), compress="DEFLATE", sparse_ok=True),
}


@given(
    st.sampled_from(sorted(FILES)), st.integers(-20, 70), st.integers(-20, 90),
    st.integers(1, 44), st.integers(1, 44),
)  # fmt: skip
def test_any_window_of_any_compression(
    name: str, column: int, row: int, width: int, height: int
) -> None:
    grid = Grid(32631, 399960 + column * 60, 4900020 - row * 60, width * 6, height * 6)
    expected = np.zeros((grid.height_px, grid.width_px), np.uint16)
    left, top = column * 6, row * 6
    part = PIXELS[max(top, 0) : max(top + height * 6, 0), max(left, 0) : max(left + width * 6, 0)]
    y, x = max(-top, 0), max(-left, 0)
    if name != "sparse" and part.size:
        expected[y : y + part.shape[0], x : x + part.shape[1]] = part
    found = BlockReader(DiskFiles(**FILES)).read(name, grid, 10)
    np.testing.assert_array_equal(found, expected)


def test_expected_patches_share_blocks_and_overviews_are_never_read() -> None:
    files = DiskFiles(**FILES)
    reader = BlockReader(files)
    grids = [Grid(32631, 399960 + k * 60, 4900020, 60, 60) for k in range(40)]
    with reader.expecting(("predictor", (grid, 10)) for grid in [*grids, grids[0]]):
        for grid in grids:
            column = (grid.left_m - 399960) // 10
            expected = PIXELS[:60, column : column + 60]
            np.testing.assert_array_equal(reader.read("predictor", grid, 10), expected)
        reader.read("predictor", grids[0], 10)
    assert len(files.parts) == 2  # the header, and one row of blocks
    reader.read("predictor", grids[0], 10)
    assert len(files.parts) == 3  # no longer kept
    header = reader.header("predictor")
    known = {*header.offsets.ravel().tolist()}
    assert all(start in known for start, _ in files.parts[1:])


def test_a_damaged_block_of_a_neighbour_is_of_no_concern() -> None:
    start = int(BlockReader(DiskFiles(**FILES)).header("deflate").offsets[0, 1])
    damaged = FILES["deflate"][:start] + b"\xff" * 50 + FILES["deflate"][start + 50 :]
    reader = BlockReader(DiskFiles(x=damaged))
    own, other = (Grid(32631, 399960 + k * 1280, 4900020, 60, 60) for k in range(2))
    with reader.expecting([("x", (own, 10)), ("x", (other, 10)), ("x", (own, 20))]):
        np.testing.assert_array_equal(reader.read("x", own, 10), PIXELS[:60, :60])
        with pytest.raises(TransientError, match="corrupt body"):
            reader.read("x", other, 10)


@pytest.mark.parametrize("data", [b"", b"II*\0", b"<html>no</html>" * 9, FILES["none"][:200]])
def test_files_of_other_kinds_are_permanent_errors(data: bytes) -> None:
    with pytest.raises(PermanentError, match="Not a cloud-optimised GeoTIFF"):
        BlockReader(DiskFiles(x=data or b"\0")).read("x", Grid(32631, 399960, 4900020, 6, 6), 10)


def test_damaged_and_missing_blocks_are_not_taken_for_pixels() -> None:
    whole = FILES["predictor"]
    header = BlockReader(DiskFiles(**FILES)).header("predictor")
    start = int(header.offsets[0, 0])
    damaged = io.BytesIO(whole)
    damaged.seek(start)
    damaged.write(b"\xff" * 50)
    grid = Grid(32631, 399960, 4900020, 6, 6)
    for data in (damaged.getvalue(), whole[: start + 10]):
        files = DiskFiles(x=data)
        with pytest.raises(TransientError) as caught:
            BlockReader(files).read("x", grid, 10)
        assert caught.value.uncertain
    reader = BlockReader(files)
    with pytest.raises(TransientError):
        reader.read("x", grid, 10)
    files.files["x"] = whole
    np.testing.assert_array_equal(reader.read("x", grid, 10), PIXELS[:6, :6])  # not cached
