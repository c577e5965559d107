"""Earth Engine's REST API in small, on 127.0.0.1, for the unmodified client.

Speaks discovery, algorithms, listAssets (filter, view, paging) and getPixels (NPY), backed by any
`ImageSource`; things go wrong as a `FaultPlan` has it. By hand::

    python -m tests.support.earthengine --port 8080 --fault 429=0.05
    caco-data download --ee-url http://127.0.0.1:8080
    curl http://127.0.0.1:8080/counters

`PUT /faults` takes another plan as JSON, `DELETE /counters` begins to count anew.
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
from tests.support.earthengine.faults import FaultPlan, Faults, spoil
from tests.support.earthengine.http import HttpServer
from tests.support.earthengine.messages import Answer, ApiError, Request, bad_request, not_found

_NEEDS_TOKEN = ("algorithms", "listAssets", "getPixels")


class EarthEngineServer:
    """The server; as a context manager it serves from threads of this process.

    Parameters
    ----------
    source : ImageSource, optional
        Where the images come from; the simulated archive by default.
    plan : FaultPlan, optional
        What goes wrong; nothing by default. `plan` may be replaced at any time.
    port : int
        0 for a free one.
    latency_s : float
        Wait before each listing and each pixel request is answered.
    page_size : int
        Most entries on a page of a listing.
    gzip_answers : bool
        Compress answers for clients that accept it.
    require_token : bool
        Answer 401 without a bearer token of `POST /token`.
    """

    def __init__(
        self,
        source: ImageSource | None = None,
        plan: FaultPlan | None = None,
        *,
        port: int = 0,
        latency_s: float = 0.0,
        page_size: int = 1000,
        gzip_answers: bool = False,
        require_token: bool = False,
    ) -> None:
        self.counters = Counters()
        self.faults = Faults(plan or FaultPlan())
        self.latency_s = latency_s
        self.gzip_answers = gzip_answers
        self.require_token = require_token
        self._tokens = 0
        self._expired = 0
        self._api = Api(source or SimulatedSettings().open(), page_size)
        self._http = HttpServer(("127.0.0.1", port), self)
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    @property
    def plan(self) -> FaultPlan:
        """What goes wrong; a new plan knows nothing of earlier requests."""
        return self.faults.plan

    @plan.setter
    def plan(self, plan: FaultPlan) -> None:
        self.faults = Faults(plan)

    def __enter__(self) -> EarthEngineServer:
        """Begin to serve."""
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        """End serving: whoever still waits is hung up on."""
        self._http.shutdown()
        self._http.server_close()
        self._http.hang_up()

    def new_token(self) -> str:
        """Issue a bearer token, unlike any other word in a log."""
        self._tokens += 1
        return f"ya29.stand-in-token-{self._tokens}"

    def expire_tokens(self) -> None:
        """Make every token invalid that has been given so far."""
        self._expired = self._tokens

    def _authorised(self, request: Request) -> bool:
        if not self.require_token or request.kind not in _NEEDS_TOKEN:
            return True
        number = request.headers.get("authorization", "").removeprefix(
            "Bearer ya29.stand-in-token-"
        )
        return number.isdigit() and self._expired < int(number) <= self._tokens

    def answer(self, request: Request, in_flight: int) -> tuple[str, Answer]:
        """Answer a request; with the kind of fault, if any."""
        faults = self.faults
        fault = faults.verdict(request, in_flight)
        if not self._authorised(request):
            return "", spoil("401", faults.plan, request, lambda: Answer(b""))
        try:
            return fault, spoil(fault, faults.plan, request, lambda: self._good_answer(request))
        except ApiError as error:
            return fault, error.answer

    def _good_answer(self, request: Request) -> Answer:
        match request.kind:
            case "discovery":
                return Answer(discovery(self.url))
            case "algorithms":
                return Answer(algorithms())
            case "listAssets":
                return self._api.list_assets(request)
            case "getPixels":
                return self._api.get_pixels(request)
            case "token":
                token = {"access_token": self.new_token(), "expires_in": 3600}
                return Answer(json.dumps({**token, "token_type": "Bearer"}).encode())
        raise not_found(f"'{request.path}'")

    def control(self, method: str, target: str, body: bytes) -> Answer:
        """Answer at `/counters` and `/faults`, which belong to no API."""
        if method == "DELETE" and target == "/counters":
            self.counters.reset()
        if method == "PUT" and target == "/faults":
            try:
                self.plan = FaultPlan.from_json(body)
            except ValueError as error:
                return bad_request(str(error)).answer
        if target == "/counters":
            return Answer(json.dumps(self.counters.summary(), indent=2).encode() + b"\n")
        return Answer(self.plan.to_json().encode() + b"\n")


@contextmanager
def server_process(*options: str) -> Iterator[str]:
    """Serve from a process of its own, with options of the command line; gives the address."""
    command = [sys.executable, "-m", "tests.support.earthengine", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()
