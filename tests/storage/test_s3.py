"""Data sets in an object store: a real S3 server on the loopback interface."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from caco_data.dataset.ledger import Ledger
from caco_data.dataset.reader import open_dataset
from caco_data.dataset.writer import DatasetWriter
from caco_data.errors import InputError, StorageError
from caco_data.storage import ObjectStorage, open_storage, read_bytes, write_bytes
from tests.conftest import Run
from tests.dataset.test_merge import make
from tests.support.plain_source import description, locations_table, outcomes
from tests.support.s3_server import S3Server, s3_server

_numbers = itertools.count()


@pytest.fixture(scope="module")
def started() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def server(started: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    for name, value in started.environment.items():
        monkeypatch.setenv(name, value)
    started.rule = None
    yield started
    started.rule = None


@pytest.fixture
def bucket(server: S3Server) -> str:
    return server.make_bucket(f"bucket{next(_numbers)}")


def objects(bucket: str) -> dict[str, bytes]:
    """All objects of a bucket but logs, by name."""
    storage = open_storage(bucket)
    return {name: storage.read(name) for name in _all(bucket) if "events" not in name}


def _all(bucket: str) -> list[str]:
    store = ObjectStorage(bucket)._store
    return [found["path"] for part in store.list() for found in part]


def local_objects(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_an_object_appears_when_it_is_complete(server: S3Server, bucket: str) -> None:
    storage = open_storage(bucket + "/set")
    assert isinstance(storage, ObjectStorage)
    with pytest.raises(KeyError), storage.writing("a/x.tar") as file:  # noqa: PT012
        file.write(bytes(60 << 20))  # more than one part
        assert server.unfinished_uploads(bucket) == 1
        raise KeyError
    with storage.writing("a/y.tar") as file:
        file.write(bytes(60 << 20))
        assert storage.names("a") == []
    assert storage.names("a") == ["a/y.tar"]
    assert storage.size("a/y.tar") == 60 << 20
    assert storage.read_range("a/y.tar", 5, 10) == bytes(10)
    assert server.unfinished_uploads(bucket) == 0
    write_bytes(storage, "a/z.bin", b"1")
    write_bytes(storage, "a/z.bin", b"22")
    assert read_bytes(open_storage(bucket + "/set"), "a/z.bin") == b"22"
    storage.remove_folder("a")
    storage.remove_folder("a")
    assert storage.names("a") == []


@pytest.mark.parametrize(
    ("fault", "words"),
    [((403, "AccessDenied"), "No access"), ((503, "SlowDown"), "SlowDown"),
     ((507, "QuotaExceeded"), "QuotaExceeded")],
)  # fmt: skip
def test_faults_in_the_middle_keep_what_is_finished(
    server: S3Server, bucket: str, tmp_path: Path, fault: tuple[int, str], words: str
) -> None:
    """Every write fails from the k-th on; then the same data set is finished."""
    results = outcomes(3)
    make(tmp_path / "local", results)
    expected = local_objects(tmp_path / "local")
    for k in (0, 2, 5, 9):
        root = f"{bucket}/set{k}"
        count = itertools.count()
        server.rule = lambda method, path, count=count, k=k: (
            fault if method == "PUT" and next(count) >= k else None
        )
        with pytest.raises(StorageError, match=words) as caught:
            _download(root, results)
        assert "same command" in str(caught.value)
        assert "\n" not in str(caught.value)
        server.rule = None
        kept = {name for name in objects(bucket) if name.endswith(".tar")}
        _download(root, results)
        found = {
            name.removeprefix(f"set{k}/"): data
            for name, data in objects(bucket).items()
            if name.startswith(f"set{k}/")
        }
        assert found == expected
        assert k < 5 or kept


def _download(root: str, results: list) -> None:  # type: ignore[type-arg]
    storage = open_storage(root)
    ledger = Ledger(storage, description(), [0, 1, 2])
    writer = DatasetWriter(storage, ledger)
    for i in list(ledger.pending):
        writer.add(results[int(i)])
    writer.finish(locations_table(3))


def test_a_killed_download_is_resumed_and_the_data_set_used(
    server: S3Server, bucket: str, run: Run, tmp_path: Path
) -> None:
    n = 4
    table = tmp_path / "locations.parquet"
    assert run("sample", "--n", n, "--out", table).exit_code == 0
    options = [
        "download", "--source", "simulated", "--locations", str(table), "--workers", "1",
        "--locations-per-shard", "2", "--concurrency", "2",
    ]  # fmt: skip
    command = [sys.executable, "-m", "caco_data.cli", *options, "--out", f"{bucket}/set"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while process.poll() is None and not _stored(bucket):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = _stored(bucket)
    assert kept
    denied = itertools.count()
    server.rule = lambda method, path: (
        (403, "AccessDenied") if method == "PUT" and ".work" in path and next(denied) > 1 else None
    )
    failed = subprocess.run(command, capture_output=True, text=True)
    server.rule = None
    assert failed.returncode == 2, failed.stderr
    errors = [line for line in failed.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert "No access: AccessDenied" in errors[0]
    assert "Traceback" not in failed.stderr
    kept |= _stored(bucket)
    server.requests.clear()
    result = run(*options, "--out", f"{bucket}/set")
    assert result.exit_code == 0, result.stderr
    written = {path for method, path in server.requests if method == "PUT"}
    assert not [name for name in kept if any(name in path for path in written)]
    assert run(*options, "--out", tmp_path / "local").exit_code == 0
    local = local_objects(tmp_path / "local")
    local.pop("events.jsonl")
    assert {name.removeprefix("set/"): data for name, data in objects(bucket).items()} == local

    assert "no problems found" in run("verify", f"{bucket}/set").stdout
    info = run("info", "--json", f"{bucket}/set")
    assert info.exit_code == 0, info.stderr
    assert json.loads(info.stdout)["counts"]["complete"] == n
    assert run("report", f"{bucket}/set", "--out", tmp_path / "x.png").exit_code == 0
    trained = run(
        "train", "--data", f"{bucket}/set", "--out", tmp_path / "run", "--device", "cpu",
        "--batch-size", "4", "--queue-size", "4", "--crop-size", "32", "--max-steps", "1",
    )  # fmt: skip
    assert trained.exit_code == 0, trained.stderr


def _stored(bucket: str) -> set[str]:
    """Names of the complete locations that are not in a shard yet."""
    return {n for n in _all(bucket) if n.startswith("set/.work/") and n.endswith(".tar")}


def test_repair_in_a_store(server: S3Server, bucket: str, run: Run) -> None:
    results = outcomes(3)
    _download(f"{bucket}/set", results)
    before = objects(bucket)
    shard = bytearray(before["set/shards/000000.tar"])
    shard[5000] ^= 1
    write_bytes(open_storage(f"{bucket}/set"), "shards/000000.tar", bytes(shard))
    assert run("verify", f"{bucket}/set").exit_code == 1
    repaired = run("verify", "--repair", f"{bucket}/set")
    assert repaired.exit_code == 0, repaired.stderr
    _download(f"{bucket}/set", results)
    assert objects(bucket) == before


def test_merge_in_a_store_copies_on_the_server(
    server: S3Server, bucket: str, run: Run, tmp_path: Path
) -> None:
    results = outcomes(4)
    local = [make(tmp_path / "a", results[:2]), make(tmp_path / "b", results[2:])]
    for path in local:
        for name, data in local_objects(path).items():
            write_bytes(open_storage(f"{bucket}/{path.name}"), name, data)
    server.requests.clear()
    merged = run("merge", f"{bucket}/a", f"{bucket}/b", "--out", f"{bucket}/c")
    assert merged.exit_code == 0, merged.stderr
    read = [path for method, path in server.requests if method == "GET" and "?" not in path]
    assert read
    assert not [path for path in read if path.endswith(".tar")]
    assert "no problems found" in run("verify", f"{bucket}/c").stdout
    assert run("merge", *local, "--out", tmp_path / "c").exit_code == 0
    found = {n.removeprefix("c/"): d for n, d in objects(bucket).items() if n.startswith("c/")}
    assert found == local_objects(tmp_path / "c")
    mixed = run("merge", f"{bucket}/a", local[1], "--out", tmp_path / "d")
    assert mixed.exit_code == 0, mixed.stderr
    assert local_objects(tmp_path / "d") == local_objects(tmp_path / "c")


def test_a_bucket_that_does_not_exist_is_named(server: S3Server, run: Run, tmp_path: Path) -> None:
    table = tmp_path / "locations.parquet"
    run("sample", "--n", 2, "--out", table)
    for result in (
        run("info", "s3://nothing/set"),
        run("verify", "s3://nothing/set"),
        run("download", "--source", "simulated", "--locations", table, "--out", "s3://nothing/x"),
    ):
        assert result.exit_code == 2
        assert "The bucket does not exist (s3://nothing/" in result.stderr
        assert result.stderr.count("\n") == 1


def test_without_a_connection_or_credentials(
    server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(
        StorageError, match=r"No connection: http://127\.0\.0\.1:9: Connection refused"
    ):
        open_dataset("s3://bucket-elsewhere/x")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(StorageError, match="No access: Unable to locate credentials"):
        open_dataset("s3://bucket-without-credentials/y")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(InputError, match="nobody"):
        open_dataset("s3://bucket-without-profile/y")
