from __future__ import annotations

import io
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from caco_data.dataset.shards import read_shard
from caco_data.download.breaker import MAX_FAILURES
from caco_data.download.fetch import Requests, fetch_location
from caco_data.errors import InputError, PermanentError, RefusedError
from caco_data.grid import patch_grid
from caco_data.sources.limiter import Limiter
from caco_data.sources.retry import RetryPolicy
from caco_data.sources.tally import Counts
from caco_data.types import Outcome, Scene
from tests.support.plain_source import (
    FETCH,
    FORMATS,
    POLICY,
    PlainSettings,
    PlainSource,
    locations,
    outcomes,
    requests,
)


def test_a_location_becomes_a_part_with_its_truth() -> None:
    limiter = Limiter()
    (outcome,) = outcomes(1, limiter=limiter)
    assert isinstance(outcome.part, bytes)
    assert outcome.rejection is None
    assert outcome.truth is not None
    (record,) = read_shard(io.BytesIO(outcome.part), "part", FORMATS)
    assert [row["t"] for row in record.rows] == [0, 1, 2, 3, 4] * 2
    # 2 listings and 10 tiles: every first candidate is clear
    nbytes = 10 * 4 * 264 * 264 * 2
    assert limiter.status().counts == Counts(requests=12, answers=12, nbytes=nbytes, tiles=10)
    grid = patch_grid(locations(1)[0])
    b4 = FORMATS["early.npy"].decode(record.arrays["early.npy"])[0, 0]
    assert b4[0, 0] == 1 + ((grid.left_m // 10) * 3 + (grid.top_m // 10) * 5 + 3000) % 9999
    assert record.rows[0]["affine"] == [10, 0, grid.left_m, 0, -10, grid.top_m]
    assert record.rows[0]["crs"] == "EPSG:32631"


def test_outcomes_do_not_depend_on_transient_failures() -> None:
    (calm,) = outcomes(1)
    limiter = Limiter()
    (rough,) = outcomes(1, PlainSettings(transient=2), limiter=limiter)
    assert rough.part == calm.part
    assert limiter.status().counts.retries == {"503": 24}
    assert limiter.status().counts.requests == 36


def test_a_cloudy_location_is_rejected() -> None:
    left = patch_grid(locations(1)[0]).left_m
    (cloudy,) = outcomes(1, PlainSettings(cloudy_locations=(left,)))
    assert cloudy.part is None
    assert cloudy.rejection is not None
    assert cloudy.rejection.reason == "too cloudy"


def test_a_location_is_rejected_for_its_scenes_if_others_are_readable() -> None:
    first, second = locations(2)
    gone = PlainSettings(vanished_locations=(patch_grid(second).left_m,))
    limiter = Limiter()
    made = requests(gone, limiter=limiter)
    assert fetch_location(first, made).part is not None
    before = limiter.status().counts.requests
    vanished = fetch_location(second, made)
    assert vanished.rejection is not None
    assert vanished.rejection.reason == "unreadable scenes"
    assert "Image not found" in vanished.rejection.detail
    # Two listings, at most three scenes per slot and three more for the first slot; after each
    # failure a readable tile, and the scene again.
    assert limiter.status().counts.requests - before <= 2 + 3 * (5 * 3 + 3)


def test_a_short_refusal_of_all_requests_changes_no_scene() -> None:
    refused: list[int] = []

    class Refusing(PlainSource):
        def read_tile(self, *args: Any) -> NDArray[np.uint16]:
            if self.requests > 15 and len(refused) < 10:
                refused.append(1)
                raise PermanentError("Request too large")
            return super().read_tile(*args)

    source = Refusing(PlainSettings(), Limiter())
    made = Requests(source, FETCH, POLICY, Limiter())
    parts = [fetch_location(place, made).part for place in locations(2)]
    assert len(refused) == 10
    assert parts == [outcome.part for outcome in outcomes(2)]


def test_a_service_that_cannot_read_any_scene_stops_the_run() -> None:
    limiter = Limiter()
    left = tuple(patch_grid(x).left_m for x in locations(2))
    made = requests(PlainSettings(vanished_locations=left), limiter=limiter)
    with pytest.raises(RefusedError, match=r"refuses all requests: Image not found \(20"):
        fetch_location(locations(1)[0], made)
    assert limiter.status().counts.requests <= 2 + MAX_FAILURES


def test_failed_requests_leave_the_location_to_be_fetched() -> None:
    limiter = Limiter()

    class Busy(PlainSource):
        def list_scenes(self, *args: Any) -> list[Scene]:
            limiter.answered()  # as another thread's call would
            return super().list_scenes(*args)

    busy = Busy(PlainSettings(transient=3), limiter)
    policy = RetryPolicy(max_retries=2, base_s=0)
    failed = fetch_location(locations(1)[0], Requests(busy, FETCH, policy, limiter))
    assert failed == Outcome(0, failure="503.")


def test_a_refusal_is_raised() -> None:
    with pytest.raises(RefusedError) as refused:
        outcomes(1, PlainSettings(refused_after=5))
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)


def test_scl_is_stored_at_20_m() -> None:
    (outcome,) = outcomes(1)
    assert isinstance(outcome.part, bytes)
    (record,) = read_shard(io.BytesIO(outcome.part), "part", FORMATS)
    scl = FORMATS["early_scl.npy"].decode(record.arrays["early_scl.npy"])
    assert scl.dtype == np.uint8
    assert scl.shape == (5, 132, 132)
    assert (scl == 4).all()


def cs(**settings: Any) -> tuple[Outcome, Counts]:
    limiter = Limiter()
    fetch = replace(FETCH, scenes=replace(FETCH.scenes, cloud_mask="cs+"))
    (outcome,) = outcomes(1, PlainSettings(**settings), fetch, limiter)
    return outcome, limiter.status().counts


def masks(outcome: Outcome) -> set[str]:
    assert isinstance(outcome.part, bytes)
    (record,) = read_shard(io.BytesIO(outcome.part), "part", FORMATS)
    return {row["cloud_mask"] for row in record.rows}


def test_cloud_score_takes_one_small_request_per_tile_and_is_recorded() -> None:
    outcome, counts = cs()
    assert masks(outcome) == {"cs+"}
    assert counts.requests == 22
    assert counts.nbytes == 10 * 264 * 264 * (4 * 2 + 4)
    assert masks(outcomes(1)[0]) == {"scl"}


def test_bands_of_scenes_that_are_cloudy_by_their_score_are_not_read() -> None:
    left = patch_grid(locations(1)[0]).left_m
    outcome, counts = cs(cloudy_locations=(left,))
    assert outcome.rejection is not None
    assert outcome.rejection.reason == "too cloudy"
    assert counts.nbytes == (counts.requests - 2) * 264 * 264 * 4  # scores only


def test_scenes_without_a_score_are_masked_by_their_classes() -> None:
    outcome, counts = cs(scored=False)
    assert masks(outcome) == {"scl"}
    assert counts.requests == 22


def test_a_source_without_scores_is_an_input_error() -> None:
    class Unscored:
        list_scenes = PlainSource.list_scenes
        read_tile = PlainSource.read_tile

    fetch = replace(FETCH, scenes=replace(FETCH.scenes, cloud_mask="cs+"))
    with pytest.raises(InputError, match="--cloud-mask"):
        Requests(Unscored(), fetch, POLICY, Limiter())
