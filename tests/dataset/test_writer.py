from __future__ import annotations

import hashlib
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from caco_data.dataset.description import read_description
from caco_data.dataset.layout import EVENTS, INDEX_SCHEMA
from caco_data.dataset.ledger import Ledger
from caco_data.dataset.reader import open_dataset
from caco_data.dataset.shard_content import read_contents, write_contents
from caco_data.dataset.work_folder import WORK, ContentFile, part_file
from caco_data.dataset.writer import DatasetWriter
from caco_data.errors import DatasetError, InputError
from caco_data.folder_lock import folder_lock
from caco_data.grid import patch_grid
from caco_data.storage import LOCK, LocalStorage
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
    """Digests of all files; without the events, which differ from run to run."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != EVENTS
    }


@pytest.fixture(scope="module")
def results() -> list[Outcome]:
    cloudy = patch_grid(locations(N)[1]).left_m
    return outcomes(N, PlainSettings(cloudy_locations=(cloudy,)))


@pytest.fixture(scope="module")
def uninterrupted(
    results: list[Outcome], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    root = tmp_path_factory.mktemp("uninterrupted")
    make_dataset(str(root), results)
    return contents(root)


def test_a_finished_data_set_has_the_files_of_the_format(
    results: list[Outcome], tmp_path: Path
) -> None:
    make_dataset(str(tmp_path), results)
    assert set(contents(tmp_path)) == {
        "dataset.json", "README.md", "index.parquet", "locations.parquet", "rejected.parquet",
        "truth.parquet",
        "shards/000000.tar", "shards/000001.tar", "shards/000002.tar",
    }  # fmt: skip
    dataset = open_dataset(tmp_path)
    assert dataset.meta["counts"]["rejected"] == {"too cloudy": 1}
    assert dataset.index.num_rows == 10 * (N - 1)
    assert dataset.index.schema == INDEX_SCHEMA


def test_bytes_do_not_depend_on_the_order_of_arrival(
    results: list[Outcome], uninterrupted: dict[str, str], tmp_path: Path
) -> None:
    for number, order in enumerate([(4, 3, 2, 1, 0), (2, 0, 4, 1, 3)]):
        root = tmp_path / str(number)
        storage = LocalStorage(root)
        writer = DatasetWriter(storage, Ledger(storage, description(), list(range(N))))
        for i in order:
            writer.add(results[i])
        writer.finish(locations_table(N))
        assert contents(root) == uninterrupted


def test_the_content_of_finished_shards_is_joined(
    results: list[Outcome], uninterrupted: dict[str, str], tmp_path: Path
) -> None:
    storage = LocalStorage(tmp_path)
    ids = list(range(N))
    writer = DatasetWriter(storage, Ledger(storage, description(), ids))
    for result in results[:4]:
        writer.add(result)
    assert storage.names(WORK) == [ContentFile(0, 1).name]
    # A run may be killed after the joined file is written.
    contents_of = read_contents(storage, ContentFile(0, 1))
    write_contents(storage, 1, contents_of[1:])
    ledger = Ledger(storage, description(), ids)
    assert ledger.finished_shards == {0, 1}
    assert ledger.settled(slice(None)) == ([0, 2, 3], [1])
    ledger.reserve()
    assert storage.names(WORK) == [ContentFile(0, 1).name]
    writer = DatasetWriter(storage, ledger)
    writer.add(results[4])
    writer.finish(locations_table(N))
    assert contents(tmp_path) == uninterrupted


def test_a_missing_file_of_a_finished_shard_is_named(
    results: list[Outcome], tmp_path: Path
) -> None:
    storage = LocalStorage(tmp_path)
    writer = DatasetWriter(storage, Ledger(storage, description(), list(range(N))))
    for result in results:
        writer.add(result)
    storage.remove(ContentFile(0, 1).name)
    with pytest.raises(DatasetError, match=r"000000\.parquet.*another folder"):
        writer.finish(locations_table(N))
    assert not read_description(storage)["complete"]


class Killed(BaseException):
    """Simulates SIGKILL: nothing may run after it."""


class StorageOfKilledProcess(LocalStorage):
    """Raises `Killed` at the k-th change of the disk."""

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
    """Write the data set like `download`; return the number of locations written."""
    ledger = Ledger(storage, description(), list(range(N)))
    ledger.reserve()
    if ledger.finished:
        return 0
    writer = DatasetWriter(storage, ledger)
    pending = ledger.pending.tolist()
    for i in pending:
        writer.add(results[i])
    writer.finish(locations_table(N))
    return len(pending)


def test_a_writer_killed_at_any_change_of_the_disk_resumes_to_the_same_bytes(
    results: list[Outcome], uninterrupted: dict[str, str], tmp_path: Path
) -> None:
    for changes in itertools.count():
        root = tmp_path / str(changes)
        try:
            _finish(StorageOfKilledProcess(root, changes), results)
        except Killed:
            kept = {p.name[:9] for p in root.glob(f"{WORK}/*") if p.suffix == ".tar"}
            again = _finish(LocalStorage(root), results)
            assert again <= N - len(kept)
            assert contents(root) == uninterrupted
            continue
        break
    assert changes > 30


def test_a_part_that_a_worker_has_written_gets_its_name(
    results: list[Outcome], tmp_path: Path
) -> None:
    whole, staged = LocalStorage(tmp_path / "whole"), LocalStorage(tmp_path / "staged")
    for storage in (whole, staged):
        writer = DatasetWriter(storage, Ledger(storage, description(), list(range(N))))
        for outcome in results:
            if storage is staged and isinstance(outcome.part, bytes):
                temporary = storage.stage(part_file(outcome.location_id), outcome.part)
                assert temporary in storage.temporaries(WORK)
                outcome = replace(outcome, part=temporary)
            writer.add(outcome)
        assert not storage.temporaries(WORK)
        writer.finish(locations_table(N))
    assert contents(tmp_path / "staged") == contents(tmp_path / "whole")
    with pytest.raises(DatasetError, match=r"\.\."):
        staged.adopt("../victim", part_file(0))


def test_a_part_damaged_on_the_disk_is_dropped_and_named(
    results: list[Outcome], tmp_path: Path
) -> None:
    storage = LocalStorage(tmp_path)
    writer = DatasetWriter(storage, Ledger(storage, description(), list(range(N))))
    writer.add(results[0])
    part = tmp_path / WORK / "000000000.tar"
    damaged = bytearray(part.read_bytes())
    damaged[5000] ^= 1
    part.write_bytes(damaged)
    resumed = DatasetWriter(storage, Ledger(storage, description(), list(range(N))))
    with pytest.raises(DatasetError, match=r"000000000\.tar"):
        resumed.add(results[1])
    assert Ledger(storage, description(), list(range(N))).pending[0] == 0


def test_a_data_set_with_pending_or_without_complete_locations_is_not_finished(
    results: list[Outcome], tmp_path: Path
) -> None:
    storage = LocalStorage(tmp_path)
    cloudy = results[1]
    writer = DatasetWriter(storage, Ledger(storage, description(), [1]))
    with pytest.raises(ValueError, match="1 pending and 0 complete"):
        writer.finish(locations_table(1))
    writer.add(cloudy)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match="0 pending and 0 complete"):
        writer.finish(locations_table(1))
    assert contents(tmp_path) == before


def test_nothing_is_written_after_the_lock_is_lost(results: list[Outcome], tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    with folder_lock(storage, "caco-data download") as lock:
        writer = DatasetWriter(storage, Ledger(storage, description(), list(range(N))), lock.check)
        for result in results[:-1]:
            writer.add(result)
        storage.remove(LOCK)
        before = contents(tmp_path)
        with pytest.raises(InputError, match="lock"):
            writer.add(results[-1])
        assert contents(tmp_path) == before
