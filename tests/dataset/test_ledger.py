from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from caco_data.dataset import shard_content
from caco_data.dataset.layout import EVENTS, SHARDS
from caco_data.dataset.ledger import Ledger
from caco_data.dataset.work_folder import WORK, ContentFile, part_file, rejection_file
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
    writer.add(
        Outcome(1, None, Rejection(1, "too few scenes", "early slot 0"), None)
    )  # ends shard 0
    writer.add(last)
    write_bytes(storage, part_file(0), b"left by a kill before the clean-up of shard 0")
    write_bytes(storage, f"{WORK}/notes.txt", b"ignored")
    ledger = Ledger(storage, description(), [0, 1])
    assert ledger.finished_shards == {0}
    assert ledger.settled(slice(0, 2)) == ([0], [1])
    assert ledger.rejections == {"too few scenes": 1}
    assert storage.exists(part_file(0))
    ledger.reserve()
    assert not storage.exists(part_file(0))
    ledger.extend(list(range(N)))
    assert ledger.complete.tolist() == [0, N - 1]
    assert ledger.pending.tolist() == [2, 3]


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


def test_a_ledger_only_reads_until_it_reserves_the_folder(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "a")
    ledger = Ledger(storage, description(), list(range(N)))
    assert ledger.pending.tolist() == list(range(N))
    assert not (tmp_path / "a").exists()
    # A killed reservation and a log do not make the folder foreign.
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "dataset.json.12-0a1b2c3d.tmp").write_text("{")
    (tmp_path / "a" / EVENTS).write_text("{}\n")
    before = contents(tmp_path / "a")
    ledger = Ledger(storage, description(), list(range(N)))
    assert contents(tmp_path / "a") == before
    for _ in range(2):
        ledger.reserve()
        assert contents(tmp_path / "a").keys() == {"dataset.json"}
        assert (tmp_path / "a" / EVENTS).read_text() == "{}\n"


def test_a_finished_data_set_loses_its_work_folder_when_reserved(tmp_path: Path) -> None:
    storage = make_dataset(str(tmp_path), outcomes(2))
    before = contents(tmp_path)
    write_bytes(storage, part_file(0), b"left by a kill after dataset.json was written")
    write_bytes(storage, f"{SHARDS}/000000.tar.tmp", b"left by an earlier version")
    ledger = Ledger(storage, description(), [0, 1])
    assert ledger.finished
    ledger.reserve()
    assert contents(tmp_path) == before
    assert not (tmp_path / WORK).exists()


@pytest.mark.parametrize("reason", ["permanent error", "retries used up", "crash"])
def test_rejections_by_failures_of_the_service_are_fetched_again(
    tmp_path: Path, reason: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_content, "JOINED_SHARDS", 100)  # as in the versions that have them
    storage = LocalStorage(tmp_path)
    ids = list(range(2 * N))
    writer = DatasetWriter(storage, Ledger(storage, description(), ids))

    def reject(location_id: int, why: Any) -> None:
        writer.add(Outcome(location_id, None, Rejection(location_id, why, ""), None))

    reject(0, reason)  # in a written shard: remains
    writer.add(outcomes(2)[1])
    reject(2, reason)  # in a shard without a complete location: fetched again
    reject(3, "too cloudy")
    reject(4, "too cloudy")  # in such a shard, for another reason: remains
    reject(5, "nodata")
    reject(6, reason)  # not in a shard yet: fetched again
    reject(8, "too cloudy")
    before = contents(tmp_path)
    ledger = Ledger(storage, description(), ids)
    assert contents(tmp_path) == before
    assert ledger.settled(slice(None)) == ([1], [0, 4, 5, 8])
    assert ledger.rejections == {reason: 1, "too cloudy": 2, "nodata": 1}
    assert ledger.pending.tolist() == [2, 3, 6, 7, 9]
    ledger.reserve()
    left = contents(tmp_path).keys() - {"dataset.json", "shards/000000.tar"}
    assert left == {ContentFile(0, 0).name, ContentFile(2, 2).name, rejection_file(8)}
    again = Ledger(storage, description(), ids)
    assert again.pending.tolist() == ledger.pending.tolist()
