"""The command group: logging, and errors into exit codes (DESIGN 12).

Data goes to stdout; messages, logs and progress go to stderr.
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


def _fail(message: str, code: int) -> NoReturn:
    click.echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(code)


class CommandGroup(click.Group):
    """A group that ends every foreseeable failure in one line and a documented exit code."""

    def main(self, args: Sequence[str] | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]
        """Run a command and exit: 0 done, 1 broken, 2 input, 3 incomplete, 4 refused, 130 ^C."""
        argv = list(sys.argv[1:] if args is None else args)
        debug = "--debug" in argv
        if threading.current_thread() is threading.main_thread():
            # A scheduler's or an operator's "please stop" ends as ^C does: nothing is lost.
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            result = super().main(argv, standalone_mode=False, **extra)
            sys.exit(result if isinstance(result, int) else 0)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.ctx.get_help() if error.ctx else str(error), err=True)
            sys.exit(2)
        except click.ClickException as error:
            where = getattr(error, "ctx", None)
            remedy = f" Try '{where.command_path} --help'." if where is not None else ""
            _fail(error.format_message().rstrip(".") + "." + remedy, error.exit_code)
        except (KeyboardInterrupt, click.Abort):
            _fail("Interrupted.", INTERRUPTED)
        except Exception as error:
            if debug:
                raise
            if isinstance(error, CacoDataError):
                _fail(str(error), error.exit_code)
            if isinstance(error, BrokenPipeError):  # the reader of our stdout left: not our error
                sys.stderr.close()
                sys.exit(0)
            if isinstance(error, OSError):
                what = error.strerror or str(error)
                where = f" ({error.filename})" if error.filename else ""
                _fail(f"{what}{where}. Check the path, its permissions and the disk space.", 2)
            _fail(
                f"{type(error).__name__}: {error} (an error inside caco-data). "
                "Run again with 'caco-data --debug ...' and report the traceback.",
                1,
            )


@click.group(
    cls=CommandGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="caco-data")
@click.option("--config", metavar="FILE.toml", help="Settings by command; see samples/demo.toml.")
@click.option("--debug", is_flag=True, help="Show tracebacks and debug logs.")
@click.option("-q", "--quiet", is_flag=True, help="Only warnings and errors on stderr.")
@click.pass_context
def main(ctx: click.Context, config: str | None, debug: bool, quiet: bool) -> None:
    """Change-aware Sentinel-2 pretraining sets and encoders.

    \b
    caco-data sample --n 100k      draw locations near cities
    caco-data download             fetch multi-year, cloud-filtered stacks into shards
    caco-data train                change-aware contrastive pretraining on them
    """
    level = logging.DEBUG if debug else logging.WARNING if quiet else logging.INFO
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", force=True)
    logging.getLogger("caco_data").setLevel(level)
    logging.getLogger("google").setLevel(logging.ERROR)  # it looks for clouds we may not be in
    if config is not None:
        from .config import load

        ctx.default_map = load(config, main.commands.values())


def _add_commands() -> None:
    """Attach the commands; each module imports what is heavy inside its command's body."""
    from . import doctor, download, export_encoder, info, report, sample, train, verify

    for module in (sample, download, train, export_encoder, verify, info, report, doctor):
        main.add_command(module.command)


_add_commands()
