"""Lock of a folder: only one process writes to it.

The file `.lock` names its holder. On a local or mounted disk it is locked with flock, which the
kernel releases when the process ends, however it ends. Where there is no flock (object stores, some
network file systems) the file is a lease: the holder renews it, and another process may take it
over after five minutes without renewal.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from caco_data.errors import InputError
from caco_data.safe_paths import open_regular
from caco_data.storage import LOCK, LocalStorage, Storage, read_json, write_json

#: A lease is renewed at this interval, seconds, and is stale after `STALE` without renewal.
RENEW_S = 60.0
STALE = timedelta(minutes=5)
#: Time between writing a lease and each of the two readings that confirm it, seconds.
CONFIRM_S = 0.5
#: Attempts to lock a file that does not name a running holder, at intervals of 50 ms.
ATTEMPTS = 20
#: Errors of flock on file systems without it.
_UNSUPPORTED = {errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK, errno.EINVAL}

_descriptors: set[int] = set()
_tokens: set[str] = set()


def _close_in_child() -> None:
    for descriptor in _descriptors:
        os.close(descriptor)
    _descriptors.clear()
    _tokens.clear()


# A forked process shares the lock of a descriptor, and would keep it after the holder has ended.
os.register_at_fork(after_in_child=_close_in_child)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Holder:
    """Holder of a lock: content of the file."""

    host: str
    """Host name."""
    pid: int
    """Process id."""
    started: str
    """Time of locking, ISO 8601, UTC."""
    command: str
    """Command of the process, `caco-data download`."""
    token: str
    """Random; identifies this locking."""
    renewed: str
    """Time of the last renewal of a lease, ISO 8601, UTC."""

    def __str__(self) -> str:
        since = f"{_utc(self.started):%Y-%m-%d %H:%M} UTC"
        return f"{self.command} on {self.host}, process {self.pid}, since {since}"


@dataclass(frozen=True, slots=True)
class FolderLock:
    """A lock held by this process."""

    storage: Storage
    holder: Holder

    def check(self) -> None:
        """Check that the lock is still held; to be called before files are written.

        Raises
        ------
        InputError
            When another process has taken over the folder, or the lock was removed.
        """
        found = read_holder(self.storage)
        if found is None or found.token != self.holder.token:
            raise InputError(
                f"Another process has taken over this folder: {found}"
                if found is not None
                else "The lock of this folder was removed",
                self.storage.root,
                "Run the same command again when no other process writes to the folder",
            )


@contextmanager
def folder_lock(storage: Storage, command: str) -> Iterator[FolderLock]:
    """Lock a folder for writing; create it if it does not exist.

    Parameters
    ----------
    storage : Storage
        The folder. A folder that was created here and is empty at the end is removed again.
    command : str
        Command of this process, for messages: `caco-data download`.

    Yields
    ------
    FolderLock

    Raises
    ------
    InputError
        When another process, or this one, holds the lock.
    """
    now = _now()
    holder = Holder(
        socket.gethostname(), os.getpid(), now, command, secrets.token_hex(8), renewed=now
    )
    with ExitStack() as stack:
        if not isinstance(storage, LocalStorage):
            stack.enter_context(_leased(storage, holder))
        else:
            stack.enter_context(_created_folder(storage.path("")))
            try:
                stack.enter_context(_locked(storage, holder))
            except OSError as error:
                if error.errno not in _UNSUPPORTED:
                    raise
                stack.enter_context(_leased(storage, holder))
        yield FolderLock(storage, holder)


def read_holder(storage: Storage) -> Holder | None:
    """Read the holder of a folder's lock; None without a lock or while it is being written."""
    try:
        found = read_json(storage, LOCK)
        holder = Holder(**{name: found[name] for name in Holder.__slots__})
        for text in (holder.started, holder.renewed):
            _utc(text)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    except (ValueError, TypeError, KeyError):  # not (yet) the content of a lock
        return None
    return holder


