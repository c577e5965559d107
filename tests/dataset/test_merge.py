"""Merging of data sets."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from caco_data.dataset import merge as merging
from caco_data.dataset.description import description_digest
from caco_data.dataset.ledger import Ledger
from caco_data.dataset.merge import merge
from caco_data.dataset.origin import Origin
from caco_data.dataset.reader import open_dataset
from caco_data.dataset.repair import repair
from caco_data.dataset.summary import summarise
from caco_data.dataset.verify import verify
from caco_data.dataset.writer import DatasetWriter
from caco_data.errors import DatasetError, InputError
from caco_data.grid import patch_grid
from caco_data.storage import LOCK, LocalStorage, open_storage
from caco_data.types import Outcome
from tests.dataset.test_writer import Killed, StorageOfKilledProcess, contents
from tests.support.plain_source import (
    PlainSettings,
    description,
    locations,
    locations_table,
    outcomes,
)

N = 7


@pytest.fixture(scope="module")
def results() -> list[Outcome]:
    cloudy = patch_grid(locations(N)[4]).left_m
    return outcomes(N, PlainSettings(cloudy_locations=(cloudy,)))


def make(root: Path, results: list[Outcome], **settings: Any) -> Path:
    """Make a data set of some locations."""
    storage = LocalStorage(root)
    ids = [result.location_id for result in results]
    described = description()
    described["settings"] |= settings  # type: ignore[operator]
    writer = DatasetWriter(storage, Ledger(storage, described, ids))
    for result in results:
        writer.add(result)
    writer.finish(locations_table(max(ids) + 1).slice(min(ids)))
    return root


@pytest.fixture(scope="module")
def parts(results: list[Outcome], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Data sets of the locations 0 to 2 and 3 to 6."""
    root = tmp_path_factory.mktemp("parts")
    return [str(make(root / "a", results[:3])), str(make(root / "b", results[3:]))]


def same_pixels(merged: Path, part: str, location_id: int, original: int) -> bool:
    one, other = open_dataset(merged), open_dataset(part)
    return all(
        np.array_equal(
            one.read_member(location_id, "late", member),
            other.read_member(original, "late", member),
        )
        for member in ("", "_scl")
    )


def test_a_merged_data_set_is_valid_and_has_the_bytes_of_its_parts(
    parts: list[str], tmp_path: Path
) -> None:
    meta = merge(parts[::-1], str(tmp_path / "c"))
    merged = tmp_path / "c"
    assert not verify(open_storage(merged)).damages
    assert meta["counts"]["locations"] == N
    assert meta["counts"]["complete"] == N - 1
    assert meta["counts"]["rejected"] == {"too cloudy": 1}
    dataset = open_dataset(merged)
    assert dataset.stacks().location_ids.tolist() == [0, 1, 2, 3, 5, 6]
    assert same_pixels(merged, parts[1], 6, 6)
    for new, old in (
        ("000000", parts[0] + "/shards/000000"),
        ("000002", parts[1] + "/shards/000000"),
    ):
        shard = merged / "shards" / f"{new}.tar"
        assert shard.samefile(f"{old}.tar")  # a hard link
    names = ("locations", "rejected", "truth")
    rows = [pq.read_table(merged / f"{name}.parquet")["location_id"].to_pylist() for name in names]
    assert rows == [list(range(N)), [4], [0, 1, 2, 3, 5, 6]]


def test_the_result_does_not_depend_on_the_order_or_the_way_of_transfer(
    parts: list[str], results: list[Outcome], tmp_path: Path
) -> None:
    merge(parts, str(tmp_path / "c"))
    merge(parts[::-1], str(tmp_path / "d"))
    assert contents(tmp_path / "c") == contents(tmp_path / "d")
    for name in "ab":
        (tmp_path / "moved").mkdir(exist_ok=True)
        make(tmp_path / "moved" / name, results[:3] if name == "a" else results[3:])
    moved = [str(tmp_path / "moved" / name) for name in "ab"]
    (tmp_path / "moved" / "b" / "notes.txt").write_text("kept")
    merge(moved, str(tmp_path / "e"), move=True)
    assert contents(tmp_path / "e") == contents(tmp_path / "c")
    assert contents(tmp_path / "moved").keys() == {"b/notes.txt"}


