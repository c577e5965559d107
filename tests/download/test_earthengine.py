"""`caco-data download` from the Earth Engine test server, with workers and faults."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
from rasterio.io import MemoryFile

from caco_data.dataset.reader import open_dataset
from caco_data.download.periods import periods
from caco_data.download.settings import SceneSettings
from caco_data.grid import grid_footprint, patch_grid
from caco_data.sampling.location_files import read_locations
from caco_data.sentinel2 import RGB_BANDS
from caco_data.sources.simulated.settings import SimulatedSettings
from caco_data.types import Grid, Location
from tests.conftest import Run
from tests.support.dask_cluster import external_cluster
from tests.support.download_process import started
from tests.support.earthengine.faults import FaultPlan
from tests.support.earthengine.server import server_process

N = 6
#: Limit on waiting for a download, seconds: generous, for busy machines.
WAIT_S = 120


@pytest.fixture(scope="module")
def table(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("locations") / "locations.parquet"
    assert run("sample", "--n", N, "--seed", 4, "--out", out).exit_code == 0
    return out


def counters(url: str) -> Any:
    with urlopen(f"{url}/counters") as answer:
        return json.load(answer)


def put_plan(url: str, plan: FaultPlan) -> None:
    urlopen(Request(f"{url}/faults", plan.to_json().encode(), method="PUT")).close()


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "shards").iterdir())}


def download(run: Run, url: str, table: Path, out: Path, *options: object) -> Any:
    return run(
        "download", "--ee-url", url, "--locations", table, "--out", out, "--workers", 1,
        "--min-complete", 0, *options,
    )  # fmt: skip


def test_the_simulated_archive_gives_the_same_bytes_through_earth_engine(
    run: Run, table: Path, tmp_path: Path
) -> None:
    bands = ("--bands", "all", "--locations-per-shard", 4)
    with server_process("--page-size", "30", "--gzip") as url:
        result = download(run, url, table, tmp_path / "ee", *bands, "--workers", 2)
        assert result.exit_code == 0, result.stderr
        asked = counters(url)["requests"]
    options = ("--source", "simulated", "--locations", table, "--out", tmp_path / "simulated")
    result = run("download", *options, "--min-complete", 0, *bands)
    assert result.exit_code == 0, result.stderr
    assert len(shards(tmp_path / "ee")) == 2
    assert shards(tmp_path / "ee") == shards(tmp_path / "simulated")
    assert asked["algorithms"] == 3  # once as a check, and once per worker
    assert run("verify", tmp_path / "ee").exit_code == 0
    meta = open_dataset(tmp_path / "ee").meta
    assert meta["source"] == {
        "name": "earthengine", "collection": "COPERNICUS/S2_SR_HARMONIZED",
        "endpoint": "127.0.0.1",
    }  # fmt: skip


def test_tiles_are_georeferenced_to_the_pixel(run: Run, table: Path, tmp_path: Path) -> None:
    with server_process() as url:
        assert download(run, url, table, tmp_path / "d").exit_code == 0
    dataset = open_dataset(tmp_path / "d")
    archive = SimulatedSettings().open()
    rng = np.random.default_rng(0)
    rows = dataset.index.read().to_pylist()
    for row in rows[:: len(rows) // 4]:
        tile = dataset.read_member(row["location_id"], row["period"])[row["t"]]
        with MemoryFile() as file:
            profile = {"driver": "GTiff", "count": 3, "height": 264, "width": 264}
            place = {"crs": row["crs"], "transform": rasterio.Affine(*row["affine"][:6])}
            with file.open(**profile, **place, dtype="uint16") as written:
                written.write(tile)
            with file.open() as read:
                # A block of 60 m somewhere inside the tile, read by its coordinates.
                left = read.bounds.left + 60 * int(rng.integers(0, 43))
                top = read.bounds.top - 60 * int(rng.integers(0, 43))
                window = read.window(left, top - 60, left + 60, top)
                pixels = read.read(window=window)
                epsg = read.crs.to_epsg()
        footprint = grid_footprint(Grid(epsg, int(left), int(top), 6, 6))
        when = row["acquired"]
        scenes = archive.list_scenes(footprint, when, when.replace(year=when.year + 1))
        scene = next(s for s in scenes if s.image_id == row["image_id"])
        # The same block is the upper left corner of a patch read at its coordinates.
        own = archive.read_tile(scene, Grid(epsg, int(left), int(top)), RGB_BANDS)
        np.testing.assert_array_equal(pixels, own[:, :6, :6])


FLAT = ("--source", "flat")


@pytest.fixture(scope="module")
def whole(run: Run, table: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Shards of an undisturbed download from the flat source."""
    out = tmp_path_factory.mktemp("whole") / "d"
    with server_process(*FLAT) as url:
        result = download(run, url, table, out, "--locations-per-shard", 4)
    assert result.exit_code == 0, result.stderr
    return shards(out)


