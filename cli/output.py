"""Printing: every text of a command passes through `echo`, every log line through `LogFormatter`.

Names and texts may come from files of unknown origin: control characters in them are written as
escapes, so that they can neither control the terminal nor imitate other lines.
"""

from __future__ import annotations

import logging
import traceback
from types import TracebackType

import click

from caco_data.printable import printable


def echo(*lines: str, err: bool = False, prefix: str = "") -> None:
    """Print lines to stdout, or to stderr.

    Parameters
    ----------
    *lines : str
        Lines of text; a line feed within one is escaped.
    err : bool
        Whether to print to stderr.
    prefix : str
        Text with escape sequences of this program, printed as it is before the first line.
    """
    click.echo(prefix + "\n".join(map(printable, lines)), err=err)


class LogFormatter(logging.Formatter):
    """Formats a record; its message is one line."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Format the message."""
        record.message = printable(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: object) -> str:  # noqa: N802
        """Format a traceback."""
        lines = super().formatException(ei).split("\n")  # type: ignore[arg-type]
        return "\n".join(map(printable, lines))


def print_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print the traceback of an uncaught exception, for `sys.excepthook`."""
    text = "".join(traceback.format_exception(kind, error, trace))
    echo(*text.rstrip("\n").split("\n"), err=True)
