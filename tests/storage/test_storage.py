from __future__ import annotations

import sys
from pathlib import Path

import pytest

from caco_data.errors import InputError
from caco_data.storage import (
    LOCK,
    LocalStorage,
    open_storage,
    read_bytes,
    remove_temporaries,
    write_bytes,
)
from tests.conftest import Run


@pytest.fixture(params=["local", "file", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return {
        "local": str(tmp_path / "a"),
        "file": f"file://{tmp_path}/a",
        "memory": f"memory://{tmp_path.name}",
    }[request.param]


def test_files_are_written_atomically(root: str) -> None:
    storage = open_storage(root)
    assert storage.names() == []
    write_bytes(storage, "a/b.bin", b"123")
    with pytest.raises(KeyError), storage.writing("a/c.bin") as file:  # noqa: PT012
        file.write(b"half")
        raise KeyError
    assert storage.names("a") == ["a/b.bin"]
    assert not storage.exists("a/c.bin")
    assert storage.size("a/b.bin") == 3
    assert read_bytes(storage, "a/b.bin") == b"123"
    write_bytes(storage, "a/b.bin", b"4")
    assert read_bytes(open_storage(root), "a/b.bin") == b"4"
    storage.remove("a/b.bin")
    storage.remove("a/b.bin")
    assert storage.names("a") == []
    write_bytes(storage, "a/b.bin", b"")
    storage.remove_folder("a")
    storage.remove_folder("a")
    assert storage.names("a") == []


def test_two_writers_of_one_name_do_not_share_a_temporary_file(root: str) -> None:
    storage = open_storage(root)
    with storage.writing("a/b.bin") as first:
        first.write(b"11")
        with open_storage(root).writing("a/b.bin") as second:
            second.write(b"2")
            assert storage.names("a") == []
            assert not storage.exists("a/b.bin")
        assert read_bytes(storage, "a/b.bin") == b"2"
        first.write(b"11")
    assert read_bytes(storage, "a/b.bin") == b"1111"
    assert storage.temporaries("a") == []


def test_temporary_files_and_the_lock_are_not_content(root: str) -> None:
    storage = open_storage(root)
    for name in ("x.tar", "x.tar.12-0a1b2c3d.tmp", "x.tar.tmp", "notes.tmp", LOCK):
        for folder in ("", "a/"):
            write_bytes(storage, folder + name, b"1")
    assert storage.names() == ["notes.tmp", "x.tar"]
    assert storage.names("a") == ["a/notes.tmp", "a/x.tar"]
    assert storage.temporaries("a") == ["a/x.tar.12-0a1b2c3d.tmp", "a/x.tar.tmp"]
    remove_temporaries(storage, ("", "a", "none"))
    assert storage.temporaries() == storage.temporaries("a") == []
    assert storage.names("a") == ["a/notes.tmp", "a/x.tar"]
    assert storage.exists(LOCK)


def test_paths_and_file_urls_are_local(tmp_path: Path) -> None:
    assert isinstance(open_storage(tmp_path), LocalStorage)
    assert isinstance(open_storage(f"file://{tmp_path}"), LocalStorage)


@pytest.mark.parametrize("url", ["s3://", "s3:", "s3:///x", "s3:/bucket/x", "s3:bucket/x", "gs://"])
def test_an_object_store_needs_a_bucket(url: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No bucket"):
        open_storage(url)
    assert isinstance(open_storage(tmp_path / "s3:"), LocalStorage)


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(url: str, **options: object) -> None:
        raise ImportError("Install gcsfs to access GCS")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(InputError, match=r"pip install 'caco-data\[s3\]'"):
        open_storage("s3://bucket-without-package/x")
    with pytest.raises(InputError, match=r"caco-data\[gs\]"):
        open_storage("gs://bucket/x")


def test_files_in_memory_are_refused_by_commands(run: Run, tmp_path: Path) -> None:
    for arguments in (
        ("info", "memory://x"),
        ("verify", "memory://x"),
        ("download", "--source", "simulated", "--out", "memory://x"),
        ("merge", "memory://x", "memory://y", "--out", "z"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2
        assert "Files in memory end with this command" in result.stderr
        assert result.stderr.count("\n") == 1


def test_an_unknown_protocol_is_an_input_error() -> None:
    with pytest.raises(InputError, match="nowhere://"):
        open_storage("nowhere://bucket/x")