@pytest.mark.parametrize("workers", [2, 4])
def test_limits_apply_to_all_workers_together(
    run: Run, table: Path, tmp_path: Path, workers: int
) -> None:
    with server_process(*FLAT, "--latency-ms", "120") as url:
        limits = ("--concurrency", 7, "--requests-per-second", 40, "--workers", workers)
        result = download(run, url, table, tmp_path / "d", *limits)
        assert result.exit_code == 0, result.stderr
        seen = counters(url)
    assert seen["most_in_flight"] <= 7
    # 58 without the limit; requests arrive less evenly spaced than they are started.
    assert seen["highest_rate"] <= 48
    trial = 3  # two listings and a tile, before the workers start
    assert seen["requests"]["listAssets"] + seen["requests"]["getPixels"] == 12 * N + trial


def test_transient_faults_of_every_kind_do_not_change_the_data_set(
    run: Run, tmp_path: Path
) -> None:
    table = tmp_path / "locations.parquet"
    assert run("sample", "--n", 30, "--out", table).exit_code == 0
    rates = {"429": 0.06, "429_retry_after": 0.03, "500": 0.03, "503": 0.03, "drop": 0.03,
             "short_body": 0.03, "stall": 0.03}  # fmt: skip
    fast = ("--bands", "B2", "--requests-per-second", 2000, "--deadline", 1)
    with server_process(*FLAT) as url:
        calm = download(run, url, table, tmp_path / "calm", *fast)
        assert calm.exit_code == 0, calm.stderr
        put_plan(url, FaultPlan(rates, retry_after_s=0.2, stall_s=1.5))
        rough = download(run, url, table, tmp_path / "rough", *fast, "--workers", 2)
        assert rough.exit_code == 0, rough.stderr
        faults = counters(url)["faults"]
    assert set(faults) == set(rates)
    assert "429 x" in rough.stderr
    assert shards(tmp_path / "calm") == shards(tmp_path / "rough")


def test_throttling_is_answered_with_fewer_requests_in_flight(
    run: Run, table: Path, tmp_path: Path
) -> None:
    with server_process(*FLAT, "--latency-ms", "30", "--capacity", "4") as url:
        result = download(
            run, url, table, tmp_path / "d", "--concurrency", 16, "--requests-per-second", 2000
        )
        assert result.exit_code == 0, result.stderr
        seen = counters(url)
    assert open_dataset(tmp_path / "d").meta["counts"]["complete"] == N
    assert 0 < seen["faults"]["capacity"] < 12 * N  # less than one per request


def test_a_permanent_fault_rejects_that_location_only(
    run: Run, table: Path, tmp_path: Path
) -> None:
    rows = read_locations(table)
    victim = Location(2, float(rows.longitude[2]), float(rows.latitude[2]), int(rows.utm_epsg[2]))
    archive, patch = SimulatedSettings().open(), grid_footprint(patch_grid(victim))
    vanished = tuple(
        scene.image_id
        for period in periods(victim, SceneSettings(seed=4))
        for scene in archive.list_scenes(patch, period.start, period.end)
    )
    with server_process() as url:
        put_plan(url, FaultPlan(vanished=vanished))
        assert download(run, url, table, tmp_path / "d").exit_code == 0
    rejected = pq.read_table(tmp_path / "d" / "rejected.parquet").to_pylist()
    (row,) = [row for row in rejected if row["reason"] == "unreadable scenes"]
    assert row["location_id"] == 2
    assert "not found (does not exist" in row["detail"]  # the server's message


