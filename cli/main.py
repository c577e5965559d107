"""The command group: sets up logging and turns errors into exit codes.

Results are written to stdout; messages, logs and progress to stderr.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from caco_data import __version__
from caco_data.errors import INTERRUPTED, CacoDataError

from .output import LogFormatter, echo, print_traceback


def _fail(message: str, code: int) -> NoReturn:
    echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(code)


def _sentence(message: str) -> str:
    return message if message.endswith(("?", "!")) else message.rstrip(".") + "."


class CommandGroup(click.Group):
    """A group that reports every expected error in one line, with a documented exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands in the order of their use."""
        return list(self.commands)

    def main(self, args: Sequence[str] | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]
        """Run a command and exit.

        Exit codes: 0 success, 1 problems found, 2 invalid input, 3 incomplete, 4 refused by the
        service, 130 interrupted.
        """
        argv = list(sys.argv[1:] if args is None else args)
        debug = "--debug" in argv
        if threading.current_thread() is threading.main_thread():
            # Job schedulers stop a run with SIGTERM: handle it like ^C, which keeps finished work.
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            result = super().main(argv, standalone_mode=False, **extra)
            sys.exit(result if isinstance(result, int) else 0)
        except click.exceptions.NoArgsIsHelpError as error:
            text = error.ctx.get_help() if error.ctx else str(error)
            echo(*text.split("\n"), err=True)
            sys.exit(2)
        except click.ClickException as error:
            where = getattr(error, "ctx", None)
            remedy = f" Try '{where.command_path} --help'." if where is not None else ""
            _fail(_sentence(error.format_message()) + remedy, error.exit_code)
        except (KeyboardInterrupt, click.Abort):
            _fail("Interrupted.", INTERRUPTED)
        except Exception as error:
            if debug:
                sys.excepthook = print_traceback
                raise
            if isinstance(error, CacoDataError):
                _fail(str(error), error.exit_code)
            if isinstance(error, BrokenPipeError):  # the reader of stdout has exited
                sys.stderr.close()
                sys.exit(0)
            if isinstance(error, OSError):
                what = error.strerror or str(error)
                where = f" ({error.filename})" if error.filename else ""
                _fail(f"{what}{where}. Check the path, its permissions and the disk space.", 2)
            _fail(
                f"{type(error).__name__}: {error} (a bug in caco-data). "
                "Run again with 'caco-data --debug ...' and report the traceback.",
                1,
            )


@click.group(
    cls=CommandGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="caco-data")
@click.option("--config", metavar="FILE.toml", help="File of options, one section per command.")
@click.option("--debug", is_flag=True, help="Show tracebacks and debug messages.")
@click.option("-q", "--quiet", is_flag=True, help="Print only warnings and errors to stderr.")
@click.pass_context
def main(ctx: click.Context, config: str | None, debug: bool, quiet: bool) -> None:
    """Sentinel-2 data sets and encoders for change-aware contrastive pretraining.

    \b
    caco-data sample --n 100k      sample locations around cities
    caco-data download             download multi-year, cloud-filtered image stacks
    caco-data train                pretrain an encoder on them
    caco-data evaluate eurosat     evaluate the encoder
    """
    level = logging.DEBUG if debug else logging.WARNING if quiet else logging.INFO
    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("caco_data").setLevel(level)
    # Warnings of google concern Google Cloud machines.
    logging.getLogger("google").setLevel(logging.ERROR)
    if config is not None:
        from .config import load

        ctx.default_map = load(config, main.commands.values())


def _add_commands() -> None:
    """Add the commands; heavy packages are imported inside the body of each command."""
    from . import (
        audit,
        compare,
        doctor,
        download,
        evaluate,
        export,
        export_encoder,
        import_,
        info,
        merge,
        report,
        sample,
        split,
        train,
        verify,
    )

    modules = (
        sample, download, train, evaluate, compare, export_encoder, verify, info, audit, report,
        merge, split, export, import_, doctor,
    )  # fmt: skip
    for module in modules:
        main.add_command(module.command)


_add_commands()
