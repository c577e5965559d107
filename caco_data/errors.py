"""What can go wrong, in kinds: every message says what, where and the remedy.

The command line turns a kind into its exit code (DESIGN 12): 1 found broken, 2 usage or input,
3 incomplete, 4 the remote service refused.
"""

#: Exit code after ^C or SIGTERM, as a shell reports it.
INTERRUPTED = 130


class CacoDataError(Exception):
    """Root of every error that caco-data raises on purpose.

    Parameters
    ----------
    what : str
        What is wrong, in the user's words.
    where : str, optional
        The file, option, column or location it is about.
    remedy : str, optional
        What to do about it.
    """

    exit_code = 2

    def __init__(self, what: str, where: str = "", remedy: str = "") -> None:
        super().__init__(what, where, remedy)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        where = f" ({self.where})" if self.where else ""
        remedy = f" {self.remedy.rstrip('.')}." if self.remedy else ""
        return f"{self.what.rstrip('.')}{where}.{remedy}"


class InputError(CacoDataError, ValueError):
    """An option, a file or a combination of them that cannot be used."""


class DatasetError(CacoDataError):
    """A data set that is damaged: `verify` names each broken part."""

    exit_code = 1


class SetupError(CacoDataError):
    """A machine, its credentials or its network that will not do: `doctor` names each trouble."""

    exit_code = 1


class IncompleteError(CacoDataError):
    """A run that finished, with fewer complete locations than asked for."""

    exit_code = 3


class SourceError(CacoDataError):
    """An image source's answer that is not the image: the root of the three kinds below."""


class TransientError(SourceError):
    """Worth another try: 429, 5xx, a dropped connection, a timeout, a short or corrupt body.

    Parameters
    ----------
    retry_after_s : float, optional
        Seconds the service asked to wait (its Retry-After), if it did.
    throttled : bool, optional
        Whether the service says that there are too many requests.
    """

    def __init__(
        self,
        what: str,
        where: str = "",
        remedy: str = "",
        retry_after_s: float | None = None,
        throttled: bool = False,
    ) -> None:
        super().__init__(what, where, remedy)
        self.retry_after_s = retry_after_s
        self.throttled = throttled

    def __reduce__(self) -> tuple[type, tuple[str, str, str, float | None, bool]]:
        return type(self), (
            self.what, self.where, self.remedy, self.retry_after_s, self.throttled,
        )  # fmt: skip


class PermanentError(SourceError):
    """Never worth another try for this image: vanished, no such band, no permission for it."""


class RefusedError(SourceError):
    """The service refuses the user or the project: the run stops and keeps what is finished."""

    exit_code = 4


class InterruptedRunError(CacoDataError):
    """^C or SIGTERM, with what has been kept and how to go on."""

    exit_code = INTERRUPTED
