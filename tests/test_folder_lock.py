"""Locks of folders: two writers, killed writers, forked writers, leases."""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from caco_data import folder_lock as module
from caco_data.errors import InputError
from caco_data.folder_lock import Holder, folder_lock, lock_note, read_holder
from caco_data.storage import LOCK, LocalStorage, Storage, open_storage, write_bytes, write_json
from tests.support.lock_holder import holding_process

COMMAND = "caco-data download"


@pytest.fixture(params=["flock", "lease", "memory"])
def storage(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Storage:
    """A folder that is locked with flock, with a lease on a disk, or with a lease object."""
    monkeypatch.setattr(module, "CONFIRM_S", 0)
    if request.param == "lease":
        monkeypatch.setattr(fcntl, "flock", unsupported)
    url = f"memory://{tmp_path.name}"
    return open_storage(url if request.param == "memory" else tmp_path / "a" / "b")


def unsupported(_file: object, _operation: int) -> None:
    raise OSError(errno.ENOLCK, "No locks available")


def test_a_second_writer_is_refused_and_the_first_is_named(storage: Storage) -> None:
    with folder_lock(storage, COMMAND) as lock:
        assert storage.names() == []
        with pytest.raises(InputError) as caught, folder_lock(storage, COMMAND):
            pass
        lock.check()
        found = read_holder(storage)
    assert found is not None
    assert str(caught.value) == (
        f"Another process writes to this folder: {COMMAND} on {found.host}, process {os.getpid()}, "
        f"since {found.started[:10]} {found.started[11:16]} UTC ({storage.root}). "
        "Wait until it ends, or stop it."
    )
    assert caught.value.exit_code == 2
    assert not storage.exists(LOCK)
    with folder_lock(storage, COMMAND) as lock:
        lock.check()


def test_a_folder_made_for_the_lock_is_removed_unless_it_has_content(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "a" / "b")
    with pytest.raises(KeyError), folder_lock(storage, COMMAND):
        raise KeyError
    assert not list(tmp_path.iterdir())
    with folder_lock(storage, COMMAND):
        write_bytes(storage, "file", b"")
    assert storage.names() == ["file"]
    storage.remove("file")
    with folder_lock(storage, COMMAND):
        pass
    assert list(tmp_path.rglob("*")) == [tmp_path / "a", tmp_path / "a" / "b"]


@pytest.mark.parametrize("protocol", ["file", "local"])
def test_the_lock_of_a_killed_process_is_taken_over(tmp_path: Path, protocol: str) -> None:
    url = f"{protocol}://{tmp_path}"  # `local` is a file system of fsspec, locked with a lease
    storage = open_storage(url)
    with holding_process(url) as first:
        with pytest.raises(InputError, match=f"process {first.pid}"):
            folder_lock(storage, COMMAND).__enter__()
        assert lock_note(storage) == f"{read_holder(storage)}, is running"
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert "which has ended" in str(lock_note(storage))
    with folder_lock(storage, COMMAND) as lock:
        assert lock.holder.pid == os.getpid()
        lock.check()
    assert lock_note(storage) is None
    assert not list(tmp_path.iterdir())


def test_children_of_a_killed_process_do_not_keep_its_lock(tmp_path: Path) -> None:
    with holding_process(tmp_path, "with children") as first:
        first.send_signal(signal.SIGKILL)
        first.wait()
        with folder_lock(LocalStorage(tmp_path), COMMAND) as lock:
            lock.check()
        assert first.stdin is not None
        first.stdin.close()  # ends the children


def test_threads_that_lock_one_folder_in_turn_never_overlap(tmp_path: Path) -> None:
    inside: list[int] = []
    overlaps: list[bool] = []

    def work() -> None:
        while len(overlaps) < 200:
            try:
                with folder_lock(LocalStorage(tmp_path / "a"), COMMAND):
                    inside.append(1)
                    overlaps.append(len(inside) > 1)
                    inside.pop()
            except InputError:
                continue

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not any(overlaps)
    assert not (tmp_path / "a" / LOCK).exists()


def other_lease(storage: Storage, age: timedelta, host: str = "elsewhere", pid: int = 7) -> Holder:
    """Write the lease of another process, renewed some time ago."""
    renewed = (datetime.now(UTC) - age).isoformat()
    lease = Holder(host, pid, "2026-11-24T18:00:00+00:00", COMMAND, "0f", renewed)
    write_json(storage, LOCK, dataclasses.asdict(lease))
    return lease


@pytest.fixture
def leased(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """A folder that is locked with a lease object."""
    monkeypatch.setattr(module, "CONFIRM_S", 0)
    return open_storage(f"memory://{tmp_path.name}")


def test_a_lease_is_stale_after_five_minutes_without_renewal(leased: Storage) -> None:
    lease = other_lease(leased, timedelta(minutes=4))
    with pytest.raises(InputError, match="on elsewhere, process 7, since 2026-11-24 18:00 UTC"):
        folder_lock(leased, COMMAND).__enter__()
    assert lock_note(leased) == f"{lease}, is running"
    other_lease(leased, timedelta(minutes=6))
    assert lock_note(leased) == f"left by {lease}, which has ended"
    with folder_lock(leased, COMMAND) as lock:
        lock.check()


def test_the_lease_of_a_process_that_ended_on_this_host_is_taken_over_at_once(
    leased: Storage,
) -> None:
    host = socket.gethostname()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for pid in (ended.pid, os.getpid()):  # a restarted container may have the same process id
        other_lease(leased, timedelta(0), host, pid)
        with folder_lock(leased, COMMAND) as lock:
            lock.check()
    other_lease(leased, timedelta(0), host, os.getppid())
    with pytest.raises(InputError, match=f"process {os.getppid()}"):
        folder_lock(leased, COMMAND).__enter__()


def test_the_last_of_two_leases_written_at_the_same_time_wins(
    leased: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_writes(_seconds: float) -> None:
        other_lease(leased, timedelta(0))

    monkeypatch.setattr(time, "sleep", other_writes)
    with pytest.raises(InputError, match="process 7"):
        folder_lock(leased, COMMAND).__enter__()
    found = read_holder(leased)
    assert found is not None
    assert found.token == "0f"


def test_a_lease_is_renewed(leased: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RENEW_S", 0.001)
    with folder_lock(leased, COMMAND) as lock:
        other_lease_time = dataclasses.asdict(lock.holder) | {"renewed": "2000-01-01T00:00:00Z"}
        write_json(leased, LOCK, other_lease_time)
        while (found := read_holder(leased)) is None or found.renewed < "2001":
            time.sleep(0.001)
        lock.check()
    assert not leased.exists(LOCK)


def test_the_holder_of_a_lost_lock_must_stop_and_leaves_the_lock_of_the_other(
    storage: Storage,
) -> None:
    with folder_lock(storage, COMMAND) as lock:
        lease = other_lease(storage, timedelta(0))
        with pytest.raises(InputError, match=r"has taken over this folder: .* process 7"):
            lock.check()
        if isinstance(storage, LocalStorage) and fcntl.flock is not unsupported:
            storage.path(LOCK).rename(storage.path("moved"))
            storage.path(LOCK).write_bytes(storage.path("moved").read_bytes())
    assert read_holder(storage) == lease
    storage.remove(LOCK)
    with folder_lock(storage, COMMAND) as lock:
        storage.remove(LOCK)
        with pytest.raises(InputError, match="was removed"):
            lock.check()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"host": "a"}', b"\xff"])
def test_a_lock_file_with_other_content_is_taken_over(storage: Storage, content: bytes) -> None:
    write_bytes(storage, LOCK, content)
    assert lock_note(storage) == "left by an unknown process, which has ended"
    with folder_lock(storage, COMMAND) as lock:
        lock.check()
        assert json.loads(storage.read(LOCK))["pid"] == os.getpid()


def test_a_folder_that_cannot_be_written_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        folder_lock(LocalStorage(tmp_path / "file" / "a"), COMMAND).__enter__()