def test_an_exhausted_quota_stops_the_run_and_resuming_continues(
    run: Run, table: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    options = ("--locations-per-shard", 4, "--concurrency", 2, "--workers", 2)
    with server_process(*FLAT) as url:
        put_plan(url, FaultPlan(quota=40))
        stopped = download(run, url, table, tmp_path / "d", *options)
        assert stopped.exit_code == 4
        assert "EECU-hours per month" in stopped.stderr
        assert "Run the same command again" in stopped.stderr
        assert list((tmp_path / "d").rglob("0000*.tar"))
        put_plan(url, FaultPlan())
        before = counters(url)["requests"]["getPixels"]
        resumed = download(run, url, table, tmp_path / "d", *options)
        assert resumed.exit_code == 0, resumed.stderr
        assert counters(url)["requests"]["getPixels"] - before < 10 * N + 1
    assert shards(tmp_path / "d") == whole


def test_a_service_that_never_answers_stops_the_run(run: Run, table: Path, tmp_path: Path) -> None:
    with server_process(*FLAT, "--fault", "503=1") as url:
        result = download(run, url, table, tmp_path / "d", "--max-outage", 1)
    assert result.exit_code == 4
    assert "does not answer: 503" in result.stderr
    assert not (tmp_path / "d").exists()


def disturb(url: str, process: subprocess.Popen[str], fault: str, plan: FaultPlan) -> None:
    """Apply a plan until ten requests have failed; then the download must end without an error."""
    before = counters(url)["faults"].get(fault, 0)
    put_plan(url, plan)
    while counters(url)["faults"].get(fault, 0) < before + 10:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    put_plan(url, FaultPlan())
    _, stderr = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, stderr


def test_an_outage_only_delays_the_download(
    table: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    with (
        server_process(*FLAT) as url,
        started(url, table, tmp_path / "d", "--max-retries", "0") as process,
    ):
        disturb(url, process, "503", FaultPlan(outage="503"))
    assert shards(tmp_path / "d") == whole
    events = (tmp_path / "d" / "events.jsonl").read_text()
    assert '"event": "retries"' in events


def test_an_outage_that_is_too_long_leaves_the_locations_pending(
    table: Path, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "d"
    with server_process(*FLAT) as url:
        with started(url, table, out, "--max-outage", "2") as process:
            put_plan(url, FaultPlan(outage="503"))
            _, stderr = process.communicate(timeout=WAIT_S)
        assert process.returncode == 4, stderr
        assert "has not answered" in stderr
        assert "--max-outage" in stderr
        assert not list(out.rglob("*.rejected.json"))
        put_plan(url, FaultPlan())
        resumed = download(run, url, table, out, "--locations-per-shard", 4)
        assert resumed.exit_code == 0, resumed.stderr
    assert open_dataset(out).meta["counts"]["complete"] == N
    assert run("info", "--json", out).exit_code == 0
    assert json.loads(run("info", "--json", out).stdout)["events"]["outages"] == 1


def refusing(message: str, after: int) -> FaultPlan:
    return FaultPlan(refuse_pixels_after=after, refusal_status=400, refusal_message=message)


@pytest.mark.parametrize(
    "message",
    [
        "Total request size (65000000 bytes) must be less than or equal to 50331648 bytes.",
        "Words that nobody has foreseen.",
    ],
)
def test_a_service_that_refuses_all_tiles_stops_the_run_at_once(
    run: Run, table: Path, tmp_path: Path, message: str
) -> None:
    with server_process(*FLAT) as url:
        put_plan(url, refusing(message, after=0))
        first = download(run, url, table, tmp_path / "none")
        assert first.exit_code == 4
        assert message.rstrip(".") in first.stderr
        assert first.stderr.count("\n") == 1
        assert not (tmp_path / "none").exists()
        assert counters(url)["requests"]["getPixels"] <= 12


def test_a_service_that_begins_to_refuse_all_tiles_stops_the_run_and_rejects_nothing(
    run: Run, table: Path, tmp_path: Path
) -> None:
    message = "Words that nobody has foreseen"
    with server_process(*FLAT) as url:
        put_plan(url, refusing(message, after=35))  # after some complete locations
        stopped = download(run, url, table, tmp_path / "d", "--concurrency", 2)
        assert stopped.exit_code == 4, stopped.stderr
        assert message in stopped.stderr
        assert not list((tmp_path / "d").rglob("*.rejected.json"))
        put_plan(url, FaultPlan())
        resumed = download(run, url, table, tmp_path / "d")
        assert resumed.exit_code == 0, resumed.stderr
    assert open_dataset(tmp_path / "d").meta["counts"]["complete"] == N


def test_a_location_that_always_fails_is_named_and_stays_pending(
    run: Run, table: Path, tmp_path: Path
) -> None:
    rows = read_locations(table)
    at_1 = Location(1, float(rows.longitude[1]), float(rows.latitude[1]), int(rows.utm_epsg[1]))
    grid = patch_grid(at_1)
    with server_process(*FLAT) as url:
        put_plan(url, FaultPlan(always={f'"translateX": {float(grid.left_m)}': "503"}))
        options = ("--max-retries", 1, "--concurrency", 4)
        result = download(run, url, table, tmp_path / "d", *options)
        assert result.exit_code == 3
        assert f"1 of {N} locations are still to be fetched" in result.stderr
        assert "503" in result.stderr
        assert "--reject-failing" in result.stderr
        given_up = download(run, url, table, tmp_path / "d", *options, "--reject-failing")
        assert given_up.exit_code == 0, given_up.stderr
    counts = open_dataset(tmp_path / "d").meta["counts"]
    assert counts["complete"] == N
    assert counts["rejected"] == {"unreadable scenes": 1}


def test_a_login_page_is_an_input_error_at_the_start_only(
    run: Run, table: Path, tmp_path: Path
) -> None:
    fault = "302"
    everything = ("discovery", "algorithms", "listAssets", "getPixels")
    with server_process(*FLAT) as url:
        put_plan(url, FaultPlan({fault: 1.0}, applies_to=everything))
        result = download(run, url, table, tmp_path / "d", "--max-outage", 0)
        assert result.exit_code == 2
        assert "--ee-url" in result.stderr
        put_plan(url, FaultPlan())
        with started(url, table, tmp_path / "d") as process:
            disturb(url, process, fault, FaultPlan({fault: 1.0}, applies_to=everything))
    assert open_dataset(tmp_path / "d").meta["counts"]["complete"] == N


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--ee-url", "http://127.0.0.1:9", "--max-outage", "0"), 4, "does not answer"),
        (("--ee-url", "nonsense"), 2, "--ee-url"),
        (("--service-account", "none.json"), 2, "none.json"),
    ],
)
def test_nothing_is_written_when_the_service_cannot_be_opened(
    run: Run, table: Path, tmp_path: Path, options: tuple[str, ...], code: int, words: str
) -> None:
    result = run("download", "--locations", table, "--out", tmp_path / "d", *options)
    assert result.exit_code == code
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "d").exists()