def test_clashing_ids_are_refused_or_renumbered(
    parts: list[str], results: list[Outcome], tmp_path: Path
) -> None:
    other = str(make(tmp_path / "other", results[1:4]))
    with pytest.raises(InputError, match=r"\(0 to 2\) and .*other \(1 to 3\).*--renumber"):
        merge([parts[0], other], str(tmp_path / "c"))
    assert not (tmp_path / "c").exists()
    merge([other, parts[0], parts[1]], str(tmp_path / "c"), renumber=True)
    meta = open_dataset(tmp_path / "c").meta
    assert [part["location_offset"] for part in meta["merged"]] == [0, 4, 4]
    assert not verify(open_storage(tmp_path / "c")).damages
    assert open_dataset(tmp_path / "c").stacks().location_ids.tolist() == [
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        9,
        10,
    ]
    assert same_pixels(tmp_path / "c", other, 1, 1)
    assert same_pixels(tmp_path / "c", parts[0], 4, 0)
    assert same_pixels(tmp_path / "c", parts[1], 10, 6)
    rejected = pq.read_table(tmp_path / "c" / "rejected.parquet")
    assert rejected["location_id"].to_pylist() == [8]


def test_a_merged_data_set_is_merged_again(
    parts: list[str], results: list[Outcome], tmp_path: Path
) -> None:
    other = str(make(tmp_path / "other", results[5:]))
    merge([other, parts[1]], str(tmp_path / "c"), renumber=True)
    merge([parts[0], str(tmp_path / "c")], str(tmp_path / "d"), renumber=True)
    dataset = open_dataset(tmp_path / "d")
    assert [part["name"] for part in dataset.meta["merged"]] == ["a", "other", "b"]
    assert [part["location_offset"] for part in dataset.meta["merged"]] == [0, -2, 2]
    assert not verify(open_storage(tmp_path / "d")).damages
    assert dataset.stacks().location_ids.tolist() == [0, 1, 2, 3, 4, 5, 7, 8]
    assert same_pixels(tmp_path / "d", parts[1], 8, 6)
    assert same_pixels(tmp_path / "d", other, 3, 5)


