"""Resuming reads each file of an earlier run once, and only the columns it needs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from caco_data.dataset.ledger import Ledger
from caco_data.dataset.recovery import Recovered, recover
from caco_data.dataset.work_folder import WORK, part_file, rejection_file, truth_file
from caco_data.dataset.writer import DatasetWriter
from caco_data.storage import LocalStorage, write_bytes
from caco_data.types import Outcome, Rejection
from tests.support.large_dataset import is_rejected, write_unfinished
from tests.support.plain_source import description


class CountingStorage(LocalStorage):
    """Counts the operations, and lists the files that are opened; `read` opens them too."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.operations: Counter[str] = Counter()
        self.opened: list[str] = []

    def exists(self, name: str) -> bool:
        self.operations["exists"] += 1
        return super().exists(name)

    def names(self, folder: str = "") -> list[str]:
        self.operations["names"] += 1
        return super().names(folder)

    def open(self, name: str) -> IO[bytes]:
        self.opened.append(name)
        return super().open(name)

    def remove(self, name: str) -> None:
        self.operations["remove"] += 1
        super().remove(name)


def quiet(done: int, count: int) -> None:
    """Ignore the progress."""


@pytest.mark.parametrize(("n", "unsharded"), [(900, 200), (1_800, 800)])
def test_every_file_that_is_needed_is_opened_once(tmp_path: Path, n: int, unsharded: int) -> None:
    write_unfinished(tmp_path, n, unsharded)
    storage = CountingStorage(tmp_path / "dataset")
    calls: list[tuple[int, int]] = []
    found = recover(storage, lambda done, count: calls.append((done, count)))
    assert found.complete.tolist() == [i for i in range(n) if not is_rejected(i)]
    assert found.rejected == {i: "too cloudy" for i in range(n) if is_rejected(i)}
    assert found.finished_shards == set(range((n - unsharded) // 128))
    assert not found.obsolete
    needed = {x for x in LocalStorage(tmp_path / "dataset").names(WORK) if not x.endswith(".tar")}
    assert sorted(storage.opened) == sorted(needed)
    assert storage.operations == {"names": 1}
    assert calls == [(i, len(needed)) for i in range(len(needed) + 1)]


def test_files_of_locations_in_a_shard_are_obsolete(tmp_path: Path) -> None:
    write_unfinished(tmp_path, 300, 100)
    storage = LocalStorage(tmp_path / "dataset")
    complete, rejected = 3, 7
    left = [part_file(complete), truth_file(complete), rejection_file(rejected)]
    for name in left:
        write_bytes(storage, name, b"left by a kill after the shard was written")
    write_bytes(storage, f"{WORK}/notes.txt", b"ignored")
    found = recover(storage, quiet)
    assert sorted(found.obsolete) == sorted(left)
    assert found.complete.size == np.unique(found.complete).size == 285
    assert len(found.rejected) == 15


def test_an_empty_folder_has_no_outcomes_and_no_progress(tmp_path: Path) -> None:
    calls: list[int] = []
    found = recover(LocalStorage(tmp_path), lambda done, count: calls.append(done))
    assert (found.complete.size, found.rejected, found.finished_shards) == (0, {}, set())
    assert not calls
    assert not Recovered().complete.size


def test_the_operations_of_an_outcome_do_not_depend_on_the_number_of_locations(
    tmp_path: Path,
) -> None:
    operations = []
    for n in (100, 100_000):
        storage = CountingStorage(tmp_path / str(n))
        ledger = Ledger(storage, description(per_shard=8), np.arange(n))
        writer = DatasetWriter(storage, ledger)
        storage.operations.clear()
        for i in range(16):
            writer.add(Outcome(i, rejection=Rejection(i, "nodata", "")))
        assert ledger.finished_shards == {0, 1}
        operations.append((storage.operations, len(storage.opened)))
    assert operations[0] == operations[1]


def test_locations_of_a_ledger_are_ascending(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ascending"):
        Ledger(LocalStorage(tmp_path), description(), [0, 2, 1])
