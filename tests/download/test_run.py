"""Downloads on a Dask cluster: limits, interruptions, resuming to the same bytes."""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dask
import numpy as np
import psutil
import pytest
from distributed import Client, LocalCluster

from caco_data.dataset.reader import open_dataset
from caco_data.download.progress import DownloadProgress
from caco_data.download.run import download
from caco_data.download.settings import ClusterSettings, DownloadSettings
from caco_data.errors import InputError, RefusedError
from caco_data.grid import grid_footprint, patch_grid
from caco_data.sampling.location_files import read_locations
from caco_data.types import Location
from tests.conftest import Run
from tests.dataset.test_writer import contents
from tests.support.dask_cluster import external_cluster
from tests.support.failing_sources import CrashingSettings, FailingSettings
from tests.support.plain_source import FETCH, PlainSettings

CACO = [sys.executable, "-m", "caco_data.cli"]
N = 8
#: Limit on waiting for an event, seconds: generous, for busy machines.
WAIT_S = 120


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    path = tmp_path_factory.mktemp("locations") / "locations.parquet"
    assert run("sample", "--n", N, "--out", path).exit_code == 0
    return path


def command(table: Path, out: Path, *more: str) -> list[str]:
    return [
        *CACO, "download", "--source", "simulated", "--locations", str(table), "--out", str(out),
        "--locations-per-shard", "4", "--concurrency", "4", "--workers", "1", *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def whole(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A download without an interruption."""
    out = tmp_path_factory.mktemp("whole") / "dataset"
    options = ("--min-complete", "0.5", "--workers", "2")
    done = subprocess.run(command(table, out, *options), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{out}\n"
    return out


def test_a_downloaded_data_set_meets_the_settings(whole: Path, table: Path, run: Run) -> None:
    dataset = open_dataset(whole)
    counts = dataset.meta["counts"]
    assert counts["locations"] == N
    assert counts["complete"] + sum(counts["rejected"].values()) == N
    assert dataset.index["clear_fraction"].to_numpy().min() >= 0.9
    assert dataset.index["cloud_pct"].to_numpy().max() <= 20
    assert run("verify", whole).exit_code == 0
    assert read_locations(whole / "locations.parquet").location_id.tolist() == list(range(N))


def test_a_download_killed_several_times_resumes_to_the_same_bytes(
    whole: Path, table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "dataset"
    rng = random.Random(0)
    exit_codes = []

    def settled() -> int:
        parts = len(list(out.glob(".work/?????????.tar")))
        return parts + 4 * len(list(out.glob(".work/??????.parquet")))

    for target in (0, 1, 5, 8):
        process = subprocess.Popen(
            command(table, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None and settled() < target:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        exit_codes.append(process.wait())
    assert exit_codes[0] == -signal.SIGKILL  # on a busy machine, the later ones may end before
    done = subprocess.run(
        command(table, out, "--min-complete", "0.5"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert contents(out) == contents(whole)


def test_ctrl_c_exits_130_with_a_message_about_resuming(
    whole: Path, table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "dataset"
    process = subprocess.Popen(
        command(table, out), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + WAIT_S
    while not list(out.glob(".work/*.tar")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process of the group
    _, stderr = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130
    assert stderr.strip().startswith("error: Interrupted")
    assert "resume" in stderr
    assert "Traceback" not in stderr
    kept = {path.name for path in out.glob(".work/*.tar")}
    assert kept
    again = subprocess.run(
        command(table, out, "--min-complete", "0.5", "--json-log"), capture_output=True, text=True
    )
    assert again.returncode == 0
    last = json.loads([x for x in again.stderr.splitlines() if x.startswith("{")][-1])
    assert last["tiles"] <= 10 * (N - len(kept))
    assert contents(out) == contents(whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_the_workers_start_is_not_lost(
    table: Path, tmp_path: Path, number: signal.Signals
) -> None:
    process = subprocess.Popen(
        command(table, tmp_path / "d"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + WAIT_S
    while not psutil.Process(process.pid).children(recursive=True):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, number)
    _, stderr = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130
    assert "error: Interrupted" in stderr
    assert "Traceback" not in stderr


def test_a_finished_data_set_is_not_changed_and_other_settings_are_refused(
    whole: Path, table: Path, run: Run
) -> None:
    before = contents(whole)
    args = command(table, whole, "--min-complete", "0.5")[len(CACO) :]
    result = run(*args)
    assert result.exit_code == 0
    assert "nothing was left to do" in result.stderr
    result = run(*args, "--max-cloud", "30", "--gap-years", "3")
    assert result.exit_code == 2
    assert "--gap-years 4 -> 3" in result.stderr
    assert "--max-cloud 20.0 -> 30.0" in result.stderr
    assert contents(whole) == before


def plain(
    table: Path, out: Path, source: PlainSettings, cluster: ClusterSettings, fill: bool = False
) -> tuple[DownloadProgress, list[tuple[int, int]]]:
    """Download from `PlainSource`; final progress, and (settled, pending) at each callback."""
    seen: list[tuple[int, int]] = []
    settings = DownloadSettings(source, FETCH, locations_per_shard=5, fill=fill)
    result = download(
        settings,
        read_locations(table),
        str(out),
        cluster,
        lambda now: seen.append((now.settled, now.pending)),
    )
    return result, seen


TWO = ClusterSettings(concurrency=4, workers=2)


def test_any_fsspec_url_may_be_the_output(table: Path, tmp_path: Path) -> None:
    result, seen = plain(table, tmp_path / "local", PlainSettings(), TWO)
    assert result.done == N
    assert seen[0] == (0, N)
    assert seen[-1] == (N, 0)
    url = f"memory://{tmp_path.name}"
    settings = DownloadSettings(PlainSettings(), FETCH, locations_per_shard=5)
    download(settings, read_locations(table), url, TWO, lambda now: None)
    remote = open_dataset(url)
    assert remote.digest == open_dataset(tmp_path / "local").digest
    assert remote.read_member(3, "late").shape == (5, 3, 264, 264)


def test_a_refusal_keeps_finished_locations_and_other_settings_cannot_resume(
    table: Path, tmp_path: Path
) -> None:
    one = ClusterSettings(concurrency=1, workers=1)
    with pytest.raises(RefusedError, match="Quota exhausted"):
        plain(table, tmp_path / "d", PlainSettings(refused_after=40), one)
    assert len(list((tmp_path / "d/.work").glob("*.tar"))) == 3  # 12 requests each
    with pytest.raises(InputError, match="refused_after 40 -> None"):
        plain(table, tmp_path / "d", PlainSettings(), one)


def test_fill_draws_replacements_until_n_are_complete(table: Path, tmp_path: Path) -> None:
    rows = read_locations(table)
    first = Location(0, float(rows.longitude[0]), float(rows.latitude[0]), int(rows.utm_epsg[0]))
    source = PlainSettings(cloudy_locations=(patch_grid(first).left_m,))
    result, _ = plain(table, tmp_path / "d", source, TWO, fill=True)
    assert result.done == N
    assert result.rejected == {"too cloudy": 1}
    filled = read_locations(tmp_path / "d/locations.parquet")
    assert filled.location_id.tolist() == list(range(N + 1))
    assert open_dataset(tmp_path / "d").meta["counts"]["complete"] == N


@pytest.fixture
def scheduler() -> Iterator[str]:
    """Address of a running scheduler with one worker, which saves starting one per run."""
    with LocalCluster(
        n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address=None,
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"}, silence_logs=logging.CRITICAL,
    ) as cluster:  # fmt: skip
        yield cluster.scheduler_address


def test_fill_interrupted_at_any_location_resumes_to_the_same_bytes(
    table: Path, tmp_path: Path, scheduler: str
) -> None:
    rows = read_locations(table)
    grids = [
        patch_grid(Location(i, float(rows.longitude[i]), float(rows.latitude[i]),
                            int(rows.utm_epsg[i])))
        for i in (0, 4, 7)
    ]  # fmt: skip
    source = PlainSettings(cloudy_locations=tuple(grid.left_m for grid in grids))
    one = ClusterSettings(concurrency=1, scheduler=scheduler)
    plain(table, tmp_path / "whole", source, one, fill=True)
    settings = DownloadSettings(source, FETCH, locations_per_shard=5, fill=True)

    def stop(now: DownloadProgress) -> None:
        if now.settled == 2:  # two more locations per run, including the replacements
            raise KeyboardInterrupt

    runs = 0
    while True:
        runs += 1
        try:
            download(settings, rows, str(tmp_path / "again"), one, stop)
            break
        except KeyboardInterrupt:
            continue
    assert runs > 4
    assert contents(tmp_path / "again") == contents(tmp_path / "whole")
    with Client(scheduler, set_as_default=False) as client:
        (plugins,) = client.run(lambda dask_worker: list(dask_worker.plugins)).values()
    assert not [name for name in plugins if name.startswith("caco-data")]


def test_a_location_on_which_workers_crash_stays_pending_and_the_others_are_fetched(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = read_locations(table)
    at_3 = Location(3, float(rows.longitude[3]), float(rows.latitude[3]), int(rows.utm_epsg[3]))
    source = CrashingSettings(cloudy_locations=(patch_grid(at_3).left_m,))
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        one = ClusterSettings(concurrency=1, workers=1)
        result, _ = plain(table, tmp_path / "d", source, one)
    assert list(result.failed) == [3]
    assert "workers died" in result.failed[3]
    assert result.done == N - 1
    assert not result.rejected
    assert not result.finished


def test_download_on_an_existing_scheduler(
    table: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with external_cluster(tmp_path, (2, 2)) as existing:
        cluster = ClusterSettings(concurrency=5, scheduler=existing.address)
        result, _ = plain(table, tmp_path / "there", PlainSettings(), cluster)
    assert result.done == N
    assert "of 5 requests in flight" in caplog.text
    plain(table, tmp_path / "here", PlainSettings(), TWO)
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


def test_a_scheduler_that_does_not_answer_is_an_input_error(
    table: Path, run: Run, tmp_path: Path
) -> None:
    result = run(
        "download", "--source", "simulated", "--locations", table, "--out", tmp_path / "d",
        "--scheduler", "tcp://127.0.0.1:9",
    )  # fmt: skip
    assert result.exit_code == 2
    assert "tcp://127.0.0.1:9" in result.stderr


def test_too_few_complete_is_exit_code_3(table: Path, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "d"
    args = command(table, out, "--max-cloud", "2", "--min-clear", "0.99", "--no-fill")[len(CACO) :]
    result = run(*args)
    assert result.exit_code == 3
    assert f"of {N} locations are complete" in result.stderr
    assert "another --out" in result.stderr
    assert open_dataset(out).meta["counts"]["rejected"]
    assert run("verify", out).exit_code == 0


def test_rejected_locations_of_a_sampled_table_are_replaced_by_default(
    table: Path, run: Run, tmp_path: Path
) -> None:
    strict = ("--max-cloud", "3")
    result = run(*command(table, tmp_path / "d", *strict)[len(CACO) :])
    assert result.exit_code == 0, result.stderr
    counts = open_dataset(tmp_path / "d").meta["counts"]
    assert counts["complete"] == N
    assert counts["rejected"]
    more = read_locations(tmp_path / "d" / "locations.parquet")
    assert more.location_id.tolist() == list(range(counts["locations"]))
    assert run("verify", tmp_path / "d").exit_code == 0
    # A table of other points has no further rows.
    rows = read_locations(table)
    points = tmp_path / "points.csv"
    lines = zip(rows.longitude.tolist(), rows.latitude.tolist(), strict=True)
    points.write_text("longitude,latitude\n" + "".join(f"{x},{y}\n" for x, y in lines))
    few = run(*command(points, tmp_path / "e", *strict, "--min-complete", "0")[len(CACO) :])
    assert few.exit_code == 0, few.stderr
    assert open_dataset(tmp_path / "e").meta["counts"]["locations"] == N
    refused = run(*command(points, tmp_path / "f", "--fill")[len(CACO) :])
    assert refused.exit_code == 2
    assert "--no-fill" in refused.stderr


def test_without_any_complete_location_the_data_set_is_not_finished(
    table: Path, run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "d"
    for _ in range(2):
        result = run(*command(table, out, "--max-cloud", "0")[len(CACO) :])
        assert result.exit_code == 3
        assert f"0 of {N} locations are complete" in result.stderr
        assert not json.loads((out / "dataset.json").read_text())["complete"]


def test_a_failing_location_stays_pending_until_it_succeeds_or_is_given_up(
    table: Path, tmp_path: Path, scheduler: str
) -> None:
    rows = read_locations(table)
    bad = grid_footprint(patch_grid(next(rows.rows(np.array([4])))))
    failing = FailingSettings(failing_longitudes=(round(bad.longitudes[0], 6),))
    cluster = ClusterSettings(concurrency=2, scheduler=scheduler)
    for _ in range(2):
        result, _ = plain(table, tmp_path / "d", failing, cluster)
        assert result.failed == {4: "ZeroDivisionError: unforeseen"}
        assert (result.done, result.finished) == (N - 1, False)
    again, _ = plain(table, tmp_path / "d", FailingSettings(), cluster)
    assert (again.done, again.settled, again.finished) == (N, 1, True)
    plain(table, tmp_path / "whole", FailingSettings(), cluster)
    assert contents(tmp_path / "d") == contents(tmp_path / "whole")

    settings = DownloadSettings(failing, FETCH, locations_per_shard=5)
    done = download(settings, rows, str(tmp_path / "e"), cluster, lambda now: None, True)
    assert (done.done, done.rejected, done.finished) == (N - 1, {"unreadable scenes": 1}, True)


def test_missing_locations_are_an_input_error(run: Run, tmp_path: Path) -> None:
    result = run("download", "--source", "simulated", "--locations", tmp_path / "none.parquet")
    assert result.exit_code == 2
    assert "none.parquet" in result.stderr
