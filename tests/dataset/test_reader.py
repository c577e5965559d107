from __future__ import annotations

from pathlib import Path

import pytest

from caco_data.dataset import open_dataset
from caco_data.dataset.ledger import Ledger
from caco_data.errors import CacoDataError, DatasetError, InputError
from caco_data.grid import patch_grid
from caco_data.storage import LocalStorage
from caco_data.types import PATCH_PX
from tests.support.plain_source import (
    PlainSettings,
    description,
    locations,
    make_dataset,
    outcomes,
)

N = 5


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with two locations per shard, of which location 1 is rejected."""
    cloudy = patch_grid(locations(N)[1]).left_m
    root = tmp_path_factory.mktemp("reader") / "set"
    make_dataset(str(root), outcomes(N, PlainSettings(cloudy_locations=(cloudy,))))
    return root


def test_offsets_in_the_table_of_stacks_are_those_of_the_members(root: Path) -> None:
    dataset = open_dataset(root)
    stacks = dataset.stacks()
    assert stacks.location_ids.tolist() == [0, 2, 3, 4]
    assert stacks.shard.tolist() == [0, 1, 1, 2]
    (member,) = stacks.members
    assert member.shape == (5, 3, 264, 264)
    for i, location_id in enumerate(stacks.location_ids.tolist()):
        shard = Path(stacks.paths[stacks.shard[i]]).read_bytes()
        late = shard[member.offset[i, 1] :][: member.nbytes[i, 1]]
        assert dataset.read_member(location_id, "late").tobytes() == late[128:]


def test_a_missing_location_member_or_band_is_an_input_error(root: Path) -> None:
    dataset = open_dataset(root)
    assert dataset.read_member(0, "early", "_scl").shape == (5, PATCH_PX // 2, PATCH_PX // 2)
    with pytest.raises(InputError, match="location 1"):
        dataset.read_member(1, "early")
    with pytest.raises(InputError, match="location 0"):
        dataset.read_member(0, "early", "20")
    with pytest.raises(InputError, match="no band B8"):
        dataset.stacks(["B4", "B8"])


def test_a_damaged_member_is_not_read(root: Path, tmp_path: Path) -> None:
    make_dataset(str(tmp_path), outcomes(1))
    with (tmp_path / "shards/000000.tar").open("r+b") as file:
        file.seek(5000)
        file.write(b"damage")
    dataset = open_dataset(tmp_path)
    with pytest.raises(DatasetError, match=r"Location 0 is damaged .*000000\.tar.*--repair"):
        dataset.read_member(0, "early")
    dataset.check()
    with pytest.raises(DatasetError, match="SHA-256"):
        dataset.check(shards=True)


def test_unfinished_and_missing_data_sets_are_not_opened(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No data set"):
        open_dataset(tmp_path)
    Ledger(LocalStorage(tmp_path), description(), [0]).reserve()
    with pytest.raises(InputError, match="Unfinished"):
        open_dataset(tmp_path)
    (tmp_path / "dataset.json").write_text("[1]")
    with pytest.raises(CacoDataError, match="format"):
        open_dataset(tmp_path)
