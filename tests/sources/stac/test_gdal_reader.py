from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import Affine

from caco_data.errors import InputError, PermanentError, SourceError
from caco_data.sources.limiter import Limiter
from caco_data.sources.stac.gdal_reader import GdalReader
from caco_data.sources.stac.settings import StacSettings
from caco_data.types import Grid

LEFT, TOP, SIDE = 600_000, 4_800_000, 600


@pytest.fixture(scope="module")
def image() -> NDArray[np.uint16]:
    return np.random.default_rng(0).integers(1, 10_000, (SIDE, SIDE), np.uint16)


@pytest.fixture(scope="module")
def file(image: NDArray[np.uint16], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A lossless JPEG 2000 file with pixels of 10 m."""
    path = tmp_path_factory.mktemp("jp2") / "B04.jp2"
    with rasterio.open(
        path, "w", driver="JP2OpenJPEG", width=SIDE, height=SIDE, count=1, dtype="uint16",
        crs=CRS.from_epsg(32631), transform=Affine(10, 0, LEFT, 0, -10, TOP), REVERSIBLE="YES",
        QUALITY="100",
    ) as out:  # fmt: skip
        out.write(image, 1)
    return str(path)


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # in rasterio
def test_windows_are_those_of_the_image(file: str, image: NDArray[np.uint16]) -> None:
    reader = GdalReader(Limiter(), 10.0)
    read = reader.read(file, Grid(32631, LEFT + 1200, TOP - 600), 10)
    np.testing.assert_array_equal(read, image[60:324, 120:384])
    beyond = reader.read(file, Grid(32631, LEFT - 600, TOP + 600), 10)  # 0 outside the file
    assert not beyond[:60].any()
    assert not beyond[:, :60].any()
    np.testing.assert_array_equal(beyond[60:, 60:], image[:204, :204])


@pytest.mark.parametrize(
    ("grid", "pixel_m"),
    [(Grid(32632, LEFT, TOP), 10), (Grid(32631, LEFT, TOP), 20), (Grid(32631, LEFT + 5, TOP), 10)],
)
def test_other_pixels_than_those_of_the_grid_are_refused(
    file: str, grid: Grid, pixel_m: int
) -> None:
    with pytest.raises(PermanentError, match="not on the grid"):
        GdalReader(Limiter(), 10.0).read(file, grid, pixel_m)


def test_a_file_that_cannot_be_read_is_an_error_of_the_source(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="file refused"):
        GdalReader(Limiter(), 10.0).read(str(tmp_path / "none.jp2"), Grid(32631, LEFT, TOP), 10)


def test_the_copernicus_data_space_requires_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    with pytest.raises(InputError, match="s3keysmanager"):
        StacSettings("cdse").open()
