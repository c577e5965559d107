"""Run the STAC test server: `python -m tests.support.stac_server --port 8081`."""

from __future__ import annotations

import argparse
import signal
from contextlib import suppress

from caco_data.sources.simulated.settings import SimulatedSettings
from tests.support.stac_server.catalogue import earth_search, planetary_computer
from tests.support.stac_server.server import StacServer

_STYLES = {"earth-search": earth_search, "planetary-computer": planetary_computer}


def _main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.stac_server",
        description="STAC test server: a STAC API and GeoTIFFs of the simulated archive.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=8081, help="0 for any free port")
    parser.add_argument("--seed", type=int, default=0, help="seed of the archive")
    parser.add_argument("--style", choices=list(_STYLES), default="earth-search")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="delay of each response")
    parser.add_argument("--page-size", type=int, default=100, help="maximum items per page")
    parser.add_argument("--block", type=int, default=512, help="side of the files' blocks, pixels")
    args = parser.parse_args()
    server = StacServer(
        SimulatedSettings(args.seed).open(),
        _STYLES[args.style],
        port=args.port,
        latency_s=args.latency_ms / 1000,
        page_size=args.page_size,
        block=args.block,
    )
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), server:
        print(f"STAC test server listening on {server.url}", flush=True)
        signal.pause()


_main()
