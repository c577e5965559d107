from __future__ import annotations

from pathlib import Path

import pytest

from caco_data.dataset.ledger import Ledger
from caco_data.dataset.work_folder import WORK, part_file
from caco_data.dataset.writer import DatasetWriter
from caco_data.errors import InputError
from caco_data.storage import LocalStorage, open_storage, write_bytes
from caco_data.types import Outcome, Rejection
from tests.dataset.test_writer import contents
from tests.support.plain_source import description, make_dataset, outcomes

N = 5


def test_earlier_outcomes_are_recovered_when_their_location_is_added(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    writer = DatasetWriter(storage, Ledger(storage, description(), list(range(N))))
    first, *_, last = outcomes(N)
    writer.add(first)
    writer.add(Outcome(1, None, Rejection(1, "no scenes", "early slot 0"), None))  # ends shard 0
    writer.add(last)
    write_bytes(storage, part_file(0), b"left by a kill before the clean-up of shard 0")
    write_bytes(storage, f"{WORK}/notes.txt", b"ignored")
    ledger = Ledger(storage, description(), [0, 1])
    assert ledger.finished_shards == {0}
    assert (ledger.complete, ledger.rejected) == ({0}, {1: "no scenes"})
    assert not storage.exists(part_file(0))
    ledger.extend(list(range(N)))
    assert ledger.complete == {0, N - 1}
    assert ledger.pending == [2, 3]


def test_other_settings_and_foreign_folders_are_refused(tmp_path: Path) -> None:
    make_dataset(str(tmp_path / "a"), outcomes(1))
    other = description()
    other["settings"] = {**other["settings"], "dtype": "uint8"}  # type: ignore[dict-item]
    before = contents(tmp_path / "a")
    with pytest.raises(InputError, match="dtype uint16 -> uint8"):
        Ledger(open_storage(tmp_path / "a"), other, list(range(N)))
    assert contents(tmp_path / "a") == before
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "notes.txt").write_text("unrelated")
    with pytest.raises(InputError, match="no data set"):
        Ledger(open_storage(tmp_path / "b"), description(), list(range(N)))
    assert contents(tmp_path / "b").keys() == {"notes.txt"}
