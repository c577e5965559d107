from __future__ import annotations

import pytest

from caco_data.download.probe import MAX_FAILED, probe, try_source
from caco_data.errors import InputError, RefusedError, TransientError
from caco_data.grid import patch_grid
from caco_data.sources.limiter import Limiter
from caco_data.sources.retry import RetryPolicy
from tests.support.plain_source import (
    FETCH,
    POLICY,
    PlainSettings,
    PlainSource,
    locations,
    requests,
)


def test_one_tile_of_the_first_location_is_read() -> None:
    limiter = Limiter()
    places = locations(3)
    known = probe(places, requests(limiter=limiter))
    assert known is not None
    assert known[1] == patch_grid(places[0])
    assert limiter.status().counts.requests == 3  # two listings and a tile


def test_a_removed_image_is_no_refusal_but_several_are() -> None:
    places = locations(5)
    left = tuple(patch_grid(x).left_m for x in places)
    gone = PlainSettings(vanished_locations=left[: MAX_FAILED - 1])
    known = probe(places, requests(gone))
    assert known is not None
    assert known[1].left_m == left[MAX_FAILED - 1]
    limiter = Limiter()
    with pytest.raises(RefusedError, match="refuses all requests: Image not found"):
        probe(places, requests(PlainSettings(vanished_locations=left), limiter=limiter))
    assert limiter.status().counts.requests == 3 * MAX_FAILED


def test_without_usable_scenes_nothing_is_read() -> None:
    class Empty(PlainSource):
        def list_scenes(self, *args: object) -> list[object]:  # type: ignore[override]
            return []

    made = requests()
    made.source = Empty(PlainSettings(), Limiter())  # type: ignore[assignment]
    assert probe(locations(2), made) is None


def test_a_proxy_that_answers_at_the_start_is_an_input_error_and_silence_a_refusal() -> None:
    class Intercepted(PlainSettings):
        def open(self, limiter: Limiter | None = None) -> PlainSource:
            raise TransientError("302", "proxy.example", "Check HTTPS_PROXY", intercepted=True)

    short = RetryPolicy(max_outage_s=0, base_s=0)
    with pytest.raises(InputError, match=r"302 \(proxy.example\). Check HTTPS_PROXY"):
        try_source(Intercepted(), FETCH, short, Limiter(), locations(1))
    with pytest.raises(RefusedError, match="does not answer: 503"):
        try_source(PlainSettings(transient=9**9), FETCH, short, Limiter(), locations(1))
    assert try_source(PlainSettings(), FETCH, POLICY, Limiter(), locations(1)) is not None
