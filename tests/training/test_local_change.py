"""Estimate of change from the pixels, on tiles with planted changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from caco_data.dataset.reader import open_dataset
from caco_data.sentinel2 import PIXEL_M
from caco_data.training.local_ratio import CELL_M, local_change
from caco_data.training.loop import train
from caco_data.training.metrics import TrainProgress
from caco_data.training.settings import TrainSettings
from caco_data.types import PATCH_PX, TILES
from tests.support.training_data import is_changed, make_training_set

CELL_PX = CELL_M // PIXEL_M
#: Side of a planted change, cells: about 1.5 % of a patch.
SIDE = 8


def stacks(rng: np.random.Generator) -> NDArray[np.uint16]:
    """Both periods of a place: a texture, seasons, noise, a haze that varies from date to date."""
    cells = PATCH_PX // CELL_PX
    ground = rng.uniform(300, 3000, (3, cells, cells)).repeat(CELL_PX, 1).repeat(CELL_PX, 2)
    season = 1 + 0.2 * rng.normal(size=(2, TILES, 1, 1, 1))
    haze = rng.uniform(0, 200, (2, TILES, 3, 1, 1))
    noise = rng.normal(0, 60, (2, TILES, 3, PATCH_PX, PATCH_PX))
    return np.clip(ground * season + haze + noise, 1, 10_000).astype(np.uint16)


@given(
    seed=st.integers(0, 1000),
    row=st.integers(0, PATCH_PX - SIDE * CELL_PX),
    column=st.integers(0, PATCH_PX - SIDE * CELL_PX),
)
def test_a_small_lasting_change_is_found_and_placed(seed: int, row: int, column: int) -> None:
    tiles = stacks(np.random.default_rng(seed))
    before, *_ = local_change(tiles)
    here = (slice(row, row + SIDE * CELL_PX), slice(column, column + SIDE * CELL_PX))
    tiles[1, :, :, *here] = tiles[1, :, :, *here] // 2 + 1500
    after, y, x = local_change(tiles)
    assert after > 1.5 * before
    assert row - CELL_PX <= y < row + (SIDE + 1) * CELL_PX
    assert column - CELL_PX <= x < column + (SIDE + 1) * CELL_PX


def test_a_difference_that_recurs_in_both_periods_is_no_change() -> None:
    recurring = stacks(np.random.default_rng(0))
    lasting = recurring.copy()
    recurring[:, ::2, :, :80, :80] += 2000  # on every other date
    lasting[1, :, :, :80, :80] += 2000
    assert local_change(recurring)[0] < 1 < local_change(lasting)[0]


def test_units_do_not_matter_except_for_rounding() -> None:
    tiles = stacks(np.random.default_rng(1))
    tiles[1, :, :, 100:140, 100:140] = 3000
    eight_bit = (tiles / 10_000 * 255).round().astype(np.uint8)
    assert local_change(eight_bit, 10_000 / 255)[0] == pytest.approx(
        local_change(tiles)[0], rel=0.05
    )


def test_training_with_the_local_estimate(tmp_path: Path) -> None:
    """Labels are known from the first step on; files contain the places."""
    data = make_training_set(tmp_path / "set", 12, ("B4", "B3", "B2", "B5"), "uint16")
    settings = TrainSettings(
        data=str(data), out=str(tmp_path / "run"), device="cpu", epochs=1, max_steps=1,
        batch_size=8, queue_size=64, embedding=16, crop_size=32, workers=2,
    )  # fmt: skip
    reports: list[TrainProgress] = []
    train(settings, reports.append)
    ids = open_dataset(str(data)).stacks().location_ids.tolist()
    table = pq.read_table(tmp_path / "run" / "change.parquet")
    assert table["label"].to_pylist() == [is_changed(i) for i in ids]
    assert [report.changed_share for report in reports] == [pytest.approx(1 / 3)]
    places = np.stack([table["row"].to_numpy(), table["column"].to_numpy()])
    assert ((places >= 0) & (places < PATCH_PX)).all()
