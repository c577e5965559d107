from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caco_data.dataset.reader import Dataset, open_dataset
from caco_data.dataset.stack_table import StackTable
from caco_data.errors import DatasetError, InputError
from caco_data.storage import open_storage, write_bytes
from caco_data.training.batches import BatchReader, choose_tiles
from caco_data.types import PERIODS, Compress
from tests.support.training_data import make_training_set

LOCATIONS = 11


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return open_dataset(make_training_set(tmp_path_factory.mktemp("data") / "set", LOCATIONS))


@pytest.fixture(scope="module")
def stacks(dataset: Dataset) -> StackTable:
    return dataset.stacks()


def test_each_row_has_three_different_tiles_of_its_period(
    dataset: Dataset, stacks: StackTable
) -> None:
    for batch in BatchReader(stacks, rows=8, seed=1).epoch(0):
        for i, location in enumerate(batch.locations):
            for period, name in enumerate(PERIODS):
                whole = dataset.read_member(int(stacks.location_ids[location]), name)
                tiles = batch.tiles[0][:, 2 * i + period].numpy()
                found = [[np.array_equal(tile, t) for t in whole].index(True) for tile in tiles]
                assert len(set(found)) == 3


@pytest.mark.parametrize("compress", ["none", "zstd"])
def test_uint16_and_compressed_members(tmp_path: Path, compress: str) -> None:
    root = make_training_set(
        tmp_path / "set", 2, ("B4", "B8"), "uint16", "zstd" if compress == "zstd" else "none"
    )
    dataset = open_dataset(root)
    (batch,) = BatchReader(dataset.stacks(), rows=4, seed=0).epoch(0)
    assert batch.tiles[0].shape == (3, 4, 2, 264, 264)
    late = dataset.read_member(int(dataset.stacks().location_ids[batch.locations[1]]), "late")
    assert any(np.array_equal(batch.tiles[0][0, 3].numpy(), tile) for tile in late)


def test_bands_of_all_pixel_sizes_or_a_subset(tmp_path: Path) -> None:
    bands = ("B4", "B8", "B11", "B1", "B5")
    dataset = open_dataset(make_training_set(tmp_path / "set", 2, bands, "uint16"))
    (batch,) = BatchReader(dataset.stacks(), rows=4, seed=0).epoch(0)
    assert dataset.stacks().bands == ("B4", "B8", "B11", "B5", "B1")
    assert [x.shape[2:] for x in batch.tiles] == [(2, 264, 264), (2, 132, 132), (1, 44, 44)]
    some = dataset.stacks(("B5", "B8"))
    (part,) = BatchReader(some, rows=4, seed=0).epoch(0)
    assert some.bands == ("B8", "B5")
    assert np.array_equal(part.tiles[0].numpy(), batch.tiles[0][:, :, 1:].numpy())
    assert np.array_equal(part.tiles[1].numpy(), batch.tiles[1][:, :, 1:].numpy())
    with pytest.raises(InputError, match="no band B9"):
        dataset.stacks(("B4", "B9"))


def test_parts_of_a_batch_add_up_to_the_batch(stacks: StackTable) -> None:
    whole = next(BatchReader(stacks, rows=8, seed=2).epoch(1))
    parts = [next(BatchReader(stacks, rows=8, seed=2, part=(i, 2)).epoch(1)) for i in (0, 1)]
    both = np.concatenate([part.tiles[0].numpy() for part in parts], axis=1)
    assert np.array_equal(both, whole.tiles[0].numpy())
    for part in parts:
        assert part.locations.tolist() == whole.locations.tolist()


def test_an_epoch_uses_each_location_once_in_a_new_order(stacks: StackTable) -> None:
    reader = BatchReader(stacks, rows=6, seed=0)
    assert reader.steps == LOCATIONS // 3
    orders = [[batch.locations.tolist() for batch in reader.epoch(e)] for e in (0, 1)]
    for order in orders:
        flat = [location for batch in order for location in batch]
        assert len(flat) == len(set(flat)) == 9
    assert orders[0] != orders[1]


