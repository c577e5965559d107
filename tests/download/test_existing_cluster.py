"""Downloads on a cluster that exists: its workers come, go, and may have other software."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import dask
import pytest
from distributed import Security

from caco_data.download.cluster import existing
from caco_data.download.cluster.existing import scheduler_address
from caco_data.download.progress import DownloadProgress
from caco_data.download.run import download
from caco_data.download.settings import ClusterSettings, DownloadSettings
from caco_data.errors import InputError, RefusedError
from caco_data.sampling.location_files import read_locations
from caco_data.sources.retry import RetryPolicy
from tests.conftest import Run
from tests.support import ROOT
from tests.support.dask_cluster import WITHOUT_PACKAGE, DaskCluster, external_cluster
from tests.support.failing_sources import GatedSettings
from tests.support.plain_source import FETCH, PlainSettings

N = 12
SETTINGS = DownloadSettings(PlainSettings(), FETCH, locations_per_shard=5)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    path = tmp_path_factory.mktemp("locations") / "locations.parquet"
    assert run("sample", "--n", N, "--out", path).exit_code == 0
    return path


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    """A scheduler without workers."""
    with external_cluster(tmp_path, ()) as empty:
        yield empty


@pytest.fixture
def other_code(tmp_path: Path) -> Path:
    """A folder with a package that differs in a comment."""
    shutil.copytree(ROOT / "caco_data", tmp_path / "other" / "caco_data")
    with (tmp_path / "other" / "caco_data" / "grid.py").open("a") as file:
        file.write("# other\n")
    return tmp_path / "other"


def fetch(
    cluster: DaskCluster, table: Path, out: Path,
    on_progress: Callable[[DownloadProgress], None] = lambda now: None, max_outage_s: float = 60.0,
) -> DownloadProgress:  # fmt: skip
    retry = RetryPolicy(max_outage_s=max_outage_s)
    settings = ClusterSettings(concurrency=2, scheduler=cluster.address, retry=retry)
    return download(SETTINGS, read_locations(table), str(out), settings, on_progress)


def test_without_workers_the_run_ends_after_max_outage(
    cluster: DaskCluster, table: Path, run: Run, tmp_path: Path
) -> None:
    result = run(
        "download", "--source", "simulated", "--locations", table, "--out", tmp_path / "d",
        "--scheduler", cluster.file, "--max-outage", "0.5",
    )  # fmt: skip
    assert result.exit_code == 4
    assert "No worker has been available for" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "d").exists()


def test_a_worker_without_the_package_is_named(
    cluster: DaskCluster, table: Path, tmp_path: Path
) -> None:
    cluster.add_worker(1, before=WITHOUT_PACKAGE)
    with pytest.raises(RefusedError, match=r"Worker tcp://.*caco-data is not installed there"):
        fetch(cluster, table, tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_a_worker_with_other_code_is_named(
    cluster: DaskCluster, table: Path, tmp_path: Path, other_code: Path
) -> None:
    cluster.add_worker(1, package=other_code)
    with pytest.raises(RefusedError, match=r"source \w{12}\) is installed there, and .* here"):
        fetch(cluster, table, tmp_path / "d")


def test_workers_may_be_lost_and_replaced_but_not_by_other_code(
    cluster: DaskCluster, table: Path, tmp_path: Path, other_code: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    cluster.add_worker(1)
    done: set[str] = set()
    used: set[str] = set()

    def once(step: str) -> bool:
        new = step not in done
        done.add(step)
        return new

    def disturb(now: DownloadProgress) -> None:
        used.update(now.workers)
        if now.settled == 2 and once("other code"):
            cluster.add_worker(1, package=other_code)
        elif now.settled == 4 and once("all killed"):
            cluster.kill_workers()
            cluster.add_worker(1)

    result = fetch(cluster, table, tmp_path / "d", disturb)
    assert (result.done, result.finished) == (N, True)
    assert done == {"other code", "all killed"}
    assert len(used) == 2
    assert "is lost" in caplog.text
    assert "without authentication" in caplog.text


def test_a_worker_with_other_code_that_joins_later_is_not_used(
    cluster: DaskCluster, table: Path, tmp_path: Path, other_code: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    cluster.add_worker(1)
    gate = tmp_path / "gate"
    gate.touch()
    used: set[str] = set()

    def on_progress(now: DownloadProgress) -> None:
        used.update(now.workers)
        if now.settled == 2 and len(cluster.workers) == 1:
            gate.unlink()
            cluster.add_worker(1, package=other_code)
        if "is not used" in caplog.text:
            gate.touch()

    settings = replace(SETTINGS, source=GatedSettings(gate=str(gate)))
    one = ClusterSettings(concurrency=1, scheduler=cluster.address)
    result = download(settings, read_locations(table), str(tmp_path / "d"), one, on_progress)
    assert result.done == N
    assert len(used) == 1


def test_a_scheduler_with_tls_and_a_scheduler_file(
    table: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    temporary = Security.temporary()
    files = {}
    for name, text in (
        ("ca", temporary.tls_ca_file),
        ("cert", temporary.tls_client_cert),
        ("key", temporary.tls_client_key),
    ):
        files[name] = tmp_path / f"{name}.pem"
        files[name].write_text(text)
    options = (
        "--protocol", "tls", "--host", "127.0.0.1", "--tls-ca-file", str(files["ca"]),
        "--tls-cert", str(files["cert"]), "--tls-key", str(files["key"]),
    )  # fmt: skip
    one = ClusterSettings(concurrency=2, scheduler=str(tmp_path / "scheduler.json"))
    rows = read_locations(table)
    with external_cluster(tmp_path, (1,), options) as secured:
        assert secured.address.startswith("tls://")
        with pytest.raises(InputError, match=r"distributed\.comm\.tls"):
            download(SETTINGS, rows, str(tmp_path / "d"), one, lambda now: None)
        settings = ("ca-file", "ca"), ("client.cert", "cert"), ("client.key", "key")
        tls = {f"distributed.comm.tls.{key}": str(files[name]) for key, name in settings}
        with dask.config.set(tls):
            result = download(SETTINGS, rows, str(tmp_path / "d"), one, lambda now: None)
    assert result.done == N
    assert "without authentication" not in caplog.text


@pytest.mark.parametrize("content", ["", "[]", '{"address": null}', "tcp://127.0.0.1:8786"])
def test_anything_but_an_address_or_a_scheduler_file_is_an_input_error(
    content: str, tmp_path: Path
) -> None:
    file = tmp_path / "scheduler.json"
    file.write_text(content)
    with pytest.raises(InputError, match=r"scheduler file"):
        scheduler_address(str(file))
    for word in ("", "localhost", "tcp://localhost", str(tmp_path / "missing.json")):
        with pytest.raises(InputError, match=r"tcp://HOST:8786"):
            scheduler_address(word)
    assert scheduler_address("tls://host:8786") == "tls://host:8786"
    assert existing.scheduler_address("host:1") == "host:1"
