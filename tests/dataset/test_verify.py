from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from caco_data.dataset.description import description_digest
from caco_data.dataset.ledger import Ledger
from caco_data.dataset.repair import remedy, repair
from caco_data.dataset.verify import verify
from caco_data.dataset.writer import DatasetWriter
from caco_data.errors import DatasetError
from caco_data.storage import LocalStorage
from caco_data.types import Outcome
from tests.conftest import Run
from tests.dataset.test_writer import Killed, StorageOfKilledProcess, contents
from tests.support.plain_source import FORMATS, description, locations_table, make_dataset, outcomes

N = 5
#: A byte after the scene classes of the first location.
PADDING = 2 * 512 + FORMATS["early.npy"].nbytes + FORMATS["early_scl.npy"].nbytes + 5


@pytest.fixture(scope="module")
def results() -> list[Outcome]:
    return outcomes(N)


@pytest.fixture(scope="module")
def whole(results: list[Outcome], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("whole") / "set"
    make_dataset(str(root), results)
    return root


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "set"))


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


def edit_index(root: Path, change: Callable[[dict[str, object]], None]) -> None:
    """Change the first index row, and make dataset.json agree with the new file."""
    table = pq.read_table(root / "index.parquet")
    rows = table.to_pylist()
    change(rows[0])
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), root / "index.parquet")
    redigest(root, "index.parquet")


def redigest(root: Path, name: str) -> None:
    meta = json.loads((root / "dataset.json").read_text())
    meta["tables"][name] = hashlib.sha256((root / name).read_bytes()).hexdigest()
    meta["sha256"] = description_digest(meta)
    (root / "dataset.json").write_text(json.dumps(meta))


def swap_locations(root: Path) -> None:
    pq.write_table(locations_table(3), root / "locations.parquet")
    redigest(root, "locations.parquet")


