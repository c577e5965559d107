"""The local cluster: nobody else on this machine can connect to it."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import dask
import psutil
import pytest
from distributed import Client

from caco_data.download.cluster import connect
from caco_data.download.settings import ClusterSettings
from tests.support.plain_source import FETCH, PlainSettings, locations


def listening() -> set[int]:
    """Ports on which this process and its children listen."""
    here = psutil.Process()
    return {
        found.laddr.port
        for process in (here, *here.children(recursive=True))
        for found in process.net_connections()
        if found.status == psutil.CONN_LISTEN
    }


def test_a_stranger_cannot_connect_to_the_local_cluster() -> None:
    before = listening()
    with connect(ClusterSettings(concurrency=2, workers=1), PlainSettings(), FETCH) as workers:
        (outcome,) = filter(None, workers.outcomes(locations(1), None))
        assert isinstance(outcome.part, bytes)
        (worker,) = workers.addresses
        assert worker.startswith("tls://127.0.0.1:")
        with pytest.raises(OSError, match=r"."):
            Client(f"tcp://127.0.0.1:{urlsplit(worker).port}", timeout=2, set_as_default=False)
        for port in listening() - before:
            # No server responds to plain HTTP.
            with closing(socket.create_connection(("127.0.0.1", port), 10)) as stranger:
                stranger.settimeout(10)
                try:
                    stranger.sendall(b"GET /health HTTP/1.0\r\n\r\n")
                    answer = stranger.recv(100)
                except OSError:
                    answer = b""
                assert not answer.startswith(b"HTTP"), port


def test_a_worker_given_up_by_the_cluster_is_started_again() -> None:
    one = ClusterSettings(concurrency=2, workers=1)
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "0.1s"}),
        connect(one, PlainSettings(), FETCH) as workers,
    ):
        (lost,) = workers.addresses
        cluster: Any = workers._client.cluster
        cluster.sync(cluster.workers[0].close)
        (outcome,) = filter(None, workers.outcomes(locations(1), None))
        assert isinstance(outcome.part, bytes)
        assert workers.addresses != (lost,)
