"""Data sets whose files name or link to others, or describe more than they contain."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caco_data.dataset.events import EventLog
from caco_data.dataset.reader import open_dataset
from caco_data.dataset.repair import repair
from caco_data.dataset.summary import summarise
from caco_data.dataset.verify import verify
from caco_data.errors import CacoDataError, DatasetError
from caco_data.storage import LocalStorage
from tests.conftest import Run
from tests.support.hostile import SHARD, accept, describe, small_dataset, tree
from tests.support.plain_source import FETCH


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_dataset(tmp_path_factory.mktemp("hostile") / "set")


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/victim").write_text("private")
    shutil.copy(whole / SHARD, tmp_path / "outside/000000.tar")
    return Path(shutil.copytree(whole, tmp_path / "a/set"))


def outside(root: Path) -> Path:
    return root.parent.parent / "outside"


def edit_index(root: Path, **values: object) -> None:
    """Set columns of the index, in all rows."""
    table = pq.read_table(root / "index.parquet")
    rows = [row | values for row in table.to_pylist()]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), root / "index.parquet")
    accept(root)


@pytest.mark.parametrize("name", ["../../../outside/victim", "/etc/passwd", "x.tar", "", 7, None])
@pytest.mark.parametrize("command", ["verify", "verify --repair", "info", "report --out x.png"])
def test_a_shard_with_another_name_is_refused(
    root: Path, run: Run, command: str, name: object
) -> None:
    describe(root, lambda meta: meta["shards"][0].update(name=name))
    before = tree(root.parent.parent)
    result = run(*command.split(), root)
    assert result.exit_code == 1
    assert "is not a shard" in result.stderr
    assert len(result.output.splitlines()) == 1
    assert tree(root.parent.parent) == before


LINKED = ["shards", ".work", SHARD, "index.parquet", "dataset.json", ".lock", "events.jsonl"]


@pytest.mark.parametrize("name", LINKED)
@pytest.mark.parametrize("command", ["verify", "verify --repair", "info", "report --out x.png"])
def test_nothing_behind_a_link_is_read_or_changed(
    root: Path, run: Run, monkeypatch: pytest.MonkeyPatch, name: str, command: str
) -> None:
    monkeypatch.chdir(root.parent.parent.parent)
    target = outside(root) / ("" if name in ("shards", ".work") else "victim")
    if (root / name).is_dir():
        shutil.rmtree(root / name)
    (root / name).unlink(missing_ok=True)
    (root / name).symlink_to(target)
    before = tree(outside(root))
    result = run(*command.split(), root)
    assert tree(outside(root)) == before
    assert "private" not in result.output
    assert "a bug in caco-data" not in result.output
    if command == "verify":
        assert result.exit_code == 1
        assert "link" in result.output or "not part of the data set" in result.output


def test_a_linked_shard_is_a_problem_and_repair_leaves_it(root: Path, run: Run) -> None:
    (root / SHARD).unlink()
    (root / SHARD).symlink_to(outside(root) / "000000.tar")
    result = run("verify", root)
    assert f"{SHARD}: a symbolic link, not a regular file" in result.stdout
    before = tree(outside(root))
    assert "Replace each link" in result.stderr
    repaired = run("verify", "--repair", root)
    assert repaired.exit_code == 1
    assert "Replace each link" in repaired.stderr
    assert tree(outside(root)) == before
    assert (root / SHARD).is_symlink()


@pytest.mark.parametrize("name", [".lock", "events.jsonl"])
def test_a_hard_link_is_not_written_to(root: Path, run: Run, name: str) -> None:
    (root / name).hardlink_to(outside(root) / "victim")
    run("verify", "--repair", root)
    EventLog(LocalStorage(root)).write("start")
    assert (outside(root) / "victim").read_text() == "private"


@pytest.fixture
def alarm() -> Iterator[None]:
    """Interrupt a test that waits."""

    def interrupt(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize("name", ["events.jsonl", "index.parquet", SHARD, "dataset.json", ".lock"])
def test_nothing_waits_for_a_pipe(root: Path, run: Run, name: str) -> None:
    (root / name).unlink(missing_ok=True)
    os.mkfifo(root / name)
    for command in ("info", "verify"):
        assert "a bug in caco-data" not in run(command, root).output


@pytest.mark.parametrize("shard", ["../../outside/000000.tar", "000007.tar", "", None])
def test_an_index_with_other_shards_is_refused(root: Path, run: Run, shard: str | None) -> None:
    edit_index(root, shard=shard)
    result = run("verify", root)
    assert result.exit_code == 1
    assert "index.parquet: its rows are not those of the shards, in their order" in result.stdout
    dataset = open_dataset(root)
    if shard != "000007.tar":
        with pytest.raises(DatasetError):
            dataset.stacks()
        with pytest.raises(DatasetError):
            dataset.read_member(0, "early", "60")


@pytest.mark.parametrize(
    "values",
    [
        {"b60_offset": -1},
        {"b60_offset": 2**62},
        {"b60_nbytes": 2**62},
        {"b60_nbytes": -5},
        {"b60_nbytes": None},
        {"location_id": 3},
        {"location_id": None},
    ],
)
def test_impossible_positions_are_refused(root: Path, values: dict[str, Any]) -> None:
    edit_index(root, **values)
    with pytest.raises(DatasetError):
        open_dataset(root).stacks()


def test_long_texts_stored_once_do_not_fill_the_memory(root: Path, run: Run) -> None:
    index = pq.read_table(root / "index.parquet")
    rows = 200_000
    text = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * 8000]))
    columns = [
        text if name == "image_id" else index[name].take(pa.array([0] * rows))
        for name in index.schema.names
    ]
    pq.write_table(pa.table(columns, names=index.schema.names), root / "index.parquet")
    del index, text, columns
    accept(root)
    for command in ("verify", "info", "report --out x.png"):
        result = run(*command.split(), root)
        assert result.exit_code == 1
        assert "a bug in caco-data" not in result.output
    # The texts have 1.6 GB.
    assert pa.default_memory_pool().max_memory() < 600 << 20


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a":' * 100_000, "[" + "{}," * 1_000_000 + "0]", "9" * 5000, "\0", "{"],
)
def test_json_that_is_deep_or_large_when_parsed_is_refused(root: Path, run: Run, text: str) -> None:
    (root / "dataset.json").write_text(text)
    result = run("verify", root)
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 1


def test_a_city_with_a_formula_is_drawn_as_text(tmp_path: Path, run: Run) -> None:
    root = small_dataset(tmp_path / "set", FETCH, 2)
    table = pq.read_table(root / "locations.parquet")
    city = pa.array([r"$\frac{a$", "\x1b[2J\n$ $"])
    pq.write_table(table.append_column("city", city), root / "locations.parquet")
    accept(root)
    result = run("report", root, "--out", tmp_path / "x.png")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "x.png").exists()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
PATHS = [
    *("format", "software", "source", "settings", "counts", "tables", "shards", "grid", "complete"),
    *("source.name", "source.collection", "settings.bands", "settings.dtype", "settings.compress"),
    *("settings.locations_per_shard", "counts.locations", "counts.complete", "counts.rejected"),
    *("counts.nbytes", "tables.index|parquet", "shards.0", "shards.0.name", "shards.0.nbytes"),
    *("shards.0.sha256", "shards.1.name"),
]


def put(meta: Any, path: str, value: object) -> None:
    keys = [int(k) if k.isdigit() else k.replace("|", ".") for k in path.split(".")]
    for key in keys[:-1]:
        meta = meta[key]
    meta[keys[-1]] = value


@settings(max_examples=150)
@given(st.sampled_from(PATHS), JSON | st.sampled_from(["../../outside/victim", "none", 2**62, -1]))
def test_no_description_ends_in_another_exception_or_changes_other_files(
    whole: Path, path: str, value: object
) -> None:
    base = whole.parent / "mutated"
    shutil.rmtree(base, ignore_errors=True)
    root = Path(shutil.copytree(whole, base / "a/set", copy_function=os.link))
    (root / "dataset.json").unlink()
    shutil.copy(whole / "dataset.json", root / "dataset.json")
    (base / "outside").mkdir()
    (base / "outside/victim").write_text("private")
    describe(root, lambda meta: put(meta, path, value))
    before = tree(whole) | tree(base / "outside")
    storage = LocalStorage(root)
    try:
        dataset = open_dataset(root)
        summarise(dataset)
        dataset.stacks()
        dataset.read_member(0, "early", "60")
        repair(storage, verify(storage))
    except CacoDataError:
        pass
    assert tree(whole) | tree(base / "outside") == before
