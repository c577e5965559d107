from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import caco_data
from caco_data.dataset.shard_check import _check_imported
from caco_data.exchange.export import ExportSettings, export_dataset
from caco_data.exchange.importer import ImportSettings, import_folder
from tests.conftest import Run
from tests.support.plain_source import make_dataset, outcomes

REAL = Path("/work/shared/real/seco_layout_sample")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three locations in the authors' layout."""
    root = tmp_path_factory.mktemp("caco")
    make_dataset(str(root / "set"), outcomes(3))
    data = caco_data.open_dataset(root / "set")
    export_dataset(data, str(root / "folders"), ExportSettings("caco"))
    (root / "folders" / "export.json").unlink()
    return root / "folders"


def test_an_import_of_an_export_has_equal_pixels_dates_and_positions(
    run: Run, folders: Path, tmp_path: Path
) -> None:
    result = run("import", folders, tmp_path / "set", "--locations-per-shard", 2)
    assert result.exit_code == 0, result.stderr
    assert "3 locations imported, 0 rejected" in result.stderr
    found, wanted = (caco_data.open_dataset(p) for p in (tmp_path / "set", folders.parent / "set"))
    for location_id in range(3):
        for period in ("early", "late"):
            equal = found.read_member(location_id, period) == wanted.read_member(
                location_id, period
            )
            assert equal.all()
    for column in ("acquired", "image_id", "crs", "affine"):
        assert found.index[column].to_pylist() == wanted.index[column].to_pylist()
    verified = run("verify", tmp_path / "set")
    assert verified.exit_code == 0, verified.stdout
    assert "nothing" not in run("import", folders, tmp_path / "set", "--locations-per-shard",
                                2).stderr  # fmt: skip


def test_corrupt_and_incomplete_locations_are_rejected(folders: Path, tmp_path: Path) -> None:
    root = shutil.copytree(folders, tmp_path / "folders")
    first = sorted((root / "000000000").iterdir())[3]
    (first / "B4.tif").write_bytes((first / "B4.tif").read_bytes()[:300])
    shutil.rmtree(sorted((root / "000000001").iterdir())[0])
    assert import_folder(str(root), str(tmp_path / "set"), ImportSettings("caco")) == (1, 2)
    rejected = pq.read_table(tmp_path / "set" / "rejected.parquet").to_pylist()
    assert [row["reason"] for row in rejected] == ["unreadable scenes", "too few scenes"]
    assert f"{first.name}/B4.tif" in rejected[0]["detail"]
    assert "000000001: 9 scenes instead of 10" in rejected[1]["detail"]


def test_an_interrupted_import_is_resumed_to_the_same_bytes(folders: Path, tmp_path: Path) -> None:
    def stop(complete: int, rejected: int, total: int) -> None:
        if complete == 2:
            raise KeyboardInterrupt

    settings = ImportSettings("caco", locations_per_shard=2, workers=1)
    with pytest.raises(KeyboardInterrupt):
        import_folder(str(folders), str(tmp_path / "a"), settings, stop)
    import_folder(str(folders), str(tmp_path / "a"), settings)
    import_folder(str(folders), str(tmp_path / "b"), settings)
    for name in ("dataset.json", "index.parquet", "shards/000000.tar", "shards/000001.tar"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_seco_has_one_period(run: Run, folders: Path, tmp_path: Path) -> None:
    root = shutil.copytree(folders, tmp_path / "folders")
    for location in root.iterdir():
        for scene in sorted(location.iterdir())[5:]:
            shutil.rmtree(scene)
    result = run("import", "--format", "seco", root, tmp_path / "set", "--bands", "B2")
    assert result.exit_code == 0, result.stderr
    data = caco_data.open_dataset(tmp_path / "set")
    assert data.bands == ("B2",)
    assert (data.read_member(1, "early") == data.read_member(1, "late")).all()
    assert "copy of early" in data.meta["settings"]["periods"]


def test_folders_that_cannot_be_imported(run: Run, folders: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for arguments, words in (
        ((tmp_path / "none", tmp_path / "o"), "No folder here"),
        ((tmp_path / "empty", tmp_path / "o"), "No folders of locations"),
        ((folders, tmp_path / "o", "--bands", "B8"), "has no B8.tif"),
    ):
        result = run("import", *arguments)
        assert result.exit_code == 2
        assert words in result.stderr
        assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("crs", "affine", "words"),
    [
        ("EPSG:4326", [1e-4, 0, -39.7, 0, -1e-4, -10.2], None),
        (None, None, None),
        (None, [10, 0, 0, 0, -10, 0], "give no position"),
        ("EPSG:4326", None, "give no position"),
        ("EPSG:4326", [0, 0, 5, 0, -10, 5], "no pixel size"),
        ("EPSG:4326", [10, 0, float("nan"), 0, -10, 5], "no pixel size"),
    ],
)
def test_positions_of_imported_tiles(
    crs: str | None, affine: list[float] | None, words: str | None
) -> None:
    if words is None:
        _check_imported({"crs": crs, "affine": affine})
        return
    with pytest.raises(ValueError, match=words):
        _check_imported({"crs": crs, "affine": affine})


@pytest.mark.skipif(not REAL.exists(), reason="the files are not on this machine")
def test_real_files(run: Run, tmp_path: Path) -> None:
    """Two locations with one scene each: repeated five times, they are a SeCo location."""
    result = run("import", "--format", "seco", REAL, tmp_path / "none")
    assert "None of the 2 locations can be imported" in result.stderr
    assert "1 scenes instead of 5" in result.stderr
    for location in REAL.iterdir():
        (scene,) = location.iterdir()
        for day in range(5):
            name = f"2018071{day}{scene.name[8:]}"
            shutil.copytree(scene, tmp_path / "real" / location.name / name)
    result = run("import", "--format", "seco", tmp_path / "real", tmp_path / "set",
                 "--bands", "B4,B3,B2,B8,B11,B1")  # fmt: skip
    assert result.exit_code == 0, result.stderr
    data = caco_data.open_dataset(tmp_path / "set")
    row = data.index.read().to_pylist()[0]
    assert row["crs"] == "EPSG:4326"
    assert row["affine"][2] == pytest.approx(-39.723, abs=1e-3)
    assert 0 <= row["cloud_pct"] <= 100
    assert 0 < np.median(data.read_member(0, "early")) < 5000
