"""Exceptions by exit code. Every message states the fault, its place and the remedy.

Exit codes of the command line: 1 problems found, 2 usage or input, 3 incomplete, 4 refused by the
remote service, 130 interrupted.
"""

from __future__ import annotations

from typing import Any, Self

#: Exit code after ^C or SIGTERM, as a shell reports it.
INTERRUPTED = 130

#: Remedy for a damaged data set.
REPAIR_REMEDY = "Run 'caco-data verify --repair DATASET', then the same 'caco-data download' again"
#: Remedy for an unfinished data set.
RENEW_REMEDY = "Download the data set again into another folder"
FINISH_REMEDY = "Run the same 'caco-data download' or 'caco-data import' again to finish it"


class CacoDataError(Exception):
    """Base class of every error that caco-data raises on purpose.

    Parameters
    ----------
    what : str
        What is wrong, in the user's terms.
    where : str, optional
        The file, option, column or location concerned.
    remedy : str, optional
        What to do about it.
    """

    exit_code = 2

    def __init__(self, what: str, where: str = "", remedy: str = "") -> None:
        super().__init__(what, where, remedy)
        self.what = what
        self.where = where
        self.remedy = remedy

    def without_cause(self) -> Self:
        """Remove the exceptions from which this one was raised: they may quote a secret.

        Dask sends them to other processes together with an exception.
        """
        self.__cause__ = self.__context__ = None
        return self

    def __str__(self) -> str:
        where = f" ({self.where})" if self.where else ""
        remedy = f" {self.remedy.rstrip('.')}." if self.remedy else ""
        return f"{self.what.rstrip('.')}{where}.{remedy}"


class InputError(CacoDataError, ValueError):
    """An option or a file that cannot be used, or a combination that is not allowed."""


class StorageError(CacoDataError):
    """An object store that cannot be read or written: no access, no connection, no bucket."""


class DatasetError(CacoDataError):
    """A damaged data set; `verify` lists the damaged parts."""

    exit_code = 1


class AuditError(CacoDataError):
    """A data set whose early and late tiles differ although nothing changed on the ground."""

    exit_code = 1


class SetupError(CacoDataError):
    """A problem of the machine, its credentials or its network; `doctor` lists the problems."""

    exit_code = 1


class IncompleteError(CacoDataError):
    """A finished run with fewer complete locations than required."""

    exit_code = 3


class SourceError(CacoDataError):
    """A failed request to an image source: base class of the three kinds below."""


class TransientError(SourceError):
    """A failure that is retried: 429, 5xx, lost connection, timeout, short or corrupt body.

    Parameters
    ----------
    retry_after_s : float, optional
        Seconds to wait, as requested by the service (Retry-After).
    throttled : bool, optional
        Whether the service reports too many requests.
    intercepted : bool, optional
        Whether a proxy or a login page responded instead of the service. While a source is opened
        this is an input error; `remedy` states which setting to check.
    uncertain : bool, optional
        Whether the service refused the request in terms that do not tell whether it is temporary.
        The request is retried a few times only; then the failure is permanent.
    """

    def __init__(
        self,
        what: str,
        where: str = "",
        remedy: str = "",
        retry_after_s: float | None = None,
        throttled: bool = False,
        intercepted: bool = False,
        uncertain: bool = False,
    ) -> None:
        super().__init__(what, where, remedy)
        self.retry_after_s = retry_after_s
        self.throttled = throttled
        self.intercepted = intercepted
        self.uncertain = uncertain

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), (
            self.what, self.where, self.remedy, self.retry_after_s, self.throttled,
            self.intercepted, self.uncertain,
        )  # fmt: skip


class PermanentError(SourceError):
    """A failure that is not retried for this request: image gone, unknown band."""


class InconsistentError(PermanentError):
    """An image whose pixels contradict its metadata."""


class RefusedError(SourceError):
    """The service refuses the user or the project; the run stops and keeps finished locations."""

    exit_code = 4


class InterruptedRunError(CacoDataError):
    """^C or SIGTERM; the message states what is saved and how to resume."""

    exit_code = INTERRUPTED
