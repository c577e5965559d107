"""Transfer of a file from one folder to another without rewriting it, where that is possible."""

from __future__ import annotations

import errno
import shutil

from caco_data.storage import LocalStorage, RemoteFolder, Storage

#: Errors of `link` and `rename` where a file can only be copied.
_COPY = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_CHUNK = 8 << 20  # bytes


def transfer(source: Storage, name: str, target: Storage, new: str, move: bool) -> None:
    """Give a file another name in another folder; keep it in the first one unless moved.

    On one file system the file is linked (or renamed), in one object store it is copied by the
    service. Otherwise its bytes are copied.

    Parameters
    ----------
    source, name
        Folder and name of the file.
    target, new
        Folder and name in which it appears, complete.
    move : bool
        Whether to remove it from the first folder.
    """
    if isinstance(source, LocalStorage) and isinstance(target, LocalStorage):
        try:
            target.link(source.path(name), new, move)
            return
        except OSError as error:
            if error.errno not in _COPY:
                raise
    if not (isinstance(target, RemoteFolder) and target.copy(source, name, new)):
        with source.open(name) as file, target.writing(new) as out:
            shutil.copyfileobj(file, out, _CHUNK)
    if move:
        source.remove(name)