def test_an_epoch_can_be_resumed_at_any_step(stacks: StackTable) -> None:
    whole = list(BatchReader(stacks, rows=4, seed=5, workers=1).epoch(3))
    rest = list(BatchReader(stacks, rows=4, seed=5, workers=4).epoch(3, first_step=2))
    assert len(rest) == len(whole) - 2
    for a, b in zip(whole[2:], rest, strict=True):
        assert a.locations.tolist() == b.locations.tolist()
        assert np.array_equal(a.tiles[0].numpy(), b.tiles[0].numpy())
    other = next(BatchReader(stacks, rows=4, seed=6).epoch(3))
    assert not np.array_equal(other.tiles[0].numpy(), whole[0].tiles[0].numpy())


@given(
    seed=st.integers(0, 2**32), pairs=st.integers(1, 20), tiles=st.integers(1, 5),
    aligned=st.booleans(),
)  # fmt: skip
def test_chosen_tiles_differ(seed: int, pairs: int, tiles: int, aligned: bool) -> None:
    chosen = choose_tiles(np.random.default_rng(seed), 2 * pairs, tiles, aligned)
    assert chosen.shape == (2 * pairs, tiles)
    assert all(len(set(row)) == tiles and set(row) <= set(range(5)) for row in chosen.tolist())
    if aligned:
        assert np.array_equal(chosen[::2], chosen[1::2])


def test_periods_choose_independently_unless_aligned() -> None:
    chosen = choose_tiles(np.random.default_rng(0), 2000, aligned=False)
    same = (chosen[::2] == chosen[1::2]).all(axis=1).mean()
    assert same < 0.05


@pytest.mark.parametrize("aligned", [True, False])
def test_every_tile_is_chosen_equally_often(aligned: bool) -> None:
    chosen = choose_tiles(np.random.default_rng(0), 20_000, 3, aligned)
    for position in range(3):
        share = np.bincount(chosen[:, position], minlength=5) / 20_000
        assert np.abs(share - 0.2).max() < 0.02


@pytest.mark.parametrize(("rows", "words"), [(5, "even"), (0, "even"), (24, "has 11")])
def test_impossible_batch_sizes_are_rejected(stacks: StackTable, rows: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        BatchReader(stacks, rows=rows, seed=0)


@pytest.mark.parametrize("compress", ["none", "zstd"])
def test_tiles_are_read_from_a_remote_store(tmp_path: Path, compress: Compress) -> None:
    root = make_training_set(tmp_path / "set", 2, ("B4", "B8"), "uint16", compress)
    here = open_dataset(root).stacks()
    storage = open_storage(f"memory://{tmp_path.name}")
    for path in here.paths:
        write_bytes(storage, Path(path).name, Path(path).read_bytes())
    there = dataclasses.replace(
        here, paths=tuple(f"{storage.root}/{Path(path).name}" for path in here.paths)
    )
    (one,), (other,) = (BatchReader(x, rows=4, seed=0).epoch(0) for x in (here, there))
    assert np.array_equal(one.tiles[0].numpy(), other.tiles[0].numpy())


def test_a_truncated_shard_is_named(tmp_path: Path) -> None:
    dataset = open_dataset(make_training_set(tmp_path / "set", 2))
    shard = tmp_path / "set" / "shards" / "000000.tar"
    shard.write_bytes(shard.read_bytes()[:200_000])
    with pytest.raises(DatasetError, match=r"location (0|10).*000000\.tar.*verify"):
        list(BatchReader(dataset.stacks(), rows=4, seed=0).epoch(0))
    shard.unlink()
    with pytest.raises(DatasetError, match="location"):
        list(BatchReader(dataset.stacks(), rows=4, seed=0).epoch(0))
