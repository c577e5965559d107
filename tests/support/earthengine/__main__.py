"""Run the Earth Engine test server: `python -m tests.support.earthengine --port 8080`."""

from __future__ import annotations

import argparse
import signal
from contextlib import suppress

from caco_data.sources.simulated.settings import SimulatedSettings
from tests.support.earthengine.faults import FaultPlan
from tests.support.earthengine.server import EarthEngineServer
from tests.support.flat_source import FlatSource


def _rate(text: str) -> tuple[str, float]:
    kind, _, rate = text.partition("=")
    return kind, float(rate)


def _main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.earthengine",
        description="Earth Engine test server: a small part of its REST API on this machine.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=8080, help="0 for any free port")
    parser.add_argument(
        "--source", choices=("simulated", "flat"), default="simulated", help="source of the images"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the archive and the faults")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="delay of each response")
    parser.add_argument("--page-size", type=int, default=1000, help="maximum entries per page")
    parser.add_argument(
        "--fault", type=_rate, action="append", default=[], metavar="KIND=RATE",
        help="fraction of requests with a fault; repeatable; see KINDS in faults.py",
    )  # fmt: skip
    parser.add_argument("--capacity", type=int, help="429 with more requests in flight")
    parser.add_argument("--quota", type=int, help="429 after this many requests")
    parser.add_argument(
        "--refuse-pixels-after", type=int, metavar="N", help="refuse pixel requests after N"
    )
    parser.add_argument("--refusal-status", type=int, default=FaultPlan.refusal_status)
    parser.add_argument("--refusal-message", default=FaultPlan.refusal_message)
    parser.add_argument("--stall-s", type=float, default=5.0, help="duration of stalls and drips")
    parser.add_argument("--gzip", action="store_true", help="compress responses")
    parser.add_argument("--require-token", action="store_true", help="401 without a token")
    args = parser.parse_args()
    try:
        plan = FaultPlan(
            dict(args.fault), args.seed, capacity=args.capacity, quota=args.quota,
            refuse_pixels_after=args.refuse_pixels_after, refusal_status=args.refusal_status,
            refusal_message=args.refusal_message, stall_s=args.stall_s,
        )  # fmt: skip
    except ValueError as error:
        parser.error(str(error))
    flat = args.source == "flat"
    server = EarthEngineServer(
        FlatSource() if flat else SimulatedSettings(args.seed).open(),
        plan,
        port=args.port,
        latency_s=args.latency_ms / 1000,
        page_size=args.page_size,
        gzip_responses=args.gzip,
        require_token=args.require_token,
    )
    # A shell starts background jobs with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), server:
        print(f"Earth Engine test server listening on {server.url}", flush=True)
        signal.pause()


_main()
