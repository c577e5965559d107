"""Failures of remote storages: what failed, and what to do."""

from __future__ import annotations

from caco_data.errors import StorageError

_AGAIN = "then run the same command again: everything finished is kept"


def no_bucket(where: str) -> StorageError:
    """Make the error for a bucket that does not exist."""
    return StorageError(
        "The bucket does not exist", where, "Create it, or correct the URL"
    ).without_cause()


def failure(kind: str, text: str, where: str) -> StorageError:
    """Make the error for a failed request, by the name of an exception and its text."""
    if any(word in kind for word in ("Permission", "Credential", "Auth")):
        what, remedy = "No access", "Check the credentials and their permissions"
    elif "Connect" in kind or "Timeout" in kind:
        what, remedy = "No connection", "Check the network and the endpoint"
    else:
        what, remedy = "The store refuses", "Wait or fix the cause"
    return StorageError(f"{what}: {text}", where, f"{remedy}, {_AGAIN}").without_cause()
