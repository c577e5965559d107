from __future__ import annotations

import hashlib
import itertools
from pathlib import Path
from typing import Any

import pytest

from caco_data.dataset.layout import INDEX_SCHEMA
from caco_data.dataset.reader import open_dataset
from caco_data.dataset.writer import WORK, Workspace
from caco_data.errors import CacoDataError, DatasetError, InputError
from caco_data.grid import patch_grid
from caco_data.settings_diff import difference
from caco_data.storage import LocalStorage, open_storage
from caco_data.types import Outcome
from tests.support.plain_source import (
    PlainSettings,
    description,
    locations,
    locations_table,
    make_dataset,
    outcomes,
)

N = 5


def contents(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def results() -> list[Outcome]:
    cloudy = patch_grid(locations(N)[1]).left_m
    return outcomes(N, PlainSettings(cloudy_locations=(cloudy,)))


@pytest.fixture(scope="module")
def calm(results: list[Outcome], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("calm")
    make_dataset(str(root), results)
    return contents(root)


def test_a_finished_data_set_has_the_files_of_the_format(
    results: list[Outcome], tmp_path: Path
) -> None:
    make_dataset(str(tmp_path), results)
    assert set(contents(tmp_path)) == {
        "dataset.json", "index.parquet", "locations.parquet", "rejected.parquet", "truth.parquet",
        "shards/000000.tar", "shards/000001.tar", "shards/000002.tar",
    }  # fmt: skip
    dataset = open_dataset(tmp_path)
    assert dataset.meta["counts"]["rejected"] == {"too cloudy": 1}
    assert dataset.index.num_rows == 10 * (N - 1)
    assert dataset.index.schema == INDEX_SCHEMA
    stacks = dataset.stacks()
    assert stacks.location_ids.tolist() == [0, 2, 3, 4]
    assert stacks.shard.tolist() == [0, 1, 1, 2]
    (member,) = stacks.members
    assert member.shape == (5, 3, 264, 264)
    for i, location_id in enumerate(stacks.location_ids.tolist()):
        shard = Path(stacks.paths[stacks.shard[i]]).read_bytes()
        late = shard[member.offset[i, 1] :][: member.nbytes[i, 1]]
        assert dataset.read_member(location_id, "late").tobytes() == late[128:]
    with pytest.raises(InputError, match="location 1"):
        dataset.read_member(1, "early")


def test_bytes_do_not_depend_on_the_order_of_arrival(
    results: list[Outcome], calm: dict[str, str], tmp_path: Path
) -> None:
    for number, order in enumerate([(4, 3, 2, 1, 0), (2, 0, 4, 1, 3)]):
        root = tmp_path / str(number)
        storage = LocalStorage(root)
        workspace = Workspace(storage, description(), list(range(N)), 2)
        for i in order:
            workspace.keep(results[i])
        workspace.finish(locations_table(N))
        assert contents(root) == calm


class Killed(BaseException):
    """Stands for SIGKILL: nothing may run after it."""


class DyingStorage(LocalStorage):
    """Dies at the k-th change of the disk, before or after it."""

    def __init__(self, root: Path, changes: int) -> None:
        super().__init__(root)
        self.left = changes

    def _change(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed

    def writing(self, name: str) -> Any:
        self._change()
        return super().writing(name)

    def remove(self, name: str) -> None:
        self._change()
        super().remove(name)

    def remove_folder(self, folder: str) -> None:
        self._change()
        super().remove_folder(folder)


def _finish(storage: LocalStorage, results: list[Outcome]) -> int:
    """Do what `download` does with the outcomes; how many locations were fetched."""
    workspace = Workspace(storage, description(), list(range(N)), 2)
    if workspace.finished:
        return 0
    pending = workspace.pending
    for i in pending:
        workspace.keep(results[i])
    workspace.finish(locations_table(N))
    return len(pending)


def test_killed_at_every_change_of_the_disk_it_resumes_to_the_same_bytes(
    results: list[Outcome], calm: dict[str, str], tmp_path: Path
) -> None:
    for changes in itertools.count():
        root = tmp_path / str(changes)
        try:
            _finish(DyingStorage(root, changes), results)
        except Killed:
            kept = {p.name[:9] for p in root.glob(f"{WORK}/*") if p.suffix == ".tar"}
            again = _finish(LocalStorage(root), results)
            assert again <= N - len(kept)
            found = contents(root)
            assert {k: v for k, v in found.items() if not k.startswith(WORK)} == calm
            continue
        break
    assert changes > 30


def test_other_settings_and_foreign_folders_are_refused(
    results: list[Outcome], tmp_path: Path
) -> None:
    make_dataset(str(tmp_path / "a"), results)
    other = description()
    other["settings"] = {**other["settings"], "dtype": "uint8"}  # type: ignore[dict-item]
    before = contents(tmp_path / "a")
    with pytest.raises(InputError, match="dtype uint16 -> uint8"):
        Workspace(open_storage(tmp_path / "a"), other, list(range(N)), 2)
    assert contents(tmp_path / "a") == before
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.doc").write_text("precious")
    with pytest.raises(InputError, match="no data set"):
        Workspace(open_storage(tmp_path / "b"), description(), list(range(N)), 2)
    assert contents(tmp_path / "b").keys() == {"thesis.doc"}


def test_a_part_damaged_on_the_disk_is_dropped_and_named(
    results: list[Outcome], tmp_path: Path
) -> None:
    workspace = Workspace(LocalStorage(tmp_path), description(), list(range(N)), 2)
    workspace.keep(results[0])
    part = tmp_path / WORK / "000000000.tar"
    damaged = bytearray(part.read_bytes())
    damaged[5000] ^= 1
    part.write_bytes(damaged)
    with pytest.raises(DatasetError, match=r"000000000\.tar"):
        workspace.keep(results[1])
    assert Workspace(LocalStorage(tmp_path), description(), list(range(N)), 2).pending[0] == 0


def test_unfinished_and_missing_data_sets_are_not_opened(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No data set"):
        open_dataset(tmp_path)
    Workspace(LocalStorage(tmp_path), description(), [0], 2)
    with pytest.raises(InputError, match="Unfinished"):
        open_dataset(tmp_path)
    (tmp_path / "dataset.json").write_text("[1]")
    with pytest.raises(CacoDataError, match="format"):
        open_dataset(tmp_path)


def test_difference_names_nested_settings() -> None:
    assert difference({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4}) == [
        "a.c 2 -> 3",
        "d None -> 4",
    ]