def test_an_intact_data_set_has_no_problems(root: Path, run: Run) -> None:
    result = run("verify", root)
    assert result.exit_code == 0
    assert f"{N} locations verified, no problems found" in result.stdout


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated tar": (
        lambda root: (root / "shards/000001.tar").write_bytes(
            (root / "shards/000001.tar").read_bytes()[:5_000_000]
        ),
        "shards/000001.tar: truncated",
    ),
    "flipped byte in an array": (
        lambda root: flip(root / "shards/000000.tar", 5000),
        "shards/000000.tar, location 0: the digest of member 'early'",
    ),
    "flipped byte in the scene classes": (
        lambda root: flip(root / "shards/000002.tar", 2_150_000),
        "shards/000002.tar, location 4: the digest of member 'early_scl'",
    ),
    "flipped byte in a tar header": (
        lambda root: flip(root / "shards/000000.tar", 3),
        "shards/000000.tar",
    ),
    "flipped byte in the padding": (
        lambda root: flip(root / "shards/000000.tar", PADDING),
        "shards/000000.tar: bytes between its members",
    ),
    "flipped byte after the last member": (
        lambda root: flip(root / "shards/000000.tar", -3),
        "shards/000000.tar: broken tar: data after the end of the tar",
    ),
    "missing shard": (
        lambda root: (root / "shards/000001.tar").unlink(),
        "shards/000001.tar: missing shard",
    ),
    "foreign file among the shards": (
        lambda root: (root / "shards/notes.txt").write_text("x"),
        "shards/notes.txt: not part of the data set",
    ),
    "foreign file": (
        lambda root: (root / "index (copy).parquet").write_text("x"),
        "index (copy).parquet: not part of the data set",
    ),
    "index with another offset": (
        lambda root: edit_index(root, lambda row: row.update(offset=1024)),
        "location 0: the json member and index.parquet differ",
    ),
    "index with another CRS": (
        lambda root: edit_index(root, lambda row: row.update(crs="EPSG:4326")),
        "location 0: the json member and index.parquet differ",
    ),
    "flipped byte in the index": (
        lambda root: flip(root / "index.parquet", 700),
        "index.parquet: changed since it was written",
    ),
    "missing rejected.parquet": (
        lambda root: (root / "rejected.parquet").unlink(),
        "rejected.parquet: missing",
    ),
    "locations of another table": (
        lambda root: swap_locations(root),
        "locations.parquet: 3 rows instead of 5 (dataset.json)",
    ),
    "a shard of another data set": (
        lambda root: shutil.copy(root / "shards/000000.tar", root / "shards/000001.tar"),
        "shards/000001.tar, location 0: not in index.parquet",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_is_named_with_exit_code_1(root: Path, run: Run, damage: str) -> None:
    plant, named = DAMAGES[damage]
    plant(root)
    result = run("verify", root)
    assert result.exit_code == 1
    assert named in result.stdout
    assert result.stderr.startswith("error: ")


LOST = "Download the data set again into another folder."
REMEDIES = {
    "flipped byte in an array": "Run 'caco-data verify --repair DATASET'",
    "flipped byte in the index": "Run 'caco-data verify --repair DATASET'",
    "locations of another table": "Run 'caco-data verify --repair DATASET'",
    "missing rejected.parquet": LOST,
    "foreign file": "Move these files to another folder.",
}


@pytest.mark.parametrize("damage", REMEDIES)
def test_the_remedy_fits_the_damage(root: Path, run: Run, damage: str) -> None:
    DAMAGES[damage][0](root)
    result = run("verify", root)
    assert REMEDIES[damage] in result.stderr
    if "--repair" not in REMEDIES[damage]:
        before = contents(root)
        assert run("verify", "--repair", root).stderr == result.stderr
        assert contents(root) == before


def test_index_and_locations_cannot_be_rebuilt_beside_a_damaged_shard(root: Path) -> None:
    (root / "index.parquet").unlink()
    (root / "locations.parquet").unlink()
    storage = LocalStorage(root)
    assert "--repair" in remedy(verify(storage))
    flip(root / "shards/000000.tar", 5000)
    assert remedy(verify(storage)) == LOST.rstrip(".")
    with pytest.raises(DatasetError, match=r"index\.parquet and locations\.parquet"):
        repair(storage, verify(storage))


def test_the_log_of_events_belongs_to_the_data_set(root: Path) -> None:
    (root / "events.jsonl").write_text("{}\n")
    assert not verify(LocalStorage(root)).damages


def test_shards_that_cannot_have_the_declared_bands_are_refused(root: Path) -> None:
    meta = json.loads((root / "dataset.json").read_text())
    meta["settings"]["bands"].append("B8")
    meta["sha256"] = description_digest(meta)
    (root / "dataset.json").write_text(json.dumps(meta))
    with pytest.raises(DatasetError, match="5 locations do not fit"):
        verify(LocalStorage(root))


def test_damaged_or_missing_description(root: Path, run: Run, tmp_path: Path) -> None:
    text = (root / "dataset.json").read_text()
    (root / "dataset.json").write_text(text.replace('"nbytes": 4', '"nbytes": 5', 1))
    result = run("verify", root)
    assert result.exit_code == 1
    assert "dataset.json" in result.stderr
    (root / "dataset.json").write_text(text[:99])
    assert run("verify", root).exit_code == 1
    result = run("verify", tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "nowhere" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("damage", "dropped"),
    [
        ("flipped byte in an array", 1),
        ("missing shard", 2),
        ("truncated tar", 1),
        ("flipped byte in a tar header", 2),
        ("flipped byte in the padding", 0),
        ("flipped byte after the last member", 0),
        ("flipped byte in the index", 0),
        ("locations of another table", 0),
        ("locations of another table + flipped byte in the index", 0),
        ("flipped byte in the index + flipped byte in an array", 1),
        ("flipped byte in the index + missing shard + flipped byte in a tar header", 4),
        ("flipped byte in the index + a shard of another data set", 2),
    ],
)
def test_a_repaired_data_set_is_finished_to_the_same_bytes(
    root: Path, whole: Path, results: list[Outcome], damage: str, dropped: int
) -> None:
    for one in damage.split(" + "):
        DAMAGES[one][0](root)
    storage = LocalStorage(root)
    assert repair(storage, verify(storage)) == dropped
    ledger = Ledger(storage, description(), list(range(N)))
    writer = DatasetWriter(storage, ledger)
    assert len(ledger.pending) == dropped
    for i in ledger.pending.tolist():
        writer.add(results[i])
    writer.finish(locations_table(N))
    assert contents(root) == contents(whole)


def test_a_repair_killed_at_any_change_of_the_disk_can_be_repeated(
    root: Path, whole: Path, results: list[Outcome], tmp_path: Path
) -> None:
    DAMAGES["flipped byte in the index"][0](root)
    DAMAGES["truncated tar"][0](root)
    killed = 0
    for changes in itertools.count():
        copy = Path(shutil.copytree(root, tmp_path / str(changes)))
        storage = LocalStorage(copy)
        try:
            repair(StorageOfKilledProcess(copy, changes), verify(storage))
        except Killed:
            killed += 1
            if json.loads((copy / "dataset.json").read_text())["complete"]:
                repair(storage, verify(storage))
        ledger = Ledger(storage, description(), list(range(N)))
        writer = DatasetWriter(storage, ledger)
        for i in ledger.pending.tolist():
            writer.add(results[i])
        writer.finish(locations_table(N))
        assert contents(copy) == contents(whole)
        shutil.rmtree(copy)
        if killed <= changes:
            break
    assert killed > 5
