"""Every fault of the test server, as an error or a result of the Earth Engine source."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from caco_data.errors import InputError, PermanentError, RefusedError, TransientError
from caco_data.sources.earthengine.settings import EarthEngineSettings
from caco_data.sources.limiter import Limiter, RateShare
from caco_data.sources.simulated.settings import SimulatedSettings
from tests.support.earthengine.client import (
    GRID,
    failure_of_listing,
    failure_of_opening,
    failure_of_tile,
    opened,
    scenes_at,
)
from tests.support.earthengine.faults import FaultPlan
from tests.support.earthengine.requests import ask
from tests.support.earthengine.server import EarthEngineServer

ARCHIVE = SimulatedSettings().open()
SCENE = scenes_at(ARCHIVE)[0]


@pytest.fixture
def server() -> Iterator[EarthEngineServer]:
    with EarthEngineServer(ARCHIVE) as running:
        yield running


def certain(kind: str) -> FaultPlan:
    return FaultPlan({kind: 1.0}, applies_to=("discovery", "algorithms", "listAssets", "getPixels"))


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        ("302", "redirection to another server"),
        ("407", "login required by a proxy"),
        ("html", "web page instead of data"),
        ("html_404", "web page instead of data"),
    ],
)
def test_other_servers_are_transient_and_named(
    server: EarthEngineServer, fault: str, what: str
) -> None:
    for error in (
        failure_of_tile(server, certain(fault), SCENE),
        failure_of_opening(server.url),  # the fault is still there
    ):
        assert isinstance(error, TransientError)
        assert (error.what, error.intercepted) == (what, True)
        assert "--ee-url" in error.remedy
    server.plan = FaultPlan()
    error = failure_of_listing(server, certain(fault))
    assert isinstance(error, TransientError)
    assert error.intercepted


def test_a_redirection_names_its_target(server: EarthEngineServer) -> None:
    assert "login.example.net" in str(failure_of_tile(server, certain("302"), SCENE))


@pytest.mark.parametrize("fault", ["400_timed_out", "400_capacity", "400_internal"])
def test_temporary_failures_with_status_400_are_transient(
    server: EarthEngineServer, fault: str
) -> None:
    error = failure_of_tile(server, certain(fault), SCENE)
    assert isinstance(error, TransientError)
    assert not error.uncertain
    assert not error.throttled


def test_unknown_words_are_uncertain(server: EarthEngineServer) -> None:
    error = failure_of_tile(server, certain("400_unknown"), SCENE)
    assert isinstance(error, TransientError)
    assert error.uncertain
    assert str(error) == "Earth Engine: Request contains an invalid argument (HTTP 400)."


@pytest.mark.parametrize("fault", ["400_missing_band", "413"])
def test_missing_bands_and_large_requests_are_permanent(
    server: EarthEngineServer, fault: str
) -> None:
    assert isinstance(failure_of_tile(server, certain(fault), SCENE), PermanentError)


def test_only_the_quota_of_a_day_or_month_ends_the_run(server: EarthEngineServer) -> None:
    spent = failure_of_tile(server, certain("429_daily"), SCENE)
    assert isinstance(spent, RefusedError)
    assert "daily_eecu_usage_time" in str(spent)
    server.plan = FaultPlan()
    concurrent = failure_of_tile(server, certain("429_concurrent"), SCENE)
    assert isinstance(concurrent, TransientError)
    assert concurrent.throttled


def test_refusal_of_all_pixels_after_some(server: EarthEngineServer) -> None:
    source = opened(server)
    server.plan = FaultPlan(refuse_pixels_after=2)
    for _ in range(2):
        source.read_tile(SCENE, GRID, ["B4"])
    with pytest.raises(PermanentError, match="must be less than or equal to 50331648 bytes"):
        source.read_tile(SCENE, GRID, ["B4"])
    assert scenes_at(source)
    server.plan = FaultPlan(refuse_pixels_after=0, refusal_status=404, refusal_message="gone")
    with pytest.raises(PermanentError, match=r"gone \(HTTP 404\)"):
        source.read_tile(SCENE, GRID, ["B4"])


@pytest.mark.parametrize("kind", ["503", "drop"])
def test_an_outage_can_be_turned_on_and_off(server: EarthEngineServer, kind: str) -> None:
    source = opened(server)
    assert ask(server.url, "PUT", "/faults", f'{{"outage": "{kind}"}}'.encode())[0] == 200
    with pytest.raises(TransientError):
        source.read_tile(SCENE, GRID, ["B4"])
    with pytest.raises(TransientError):
        scenes_at(source)
    assert isinstance(failure_of_opening(server.url), TransientError)
    ask(server.url, "PUT", "/faults", b"{}")
    assert scenes_at(opened(server))


@pytest.mark.parametrize("fault", ["no_content", "json_list", "json_other", "truncated_npy"])
def test_listings_that_are_not_the_services(server: EarthEngineServer, fault: str) -> None:
    error = failure_of_listing(server, certain(fault))
    assert isinstance(error, TransientError)
    assert error.what == "corrupt body"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("no_bands", "entries has the expected fields"),
        ("repeated_token", "earlier"),
        ("endless_pages", "more than 20 pages"),
    ],
)
def test_listings_that_cannot_be_read(server: EarthEngineServer, fault: str, words: str) -> None:
    error = failure_of_listing(server, certain(fault))
    assert isinstance(error, TransientError)
    assert error.uncertain
    assert "Cannot read the listing" in error.what
    assert words in error.what


@pytest.mark.parametrize("fault", ["two_vertices", "no_area", "infinite_vertex", "nan_clouds"])
def test_invalid_entries_are_skipped(server: EarthEngineServer, fault: str) -> None:
    source = opened(server)
    server.plan = certain(fault)
    assert scenes_at(source) == scenes_at(ARCHIVE)[1:]


@pytest.mark.parametrize("fault", ["third_coordinate", "no_zone", "other_zone"])
def test_other_valid_entries_are_read(server: EarthEngineServer, fault: str) -> None:
    source = opened(server)
    server.plan = certain(fault)
    assert scenes_at(source) == scenes_at(ARCHIVE)


def test_self_crossing_footprints_are_read(server: EarthEngineServer) -> None:
    source = opened(server)
    server.plan = certain("self_crossing")
    found = scenes_at(source)
    assert [s.image_id for s in found] in (
        [s.image_id for s in scenes_at(ARCHIVE)],
        [s.image_id for s in scenes_at(ARCHIVE)[1:]],  # the two halves have the same area
    )


@pytest.mark.parametrize("fault", ["npy_version_2", "npy_version_3", "int32_band", "fortran_order"])
def test_other_arrays_with_the_same_pixels_are_read(server: EarthEngineServer, fault: str) -> None:
    source = opened(server)
    server.plan = certain(fault)
    np.testing.assert_array_equal(
        source.read_tile(SCENE, GRID, ["B4", "SCL"]), ARCHIVE.read_tile(SCENE, GRID, ["B4", "SCL"])
    )


def test_unusable_arrays(server: EarthEngineServer) -> None:
    error = failure_of_tile(server, certain("npy_magic"), SCENE)
    assert isinstance(error, TransientError)
    assert error.what == "corrupt body"
    for fault, words in (("float_band", "float64"), ("above_uint16", "65536")):
        server.plan = FaultPlan()
        error = failure_of_tile(server, certain(fault), SCENE)
        assert isinstance(error, PermanentError)
        assert words in str(error)


def test_data_types_of_pixels(server: EarthEngineServer) -> None:
    source = opened(server)
    small = replace(GRID, width_px=6, height_px=6)
    assert source.pixel_types(SCENE, small, ["B4", "SCL"]) == {"B4": "uint16", "SCL": "uint8"}
    server.plan = certain("int32_band")
    assert source.pixel_types(SCENE, small, ["SCL"]) == {"SCL": "int32"}


def test_restricted_parallelism_is_recorded_without_a_warning(server: EarthEngineServer) -> None:
    limiter = Limiter(RateShare(in_flight=40))
    source = EarthEngineSettings(url=server.url).open(limiter)
    assert not limiter.status().restricted
    server.plan = certain("restricted")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scenes_at(source)
    assert not caught
    assert limiter.status().restricted
    assert limiter.window < 40


def test_every_pixel_request_has_the_workload_tag(server: EarthEngineServer) -> None:
    source = opened(server)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda scene: source.read_tile(scene, GRID, ["B4"]), [SCENE] * 8))
    assert server.counters.summary()["workload_tags"] == {"caco-data": 8}
    place = f"{GRID.crs} {GRID.left_m} {GRID.top_m}"
    assert server.counters.summary()["grids"] == {place: {SCENE.image_id: 8}}


def test_an_address_of_another_service_is_an_input_error(server: EarthEngineServer) -> None:
    for url, plan in (
        (f"{server.url}/elsewhere", FaultPlan()),
        (server.url, FaultPlan({"json_other": 1}, applies_to=("discovery",))),
    ):
        server.plan = plan
        error = failure_of_opening(url)
        assert isinstance(error, InputError)
        assert "Earth Engine is not at this address" in str(error)
        assert "--ee-url" in str(error)


def test_a_project_that_the_client_rejects_is_an_input_error(server: EarthEngineServer) -> None:
    error = failure_of_opening(server.url, project="764086051850")  # that of gcloud
    assert isinstance(error, InputError)
    assert "no project found" in str(error)
    assert "--project" in str(error)


@pytest.mark.parametrize("fault", ["403_rate", "400_unknown", "html_404"])
def test_the_client_logs_and_warns_nothing(
    server: EarthEngineServer, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.plan = certain(fault)
    with warnings.catch_warnings(record=True) as caught:
        failure_of_opening(server.url)
        server.plan = FaultPlan()
        failure_of_tile(server, certain(fault), SCENE)
    assert not caught
    assert caplog.text == ""


def test_large_listings_are_read_in_pages() -> None:
    with EarthEngineServer(ARCHIVE, page_size=9) as small:
        assert scenes_at(opened(small)) == scenes_at(ARCHIVE)
        assert small.counters.summary()["requests"]["listAssets"] > 5
