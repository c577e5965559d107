"""Leftovers of killed runs in the folder of a data set: temporary files, `.work`, the lock."""

from __future__ import annotations

from contextlib import suppress

from caco_data.dataset.description import read_description
from caco_data.dataset.layout import SHARDS
from caco_data.dataset.work_folder import WORK
from caco_data.errors import CacoDataError
from caco_data.folder_lock import lock_note
from caco_data.storage import LOCK, Storage, remove_temporaries

#: Folders of a data set.
FOLDERS = ("", SHARDS, WORK)


def leftovers(storage: Storage) -> dict[str, str]:
    """List what is not part of a data set, but no damage either.

    Returns
    -------
    dict of str to str
        Description by name: temporary files, the folder `.work` of a finished data set, the lock of
        a running or killed process.
    """
    found: dict[str, str] = {}
    if lock := lock_note(storage):
        found[LOCK] = lock
    for folder in FOLDERS:
        for name in storage.temporaries(folder):
            found[name] = "temporary file of a running or interrupted command"
    with suppress(CacoDataError):
        if (files := storage.names(WORK)) and read_description(storage).get("complete"):
            found[WORK] = f"{len(files)} intermediate files of a finished data set"
    return found


def remove_leftovers(storage: Storage, finished: bool) -> None:
    """Remove temporary files and, of a finished data set, the folder `.work`.

    Only the holder of the folder's lock may call this.
    """
    remove_temporaries(storage, FOLDERS)
    if finished:
        storage.remove_folder(WORK)