def test_other_settings_the_same_data_set_twice_and_other_content_are_refused(
    parts: list[str], results: list[Outcome], tmp_path: Path
) -> None:
    other = str(make(tmp_path / "other", results[3:], scenes={"min_clear": 0.5}, fill=True))
    with pytest.raises(merging.UnequalSettingsError, match="1 difference") as caught:
        merge([parts[0], other], str(tmp_path / "c"))
    assert caught.value.lines == ["settings.scenes None -> {'min_clear': 0.5}"]
    copy = str(make(tmp_path / "copy", results[:3]))
    with pytest.raises(InputError, match="copy of this data set"):
        merge([parts[0], copy], str(tmp_path / "c"), renumber=True)
    with pytest.raises(InputError, match="given twice"):
        merge([parts[0], parts[0]], str(tmp_path / "c"))
    with pytest.raises(InputError, match="given twice"):
        merge(parts, parts[0])
    with pytest.raises(InputError, match="another data set"):
        merge(parts, copy)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        merge(parts, str(tmp_path / "d"))
    with pytest.raises(InputError, match="No data set"):
        merge([parts[0], str(tmp_path / "none")], str(tmp_path / "c"), move=True)
    assert not (tmp_path / "none").exists()
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("move", [False, True])
def test_a_merge_killed_at_any_change_of_the_disk_is_continued(
    results: list[Outcome], parts: list[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, move: bool,
) -> None:  # fmt: skip
    merge(parts, str(tmp_path / "whole"))
    whole = contents(tmp_path / "whole")
    for changes in itertools.count():
        root = tmp_path / str(changes)
        own = [str(make(root / "a", results[:3])), str(make(root / "b", results[3:]))]
        left = itertools.count(changes, -1)

        class Storage(StorageOfKilledProcess):
            def __init__(self, path: str) -> None:
                LocalStorage.__init__(self, path)

            def _change(self) -> None:
                if next(left) <= 0:  # noqa: B023
                    raise Killed

            def remove(self, name: str) -> None:
                if name == LOCK:  # released by the kernel
                    LocalStorage.remove(self, name)
                else:
                    super().remove(name)

            def link(self, file: Path, name: str, move: bool = False) -> None:
                self._change()
                super().link(file, name, move)

        try:
            with monkeypatch.context() as patched:
                patched.setattr(merging, "open_storage", Storage)
                merge(own, str(root / "c"), move=move)
        except Killed:
            if (root / "c" / "dataset.json").exists():
                assert contents(root / "c").items() >= whole.items()
            else:
                with pytest.raises(InputError, match="No data set"):
                    open_dataset(root / "c")
                if (root / "c" / merging.PLAN).exists():
                    with pytest.raises(InputError, match="interrupted merge of other"):
                        merge(
                            [*parts, str(make(root / "x", results[:1], dtype="uint16"))][1:],
                            str(root / "c"),
                        )
            merge(own, str(root / "c"), move=move)
            assert contents(root / "c") == whole
            assert not move or not contents(root / "a")
            continue
        break
    assert changes > 10


def test_damage_is_found_and_a_merged_data_set_is_not_repaired(
    parts: list[str], results: list[Outcome], tmp_path: Path
) -> None:
    own = [str(make(tmp_path / "a", results[:3])), str(make(tmp_path / "b", results[3:]))]
    merge(own, str(tmp_path / "c"), renumber=True)
    storage = open_storage(tmp_path / "c")
    shard = tmp_path / "c" / "shards" / "000002.tar"
    content = bytearray(shard.read_bytes())
    content[5000] ^= 1
    shard.unlink()  # it is linked
    shard.write_bytes(content)
    before = contents(tmp_path / "c")
    verdict = verify(storage)
    assert [damage.where for damage in verdict.damages] == ["shards/000002.tar, location 3"]
    with pytest.raises(DatasetError, match="Cannot repair a merged data set"):
        repair(storage, verdict)
    assert contents(tmp_path / "c") == before
    described = description()
    described["settings"] |= {"locations": 100}  # type: ignore[operator]
    with pytest.raises(InputError, match="merged data set cannot be extended"):
        Ledger(storage, described, list(range(100)), lambda n: described)
    shard.write_bytes(b"short")
    with pytest.raises(DatasetError, match="bytes instead of"):
        merge([str(tmp_path / "c"), parts[0]], str(tmp_path / "d"), renumber=True)


@pytest.mark.parametrize(
    "change",
    [{"written_as": "../x.tar"}, {"written_as": 3}, {"location_offset": 0.5},
     {"location_offset": True}, {"location_offset": 10**12}],
)  # fmt: skip
def test_names_that_no_merge_writes_are_refused(
    parts: list[str], tmp_path: Path, change: dict[str, Any]
) -> None:
    merge(parts, str(tmp_path / "c"))
    path = tmp_path / "c" / "dataset.json"
    meta = json.loads(path.read_text())
    meta["shards"][0] |= change
    with pytest.raises(ValueError, match="is not"):
        Origin.of(meta["shards"][0])
    meta["sha256"] = description_digest(meta)
    path.write_text(json.dumps(meta))
    with pytest.raises(DatasetError, match="is not"):
        open_dataset(tmp_path / "c")


@pytest.mark.parametrize("change", [{"name": 1}, {"location_offset": 1.5}, {"sha256": "x"}])
def test_parts_that_no_merge_writes_are_refused(
    parts: list[str], tmp_path: Path, change: dict[str, Any]
) -> None:
    merge(parts, str(tmp_path / "c"))
    path = tmp_path / "c" / "dataset.json"
    meta = json.loads(path.read_text())
    meta["merged"][0] |= change
    meta["sha256"] = description_digest(meta)
    path.write_text(json.dumps(meta))
    with pytest.raises(DatasetError, match="merged"):
        open_dataset(tmp_path / "c")


def test_events_follow_each_other(results: list[Outcome], tmp_path: Path) -> None:
    own = [make(tmp_path / "a", results[:3]), make(tmp_path / "b", results[3:])]
    for path in own:
        (path / "events.jsonl").write_text('{"time": "t", "event": "start"}\n{"time": "t", "ev')
    merge([str(path) for path in own], str(tmp_path / "c"))
    summary = summarise(open_dataset(tmp_path / "c"))
    assert summary["events"]["runs"] == 2
    assert summary["merged"] == ["a", "b"]