def lock_note(storage: Storage) -> str | None:
    """Describe a folder's lock and whether its holder is running; None without a lock."""
    if not storage.exists(LOCK):
        return None
    holder = read_holder(storage)
    stale = holder is None or _is_stale(holder)
    if isinstance(storage, LocalStorage):
        with suppress(OSError), storage.open(LOCK) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                stale = True
            except BlockingIOError:
                stale = False
    who = holder or "an unknown process"
    return f"left by {who}, which has ended" if stale else f"{who}, is running"


def _held(storage: Storage, holder: Holder | None) -> InputError:
    by = f": {holder}" if holder is not None else ""
    return InputError(
        f"Another process writes to this folder{by}",
        storage.root,
        "Wait until it ends, or stop it",
    )


@contextmanager
def _created_folder(path: Path) -> Iterator[None]:
    """Remove at the end the folders that did not exist at the start, unless they have content."""
    created = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        yield
    finally:
        with suppress(OSError):
            for folder in created:
                folder.rmdir()


# flock


@contextmanager
def _locked(storage: LocalStorage, holder: Holder) -> Iterator[None]:
    """Lock the file with flock; OSError where this is not supported."""
    descriptor = _open_locked(storage)
    _descriptors.add(descriptor)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(asdict(holder)).encode(), 0)
        yield
    finally:
        if descriptor in _descriptors:  # else this is a forked process
            _descriptors.remove(descriptor)
            if _is_open_file(storage.path(LOCK), descriptor):
                storage.remove(LOCK)
            os.close(descriptor)


def _open_locked(storage: LocalStorage) -> int:
    path = storage.path(LOCK)
    for _ in range(ATTEMPTS):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = open_regular(path, os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:  # another process has removed the folder it had created
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_open_file(path, descriptor):  # else its holder has just removed it
                return descriptor
            os.close(descriptor)
        except BlockingIOError:
            os.close(descriptor)
            holder = read_holder(storage)
            if holder is not None and not _is_dead(holder):
                raise _held(storage, holder) from None
            time.sleep(0.05)  # the file does not name its new holder yet
        except BaseException:
            os.close(descriptor)
            raise
    raise _held(storage, None)


def _is_open_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


# Lease


@contextmanager
def _leased(storage: Storage, holder: Holder) -> Iterator[None]:
    """Write a lease and renew it; of several processes that write one, the last one wins."""
    found = read_holder(storage)
    if found is not None and not _is_stale(found):
        raise _held(storage, found)
    stop = threading.Event()
    renewal = threading.Thread(target=_renew, args=(storage, holder, stop), daemon=True)
    _tokens.add(holder.token)
    try:
        write_json(storage, LOCK, asdict(holder))
        for _ in range(2):
            time.sleep(CONFIRM_S)
            if not _is_own(storage, holder):
                raise _held(storage, read_holder(storage))
        renewal.start()
        yield
    finally:
        stop.set()
        if renewal.ident is not None:
            renewal.join()
        _tokens.discard(holder.token)
        with suppress(Exception):  # after a network error, the lease becomes stale
            if _is_own(storage, holder):
                storage.remove(LOCK)


def _renew(storage: Storage, holder: Holder, stop: threading.Event) -> None:
    while not stop.wait(RENEW_S):
        with suppress(Exception):  # after a network error, the next renewal may succeed
            if not _is_own(storage, holder):
                return  # `FolderLock.check` raises
            write_json(storage, LOCK, asdict(holder) | {"renewed": _now()})


def _is_own(storage: Storage, holder: Holder) -> bool:
    found = read_holder(storage)
    return found is not None and found.token == holder.token


def _is_stale(lease: Holder) -> bool:
    if lease.host == socket.gethostname() and lease.pid == os.getpid():
        # A restarted container may have the host name and the process id of its predecessor.
        return lease.token not in _tokens
    age = datetime.now(UTC) - _utc(lease.renewed)
    return _is_dead(lease) or age > STALE


def _is_dead(holder: Holder) -> bool:
    """Whether the holder ran on this host and has ended."""
    if holder.host != socket.gethostname():
        return False
    try:
        os.kill(holder.pid, 0)  # sends no signal
    except ProcessLookupError:
        return True
    except PermissionError:  # a process of another user
        pass
    return False
