"""Extension of data sets by the further rows of a longer locations table."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from caco_data.dataset.ledger import Ledger
from caco_data.dataset.verify import verify
from caco_data.dataset.writer import DatasetWriter
from caco_data.errors import InputError
from caco_data.grid import patch_grid
from caco_data.storage import LocalStorage
from caco_data.types import Outcome
from tests.dataset.test_writer import Killed, StorageOfKilledProcess, contents
from tests.support.plain_source import (
    PlainSettings,
    description,
    locations,
    locations_table,
    outcomes,
)

N = 9
PER_SHARD = 3


@pytest.fixture(scope="module")
def results() -> list[Outcome]:
    cloudy = [patch_grid(location).left_m for location in locations(N)]
    return outcomes(N, PlainSettings(cloudy_locations=(cloudy[1], cloudy[6])))


def described(n: int, points: str = "0a") -> dict[str, Any]:
    """Describe a data set of n locations like `download`."""
    made = description(per_shard=PER_SHARD)
    settings = made["settings"]
    assert isinstance(settings, dict)
    return made | {"settings": settings | {"locations": n, "locations_sha256": f"{n}-{points}"}}


def add(storage: LocalStorage, results: list[Outcome], n: int, stop: int = N) -> int:
    """Download n locations, or go on with them; stop after some. Return the number fetched."""
    ledger = Ledger(storage, described(n), list(range(n)), described)
    if ledger.finished:
        ledger.reserve()
        return 0
    writer = DatasetWriter(storage, ledger)
    pending = ledger.pending
    for i in pending[:stop]:
        writer.add(results[i])
    if len(pending) <= stop:
        writer.finish(locations_table(n))
    return len(pending)


@pytest.fixture(scope="module")
def whole(results: list[Outcome], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("whole")
    add(LocalStorage(root), results, N)
    return contents(root)


@pytest.mark.parametrize("first", [1, 3, 5, 7, 8])
def test_an_extended_data_set_has_the_bytes_of_a_download_at_once(
    results: list[Outcome], whole: dict[str, str], tmp_path: Path, first: int
) -> None:
    storage = LocalStorage(tmp_path)
    add(storage, results, first)
    before = contents(tmp_path)
    assert add(storage, results, N) == N - first
    after = contents(tmp_path)
    assert after == whole
    full = [f"shards/{number:06d}.tar" for number in range(first // PER_SHARD)]
    assert all(after[name] == before[name] for name in full)
    assert not verify(storage).damages


@pytest.mark.parametrize("stop", [1, 4, 5])
def test_an_unfinished_data_set_is_extended(
    results: list[Outcome], whole: dict[str, str], tmp_path: Path, stop: int
) -> None:
    storage = LocalStorage(tmp_path)
    add(storage, results, 5, stop - 1)
    assert add(storage, results, N) == N - stop + 1
    assert contents(tmp_path) == whole


def test_several_extensions_give_the_same_bytes(
    results: list[Outcome], whole: dict[str, str], tmp_path: Path
) -> None:
    storage = LocalStorage(tmp_path)
    for n in (2, 4, 8, N):
        add(storage, results, n)
    assert contents(tmp_path) == whole


@pytest.mark.parametrize("unfinished", [False, True])
def test_an_extension_killed_at_any_change_of_the_disk_resumes_to_the_same_bytes(
    results: list[Outcome], whole: dict[str, str], tmp_path: Path, unfinished: bool
) -> None:
    for changes in itertools.count():
        root = tmp_path / str(changes)
        if unfinished:  # killed after its last shard was written
            killed = StorageOfKilledProcess(root, 28)
            with pytest.raises(Killed):
                add(killed, results, 5)
            assert (root / ".work" / "000001.parquet").exists()
            assert not (root / "index.parquet").exists()
        else:
            add(LocalStorage(root), results, 5)
        try:
            add(StorageOfKilledProcess(root, changes), results, N)
        except Killed:
            assert add(LocalStorage(root), results, N) <= N - 5
            assert contents(root) == whole
            continue
        break
    assert changes > 30


def test_a_killed_extension_is_the_earlier_data_set_until_it_is_described_anew(
    results: list[Outcome], tmp_path: Path
) -> None:
    storage = LocalStorage(tmp_path)
    add(storage, results, 5)
    before = contents(tmp_path)
    with pytest.raises(Killed):
        add(StorageOfKilledProcess(tmp_path, 4), results, N)
    assert contents(tmp_path) != before
    assert not verify(storage).damages
    assert add(storage, results, 5) == 0
    assert contents(tmp_path) == before


def test_fewer_or_other_locations_and_settings_are_refused(
    results: list[Outcome], tmp_path: Path
) -> None:
    storage = LocalStorage(tmp_path)
    add(storage, results, 5)
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"settings\.locations 5 -> 3"):
        Ledger(storage, described(3), list(range(3)), described)
    with pytest.raises(InputError, match="other settings: other locations"):
        Ledger(storage, described(N), list(range(N)), lambda n: described(n, "0b"))
    other = described(N)
    other["settings"]["dtype"] = "uint8"
    with pytest.raises(InputError, match="dtype uint16 -> uint8"):
        Ledger(
            storage, other, list(range(N)),
            lambda n: described(n) | {"settings": described(n)["settings"] | {"dtype": "uint8"}},
        )  # fmt: skip
    assert contents(tmp_path) == before
