from __future__ import annotations

from pathlib import Path

import pytest

from caco_data.change_mask import decode_mask
from caco_data.dataset.layout import TRUTH
from caco_data.dataset.ledger import Ledger
from caco_data.dataset.reader import open_dataset
from caco_data.dataset.repair import repair
from caco_data.dataset.verify import verify
from caco_data.dataset.writer import DatasetWriter
from caco_data.download.fetch import Requests, fetch_location
from caco_data.errors import InputError
from caco_data.sources.limiter import Limiter
from caco_data.sources.simulated.settings import SimulatedSettings
from caco_data.storage import LocalStorage
from caco_data.types import Location, Outcome
from tests.dataset.test_verify import flip
from tests.dataset.test_writer import contents
from tests.support.plain_source import FETCH, POLICY, description, locations_table

#: Fringes of Munich; one of the patches has changed.
LOCATIONS = [Location(i, 11.3 + 0.024 * i, 48.05, 32632) for i in range(6)]


def described(settings: SimulatedSettings) -> dict[str, object]:
    source = {"name": settings.name, "collection": settings.collection, **settings.record()}
    return description() | {"source": source}


def write(root: Path, settings: SimulatedSettings, outcomes: list[Outcome]) -> LocalStorage:
    storage = LocalStorage(root)
    ids = [location.location_id for location in LOCATIONS]
    writer = DatasetWriter(storage, Ledger(storage, described(settings), ids))
    for outcome in outcomes:
        writer.add(outcome)
    writer.finish(locations_table(len(ids)))
    return storage


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    limiter = Limiter()
    source = SimulatedSettings(truth_masks=True).open(limiter)
    requests = Requests(source, FETCH, POLICY, limiter)
    return [fetch_location(location, requests) for location in LOCATIONS]


def test_masks_are_in_the_truth_table_and_survive_a_repair(
    outcomes: list[Outcome], tmp_path: Path
) -> None:
    settings = SimulatedSettings(truth_masks=True)
    storage = write(tmp_path / "set", settings, outcomes)
    before = contents(tmp_path / "set")
    truth = open_dataset(tmp_path / "set").truth()
    assert truth is not None
    rows = truth.to_pylist()
    assert max(row["changed_fraction"] for row in rows) > 0
    for row in rows:
        changed = decode_mask(row["change_mask"]) > 0
        assert changed.mean() == pytest.approx(row["changed_fraction"])

    flip(tmp_path / "set" / "shards" / "000000.tar", at=2000)  # in the first array
    assert repair(storage, verify(storage)) == 1
    again = [o for o in outcomes if o.location_id == rows[0]["location_id"]]
    write(tmp_path / "set", settings, again)
    assert contents(tmp_path / "set") == before


def test_masks_are_written_on_request_only(outcomes: list[Outcome], tmp_path: Path) -> None:
    storage = write(tmp_path / "set", SimulatedSettings(), outcomes)
    truth = open_dataset(tmp_path / "set").truth()
    assert truth is not None
    assert truth.column_names == ["location_id", "changed_fraction", "land_cover"]
    with pytest.raises(InputError, match="truth_masks None -> True"):
        Ledger(storage, described(SimulatedSettings(truth_masks=True)), [0])
    assert storage.exists(TRUTH)
