from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caco_data.evaluation.results import measure, write_results
from tests.conftest import Run
from tests.support.plain_source import make_dataset, outcomes


def evaluation(root: Path, name: str, share: float, cases: int = 500, digest: str = "d") -> Path:
    """Write an evaluation whose first cases are correct."""
    correct = np.arange(cases) < share * cases
    measured = [
        measure(
            lambda i: float(correct[i].mean()), cases, 100, 0, dataset="eurosat", method="linear",
            metric_name="accuracy", name=name, data_digest=digest,
        )
    ]  # fmt: skip
    more: dict[str, Any] = {"settings": {"encoder": name, "image_size": 64}, "card": {}}
    write_results(str(root), f"eurosat-{name}", measured, **more)
    return root / f"eurosat-{name}.json"


def test_a_difference_is_compared_with_its_uncertainty(run: Run, tmp_path: Path) -> None:
    a = evaluation(tmp_path, "a", 0.80)
    near, far = evaluation(tmp_path, "b", 0.81, digest="other"), evaluation(tmp_path, "c", 0.9)
    text = run("compare", a, near, far).stdout
    assert "within its uncertainty; other test cases" in text
    assert "larger than its uncertainty" in text
    found = json.loads(run("compare", "--json", a, near, far).stdout)
    first, second = found["differences"]
    assert (first["certain"], first["paired"]) == (False, False)
    assert (second["certain"], second["paired"]) == (True, True)
    assert second["value"] == pytest.approx(0.1)
    assert found["settings"] == {"settings.encoder": ["a", "b", "c"]}


def test_the_folder_of_one_evaluation_is_that_evaluation(run: Run, tmp_path: Path) -> None:
    a, b = (evaluation(tmp_path / name, name, 0.8) for name in "ab")
    assert run("compare", a.parent, b.parent).stdout == run("compare", a, b).stdout


def test_data_sets(run: Run, tmp_path: Path) -> None:
    for name, count in (("a", 2), ("b", 3)):
        make_dataset(str(tmp_path / name), outcomes(count))
    result = run("compare", tmp_path / "a", tmp_path / "b")
    assert result.exit_code == 0, result.stderr
    (line,) = (line for line in result.stdout.splitlines() if "counts.complete" in line)
    assert line.split() == ["counts.complete", "2", "3"]


def test_runs(run: Run, tmp_path: Path) -> None:
    for name, lr in (("a", 0.03), ("b", 0.1)):
        (tmp_path / name).mkdir()
        config = {"fixed": {"lr": lr, "method": "caco"}, "software": "caco-data"}
        (tmp_path / name / "config.json").write_text(json.dumps(config))
        (tmp_path / name / "metrics.csv").write_text("step,loss\n1,9.5\n2,8.25\n")
    found = json.loads(run("compare", "--json", tmp_path / "a", tmp_path / "b").stdout)
    assert found["settings"] == {"lr": [0.03, 0.1]}
    assert found["figures"]["loss"] == [8.25, 8.25]


def test_bad_input_is_one_line(run: Run, tmp_path: Path) -> None:
    a = evaluation(tmp_path / "e", "a", 0.8)
    evaluation(tmp_path / "e", "b", 0.8)
    make_dataset(str(tmp_path / "set"), outcomes(1))
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    for paths, words in (
        ((a,), "One path only"),
        ((a, tmp_path / "none"), "Neither a data set, a run nor an evaluation"),
        ((a, tmp_path / "set"), "Different kinds"),
        ((a, broken), "Not an evaluation"),
        ((a, tmp_path / "e"), "Use one of its files: eurosat-a.json"),
    ):
        result = run("compare", *paths)
        assert result.exit_code == 2
        assert words in result.stderr
        assert result.stderr.count("\n") == 1