def test_download_on_an_existing_scheduler(
    run: Run, table: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    with external_cluster(tmp_path, (4, 4)) as existing, server_process(*FLAT) as url:
        limits = (
            "--scheduler", existing.address, "--concurrency", 6, "--locations-per-shard", 4,
        )  # fmt: skip
        result = download(run, url, table, tmp_path / "there", *limits)
        assert result.exit_code == 0, result.stderr
        seen = counters(url)
        assert seen["most_in_flight"] <= 6
        # Once as a trial, and once in each worker; the second one may connect too late.
        assert seen["requests"]["algorithms"] in (2, 3)
    assert shards(tmp_path / "there") == whole


def test_a_dry_run_prints_the_plan_and_makes_no_request(
    run: Run, table: Path, tmp_path: Path
) -> None:
    options = ("--locations", table, "--out", tmp_path / "d", "--ee-url", "http://127.0.0.1:9")
    result = run("download", "--dry-run", *options)
    assert result.exit_code == 0
    assert f"at least {12 * N}" in result.stdout
    assert "if each request takes 1 s" in result.stdout
    assert not (tmp_path / "d").exists()


def test_the_estimate_of_a_large_run_is_printed_before_it_starts(run: Run, tmp_path: Path) -> None:
    big = tmp_path / "big.parquet"
    assert run("sample", "--n", "2k", "--out", big).exit_code == 0
    options = ("--locations", big, "--out", tmp_path / "d", "--ee-url", "http://127.0.0.1:9")
    result = run("download", *options, "--max-outage", 0)
    assert result.exit_code == 4
    assert "about 25,000 requests" in result.stderr
