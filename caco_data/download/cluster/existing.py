"""Connection to an existing Dask cluster."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distributed import Client, Security

from caco_data.download.settings import ClusterSettings
from caco_data.errors import InputError

_log = logging.getLogger(__name__)
#: Time for the connection to the scheduler, in Dask's notation.
_TIMEOUT = "5s"


@contextmanager
def existing_cluster(settings: ClusterSettings) -> Iterator[Client]:
    """Connect to an existing scheduler.

    Raises
    ------
    InputError
        When `settings.scheduler` is neither an address nor a scheduler file, or nothing answers.
    """
    address = scheduler_address(settings.scheduler or "")
    secure = address.startswith("tls://")
    if secure and Security().get_connection_args("client").get("ssl_context") is None:
        raise InputError(
            "Dask has no certificates for TLS",
            address,
            "Set distributed.comm.tls in Dask's configuration (docs/clusters.md)",
        )
    try:
        # The certificates of tls:// are those of Dask's configuration (distributed.comm.tls).
        client = Client(address, timeout=_TIMEOUT, set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"No Dask scheduler answers: {str(error).splitlines()[0]}",
            address,
            "Check the address" + " and distributed.comm.tls in Dask's configuration" * secure,
        ) from error
    with client:
        if not secure:
            _log.warning(
                "%s: not encrypted and without authentication; whoever can connect to it can run "
                "code as the owner of the workers (docs/clusters.md)",
                address,
            )
        yield client


def scheduler_address(scheduler: str) -> str:
    """Address of a scheduler: itself, or as stored in a scheduler file.

    Parameters
    ----------
    scheduler : str
        `PROTOCOL://HOST:PORT`, or the path of a file that `dask scheduler --scheduler-file` wrote.

    Raises
    ------
    InputError
        For anything else.
    """
    found = scheduler
    path = Path(scheduler)
    if path.is_file():
        try:
            found = str(json.loads(path.read_bytes())["address"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                "Not a scheduler file of Dask", scheduler, "Pass the file of --scheduler-file"
            ) from error
    # Dask's client ends with a traceback for an address without a port.
    if not re.fullmatch(r"((tcp|tls)://)?[^\s/]+:\d+/?", found):
        raise InputError(
            "Neither the address of a Dask scheduler nor a scheduler file",
            f"--scheduler {scheduler}",
            "Pass tcp://HOST:8786, tls://HOST:8786 or the path of the file",
        )
    return found
