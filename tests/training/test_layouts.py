"""Batches, methods and change estimates for data sets with other periods and numbers of tiles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from caco_data.dataset.reader import Dataset, open_dataset
from caco_data.download.settings import FetchSettings, SceneSettings
from caco_data.errors import InputError
from caco_data.evaluation.probes import change_ratio
from caco_data.training.batches import BatchReader
from caco_data.training.local_ratio import local_change
from caco_data.training.loop import train
from caco_data.training.methods import METHODS, check_method
from caco_data.training.settings import MethodName, TrainSettings
from caco_data.types import StackLayout, period_names
from tests.conftest import Run
from tests.support.plain_source import make_dataset, outcomes

N = 8
PATCH_PX = 66


def make(root: Path, periods: int, tiles: int) -> Dataset:
    scenes = SceneSettings(periods=periods, tiles_per_period=tiles, gap_years=1)
    fetch = FetchSettings(scenes, ("B4", "B3"), patch_px=PATCH_PX)
    make_dataset(str(root), outcomes(N, fetch=fetch), fetch)
    return open_dataset(root)


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make(tmp_path_factory.mktemp("single") / "dataset", 1, 2)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make(tmp_path_factory.mktemp("three") / "dataset", 3, 3)


@pytest.mark.parametrize(
    ("periods", "tiles", "fitting"),
    [
        (1, 1, {"moco"}),
        (1, 2, {"moco", "moco-tp"}),
        (1, 3, {"moco", "moco-tp", "seco"}),
        (2, 2, {"moco", "moco-tp"}),
        (2, 3, set(METHODS)),
        (3, 3, set(METHODS)),
    ],
)
def test_methods_that_a_layout_allows(periods: int, tiles: int, fitting: set[MethodName]) -> None:
    layout = StackLayout(period_names(periods), tiles)
    assert {name for name, method in METHODS.items() if method.fits(layout)} == fitting
    for name in METHODS:
        if name in fitting:
            check_method(name, layout, "dataset")
        else:
            with pytest.raises(InputError, match=" or ".join(x for x in METHODS if x in fitting)):
                check_method(name, layout, "dataset")


def test_a_method_that_does_not_fit_is_refused_in_one_line(run: Run, single: Dataset) -> None:
    result = run("train", "--data", single.root, "--device", "cpu")
    assert result.exit_code == 2
    assert result.stderr == (
        "error: The method caco needs 2 periods of 3 tiles, the data set has 1 period of 2 tiles "
        f"({single.root}). Use --method moco or moco-tp.\n"
    )


def test_a_batch_of_one_period_has_a_row_per_location(single: Dataset) -> None:
    (batch,) = BatchReader(single.stacks(), rows=N, seed=0, tiles=2).epoch(0)
    assert sorted(batch.locations.tolist()) == list(range(N))
    assert batch.tiles[0].shape == (2, N, 2, PATCH_PX, PATCH_PX)
    for row, location in enumerate(batch.locations.tolist()):
        stack = single.read_member(location, "single")
        assert any((batch.tiles[0][0, row].numpy() == tile).all() for tile in stack)


def test_pairs_of_more_than_two_periods(three: Dataset) -> None:
    stacks = three.stacks()

    def pairs(reader: BatchReader) -> set[tuple[int, ...]]:
        rng = np.random.default_rng(0)
        return {tuple(pair) for _ in range(20) for pair in reader._periods(rng).reshape(-1, 2)}

    assert pairs(BatchReader(stacks, rows=8, seed=0)) == {(0, 2)}
    drawn = pairs(BatchReader(stacks, rows=8, seed=0, long_term="random"))
    assert drawn == {(0, 1), (0, 2), (1, 2)}
    batch = next(BatchReader(stacks, rows=8, seed=0).epoch(0))
    late = three.read_member(int(batch.locations[0]), "late")
    assert any((batch.tiles[0][0, 1].numpy() == tile).all() for tile in late)


@pytest.mark.parametrize("method", ["moco-tp", "caco"])
def test_training(tmp_path: Path, single: Dataset, three: Dataset, method: MethodName) -> None:
    settings = TrainSettings(
        data=(single if method == "moco-tp" else three).root, out=str(tmp_path / "run"),
        method=method, epochs=1, batch_size=4, queue_size=8, crop_size=32, device="cpu",
        max_steps=2, long_term="random", precision="32",
    )  # fmt: skip
    last = train(settings)
    assert last is not None
    assert np.isfinite(last.loss)


def test_change_of_one_tile_per_period_is_their_distance() -> None:
    features = np.random.default_rng(0).normal(size=(3, 2, 1, 4))
    unit = features / np.linalg.norm(features, axis=3, keepdims=True)
    expected = np.linalg.norm(unit[:, 0, 0] - unit[:, 1, 0], axis=1)
    assert change_ratio(features) == pytest.approx(expected)
    tiles = np.random.default_rng(1).uniform(500, 3000, (2, 1, 3, 66, 66))
    ratio, row, column = local_change(tiles, patch_px=66)
    assert np.isfinite(ratio)
    assert 0 <= min(row, column) <= max(row, column) < 66


def test_change_needs_two_periods(single: Dataset, three: Dataset) -> None:
    assert three.first_and_last == ("early", "late")
    with pytest.raises(InputError, match="one period"):
        _ = replace(single).first_and_last
