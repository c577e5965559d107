from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caco_data.dataset.reader import open_dataset
from caco_data.evaluation.audit import measure_pairs, needed_locations
from caco_data.evaluation.audit_causes import likely_causes
from caco_data.evaluation.audit_data import METADATA, Pairs, read_pairs
from caco_data.evaluation.settings import AuditSettings
from caco_data.evaluation.tile_statistics import STATISTICS, tile_statistics
from tests.conftest import Run
from tests.support.training_data import is_changed, make_training_set

BANDS = ("B1", "B9")  # 60 m: small files


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_training_set(tmp_path_factory.mktemp("audit") / "plain", 12, BANDS, "uint16")


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("audit") / "planted"
    return make_training_set(root, 45, BANDS, "uint16", late_dn=1000)


def by_name(out: Path) -> dict[tuple[str, str], dict[str, Any]]:
    found = json.loads((out / "audit.json").read_text())
    return {(one["name"], one["band"]): one for one in found["statistics"]}


def test_statistics_of_known_tiles() -> None:
    rng = np.random.default_rng(1)
    tiles = rng.normal(1000, 50, (1, 3, 200, 200)).round().astype(np.uint16)
    tiles[0, 1] = 10_000
    tiles[0, 2, :100] = 0
    found = {name: values[0] for name, values in tile_statistics(tiles).items()}
    assert found.keys() == STATISTICS.keys()
    assert found["noise"][0] == pytest.approx(50, rel=0.05)
    assert found["mean"][0] == pytest.approx(1000, abs=1)
    assert found["p99"][0] == pytest.approx(1000 + 2.33 * 50, abs=5)
    assert [found[name][1] for name in ("saturated", "values", "noise", "edges")] == [1, 1, 0, 0]
    assert found["zero"].tolist() == [0, 0, 0.5]
    eight = (tiles // 40).astype(np.uint8)
    assert tile_statistics(eight)["mean"][0, 0] == pytest.approx(1000, rel=0.05)


def test_few_locations_are_undecided(run: Run, plain: Path, tmp_path: Path) -> None:
    result = run("audit", plain, "--out", tmp_path)
    assert result.exit_code == 0, result.stderr
    assert "tells early" not in result.stdout
    assert "8 unchanged of 12 (truth.parquet: at most 2% of the pixels changed); 40 pairs" in (
        result.stderr
    )
    assert "18 statistics undecided: about " in result.stderr
    assert (tmp_path / "audit.png").stat().st_size > 10_000
    found = by_name(tmp_path)
    assert found["saturated", "B1"]["auroc"] == 0.5
    assert found["platform", ""]["verdict"] == "unknown"
    assert found["platform", ""]["auroc"] is None


def test_a_planted_offset_is_found_and_named(run: Run, planted: Path, tmp_path: Path) -> None:
    result = run("audit", planted, "--out", tmp_path, "--bootstrap", 100)
    assert result.exit_code == 1
    assert "error: 8 statistics tell early from late" in result.stderr
    assert "Likely cause: B1, B9: about +1," in result.stderr
    assert "the offset of products since baseline 04.00 is still in the late" in result.stderr
    found = by_name(tmp_path)
    for band in BANDS:
        assert all(found[name, band]["auroc"] >= 0.95 for name in ("mean", "p1", "p50", "p99"))
        assert found["noise", band]["verdict"] == "undecided"
        assert found["zero", band]["verdict"] == "does not"


def test_the_choice_of_locations(plain: Path, tmp_path: Path) -> None:
    settings = AuditSettings(out=str(tmp_path / "out"), bootstrap=10)
    data = open_dataset(plain)
    some = read_pairs(data, replace(settings, max_locations=5), lambda *_: None)
    assert len(some.ids) == 5
    assert not any(map(is_changed, some.ids.tolist()))
    assert some.choice.startswith("5 of 8 unchanged of 12")
    shutil.copytree(plain, tmp_path / "set")
    (tmp_path / "set" / "truth.parquet").unlink()
    least = read_pairs(open_dataset(tmp_path / "set"), settings, lambda *_: None)
    assert least.choice.startswith("6 with the least change of 12 (no truth.parquet: ")
    assert not any(map(is_changed, least.ids.tolist()))


def pairs(late: Any) -> Pairs:
    """Pairs with a change of the statistics of one band."""
    rng = np.random.default_rng(0)
    start = {"mean": 1000, "p1": 300, "p50": 900, "p99": 3000}
    early = {
        name: start.get(name, 10) * (1 + 0.001 * rng.normal(size=(40, 5))) for name in STATISTICS
    }
    values = {(name, "B4"): np.stack([old, late(name, old)], 1) for name, old in early.items()}
    unknown = np.full((40, 2, 5), np.nan)
    return Pairs(np.arange(40), "", values | {(name, ""): unknown for name in METADATA})


@pytest.mark.parametrize(
    ("late", "words"),
    [
        (lambda name, x: x + 300 * (name in ("mean", "p1", "p50", "p99")), "other offset"),
        (lambda name, x: x * (1.2 if name in ("mean", "p1", "p50", "p99") else 1), "1.20 times"),
        (lambda name, x: x + 5 * (name == "noise"), "noise differs"),
        (lambda name, x: x + 90 * (name == "mean"), "brightness differs"),
    ],
)
def test_likely_causes(late: Any, words: str) -> None:
    made = pairs(late)
    (cause,) = likely_causes(measure_pairs(made, 50, 0), made)
    assert cause.startswith("B4: ")
    assert words in cause


def test_noise_that_is_equal_does_not_tell() -> None:
    rng = np.random.default_rng(3)
    values = {(name, "B4"): rng.normal(size=(2000, 2, 5)) for name in STATISTICS}
    unknown = np.full((2000, 2, 5), np.nan)
    made = Pairs(np.arange(2000), "", values | {(name, ""): unknown for name in METADATA})
    found = measure_pairs(made, 100, 0)
    assert {one.verdict for one in found if one.in_pixels} == {"does not"}
    assert likely_causes(found, made) == ()
    # Half the width of an interval of 10,000 independent pairs is 0.0098.
    assert 200 < needed_locations(found, 2000) < 600


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere",), "No data set here (nowhere)"),
        (("--max-locations", 0), "--max-locations"),
        (("--bootstrap", 5), "--bootstrap"),
    ],
)
def test_bad_input_is_one_line(run: Run, arguments: tuple[object, ...], words: str) -> None:
    result = run("audit", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
