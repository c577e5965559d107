"""Data sets with other periods, numbers of tiles and sizes of patches than the default."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from caco_data.dataset.layout import layout_record, stack_layout
from caco_data.dataset.reader import open_dataset
from caco_data.dataset.split import read_centres
from caco_data.dataset.summary import summarise
from caco_data.dataset.verify import verify
from caco_data.download.run import describe
from caco_data.download.settings import DownloadSettings, FetchSettings, SceneSettings
from caco_data.errors import DatasetError
from caco_data.sampling.location_files import read_locations
from caco_data.storage import LocalStorage
from caco_data.types import MANY_PERIODS, StackLayout, period_names
from tests.support.plain_source import FETCH, PlainSettings, make_dataset, outcomes

#: SHA-256 of the shards of data sets with the default periods and patches, by their format.
DIGESTS = {
    "uint16": "fc182d66f4997955021ad65582b559911af4b6baaa5065040399b3e1d35e7c7f",
    "uint8": "fd50e22a017c5e60ccefb00b2f7327e7ca34536081090ecb74af2d663435f42a",
}
N = 3


@pytest.mark.parametrize("dtype", ["uint16", "uint8"])
def test_shards_of_the_default_layout_are_those_of_earlier_versions(
    tmp_path: Path, dtype: str
) -> None:
    fetch = FetchSettings(SceneSettings(), ("B4", "B11", "B1"), dtype=dtype)  # type: ignore[arg-type]
    root = tmp_path / "dataset"
    make_dataset(str(root), outcomes(N, fetch=fetch), fetch)
    digest = hashlib.sha256()
    for shard in sorted((root / "shards").iterdir()):
        digest.update(shard.read_bytes())
    assert digest.hexdigest() == DIGESTS[dtype]


def test_the_default_settings_are_recorded_as_by_earlier_versions(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("longitude,latitude\n3,45\n")
    settings = DownloadSettings(PlainSettings(), FETCH)
    assert json.loads(json.dumps(describe(settings, read_locations(path))["settings"])) == {
        "bands": ["B4", "B3", "B2"], "dtype": "uint16", "compress": "none",
        "scenes": {
            "seed": 0, "first_start": "2019-01-01", "last_start": "2020-12-31", "gap_years": 4,
            "max_cloud_pct": 20.0, "cloud_mask": "scl", "min_clear": 0.9, "min_spacing_days": 10.0,
        },
        "locations_per_shard": 128, "fill": False, "locations": 1,
        "locations_sha256": "3ba61f2567942aba02a91cfa6f3467da5cafba8267266b0dafab6f0ec3ba62ec",
    }  # fmt: skip


LAYOUTS = [(1, 5, 264), (1, 1, 66), (3, 2, 132), (4, 1, 270)]


@pytest.mark.parametrize(("periods", "tiles", "patch_px"), LAYOUTS)
def test_a_data_set_with_another_layout(
    tmp_path: Path, periods: int, tiles: int, patch_px: int
) -> None:
    scenes = SceneSettings(periods=periods, tiles_per_period=tiles, gap_years=1)
    fetch = FetchSettings(scenes, ("B4", "B11", "B1"), patch_px=patch_px)
    storage = make_dataset(str(tmp_path / "dataset"), outcomes(N, fetch=fetch), fetch)
    dataset = open_dataset(storage.root)
    assert dataset.layout == StackLayout(period_names(periods), tiles, patch_px)
    assert dataset.meta["grid"]["patch_px"] == patch_px
    assert dataset.index.num_rows == N * periods * tiles
    assert list(summarise(dataset)["periods"]) == list(dataset.layout.periods)
    for period in dataset.layout.periods:
        assert dataset.read_member(1, period).shape == (tiles, 1, patch_px, patch_px)
        assert dataset.read_member(1, period, "60").shape[2] == patch_px // 6
    stacks = dataset.stacks()
    assert [member.suffix for member in stacks.members] == ["", "20", "60"]
    assert stacks.members[0].offset.shape == (N, periods)
    verdict = verify(LocalStorage(storage.root))
    assert (verdict.damages, verdict.good) == ((), N)
    centre = read_centres(storage, dataset.layout)
    assert centre.latitude == pytest.approx([45.0] * N, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tiles", {"early": 5, "late": 4}), ("tiles", {}), ("tiles", {"../x": 1}),
        ("tiles", {"early": 0}), ("tiles", {"early": True}), ("tiles", ["early"]),
        ("patch_px", 265), ("patch_px", 60), ("patch_px", 6000), ("patch_px", "264"),
    ],
)  # fmt: skip
def test_impossible_layouts_are_refused(tmp_path: Path, name: str, value: object) -> None:
    root = tmp_path / "dataset"
    storage = make_dataset(str(root), outcomes(1))
    meta = json.loads((root / "dataset.json").read_text())
    meta["settings"][name] = value
    meta["complete"] = False
    (root / "dataset.json").write_text(json.dumps(meta))
    with pytest.raises(DatasetError, match=f"settings.{name}"):
        verify(storage)


def test_layouts_are_recorded_and_read_again() -> None:
    assert layout_record(StackLayout()) == {}
    for count in range(1, len(MANY_PERIODS) + 1):
        layout = StackLayout(period_names(count), 2, 66)
        assert stack_layout(json.loads(json.dumps(layout_record(layout)))) == layout
        assert not any(name[-1].isdigit() for name in layout.periods)
