"""The report of a data set with other periods and sizes of patches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from caco_data.change_mask import encode_mask
from caco_data.dataset.ledger import Ledger
from caco_data.dataset.reader import open_dataset
from caco_data.dataset.writer import DatasetWriter
from caco_data.download.settings import FetchSettings, SceneSettings
from caco_data.report.contents import read_tiles
from caco_data.report.pictures import _mask_places
from caco_data.storage import LocalStorage
from caco_data.types import Truth
from tests.support.plain_source import PlainSettings, description, locations_table, outcomes


def test_periods_and_marks(tmp_path: Path) -> None:
    scenes = SceneSettings(periods=4, tiles_per_period=1, gap_years=1)
    fetch = FetchSettings(scenes, ("B4", "B3", "B2"), patch_px=66)
    mask = np.zeros((66, 66), np.uint8)
    mask[30:36, 10:16] = 1
    truth = Truth(0.1, "plain", encode_mask(mask))
    storage = LocalStorage(str(tmp_path / "dataset"))
    about = description(fetch) | {
        "source": {"name": "plain", "collection": "PLAIN", "truth_masks": True}
    }
    writer = DatasetWriter(storage, Ledger(storage, about, [0, 1]))
    for outcome in outcomes(2, PlainSettings(), fetch):
        writer.add(replace(outcome, truth=truth))
    writer.finish(locations_table(2))
    dataset = open_dataset(storage.root)
    assert read_tiles(dataset).periods == ("first", "second", "third", "fourth")
    assert _mask_places(dataset, [1]) == {1: (13 / 66, 33 / 66)}
