"""Test server for the unmodified Earth Engine client: a small part of its REST API on 127.0.0.1.

Implements discovery, algorithms, listAssets (filter, view, paging) and getPixels (NPY) for any
`ImageSource`, with faults according to a `FaultPlan`. On the command line::

    python -m tests.support.earthengine --port 8080 --fault 429=0.05
    caco-data download --ee-url http://127.0.0.1:8080
    curl http://127.0.0.1:8080/counters

`PUT /faults` replaces the plan by another one in JSON, `DELETE /counters` sets the counts to zero.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from caco_data.sources.base import ImageSource
from caco_data.sources.simulated.settings import SimulatedSettings
from tests.support.earthengine.api import Api, algorithms, discovery
from tests.support.earthengine.counters import Counters
from tests.support.earthengine.faults import FaultPlan, Faults
from tests.support.earthengine.faulty import faulty_response
from tests.support.earthengine.http import HttpServer
from tests.support.earthengine.messages import ApiError, Request, Response, bad_request, not_found

_NEEDS_TOKEN = ("algorithms", "listAssets", "getPixels")


class EarthEngineServer:
    """The server; as a context manager it runs in threads of this process.

    Parameters
    ----------
    source : ImageSource, optional
        Source of the images; the simulated archive by default.
    plan : FaultPlan, optional
        Faults; none by default. `plan` may be replaced at any time.
    port : int
        0 for any free port.
    latency_s : float
        Delay before the response to each listing and pixel request, seconds.
    page_size : int
        Maximum number of entries on a page of a listing.
    gzip_responses : bool
        Compress responses for clients that accept it.
    require_token : bool
        Respond 401 to requests without a bearer token from `POST /token`.
    """

    def __init__(
        self,
        source: ImageSource | None = None,
        plan: FaultPlan | None = None,
        *,
        port: int = 0,
        latency_s: float = 0.0,
        page_size: int = 1000,
        gzip_responses: bool = False,
        require_token: bool = False,
    ) -> None:
        self.counters = Counters()
        self.faults = Faults(plan or FaultPlan())
        self.latency_s = latency_s
        self.gzip_responses = gzip_responses
        self.require_token = require_token
        self._tokens = 0
        self._expired = 0
        self._api = Api(source or SimulatedSettings().open(), page_size)
        self._http = HttpServer(("127.0.0.1", port), self)
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    @property
    def plan(self) -> FaultPlan:
        """Faults; a new plan starts to count attempts at zero."""
        return self.faults.plan

    @plan.setter
    def plan(self, plan: FaultPlan) -> None:
        self.faults = Faults(plan)

    def __enter__(self) -> EarthEngineServer:
        """Start serving."""
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop serving and close all connections."""
        self._http.shutdown()
        self._http.server_close()
        self._http.hang_up()

    def new_token(self) -> str:
        """Issue a bearer token that can be recognised in logs."""
        self._tokens += 1
        return f"ya29.test-token-{self._tokens}"

    def expire_tokens(self) -> None:
        """Invalidate all tokens issued so far."""
        self._expired = self._tokens

    def _authorised(self, request: Request) -> bool:
        if not self.require_token or request.kind not in _NEEDS_TOKEN:
            return True
        number = request.headers.get("authorization", "").removeprefix("Bearer ya29.test-token-")
        return number.isdigit() and self._expired < int(number) <= self._tokens

    def response(self, request: Request, in_flight: int) -> tuple[str, Response]:
        """Return the fault of a request, or an empty string, and the response."""
        faults = self.faults
        fault = faults.fault_of(request, in_flight)
        if not self._authorised(request) and not faults.plan.outage:
            return "", faulty_response("401", faults.plan, request, lambda: Response(b""))
        try:
            return fault, faulty_response(
                fault, faults.plan, request, lambda: self._correct_response(request)
            )
        except ApiError as error:
            return fault, error.response

    def _correct_response(self, request: Request) -> Response:
        match request.kind:
            case "discovery":
                return Response(discovery(self.url))
            case "algorithms":
                return Response(algorithms())
            case "listAssets":
                return self._api.list_assets(request)
            case "getPixels":
                return self._api.get_pixels(request)
            case "token":
                token = {"access_token": self.new_token(), "expires_in": 3600}
                return Response(json.dumps({**token, "token_type": "Bearer"}).encode())
        raise not_found(f"'{request.path}'")

    def control(self, method: str, target: str, body: bytes) -> Response:
        """Return the response for `/counters` and `/faults`, which are not part of the API."""
        if method == "DELETE" and target == "/counters":
            self.counters.reset()
        if method == "PUT" and target == "/faults":
            try:
                self.plan = FaultPlan.from_json(body)
            except ValueError as error:
                return bad_request(str(error)).response
        if target == "/counters":
            return Response(json.dumps(self.counters.summary(), indent=2).encode() + b"\n")
        return Response(self.plan.to_json().encode() + b"\n")


@contextmanager
def server_process(*options: str) -> Iterator[str]:
    """Run the server in another process with command-line options; yields its address."""
    command = [sys.executable, "-m", "tests.support.earthengine", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()
