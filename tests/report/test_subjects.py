"""Runs, evaluations and audits on a page."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from caco_data.dataset.reader import open_dataset
from caco_data.report.write import unique_names
from tests.conftest import Run


@pytest.fixture(scope="module")
def work(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the data set, a second run, an audit, and a folder of two evaluations."""
    root = tmp_path_factory.mktemp("subjects")
    run = root / "run"
    run.mkdir()
    fixed = {"method": "caco", "framework": "moco", "encoder": "resnet18", "lr": 0.03}
    fixed |= {"data_digest": open_dataset(folder).digest}
    (run / "config.json").write_text(json.dumps({"fixed": fixed, "software": "caco-data"}))
    (run / "metrics.csv").write_text(
        "epoch,step,loss,head_loss_0,head_loss_1,auroc,knn\n1,10,2.5,1.5,1,,0.4\n2,20,2,1,1,0.75,x\n"
    )
    change = {
        "location_id": [0, 1, 2, 3], "ratio": [1.0, 2.0, None, 4.0],
        "label": [False, False, False, True], "row": [0] * 4, "column": [131] * 4,
    }  # fmt: skip
    pq.write_table(pa.table(change), run / "change.parquet")
    shutil.copytree(run, root / "other" / "run")
    config = {"fixed": {**fixed, "lr": 0.01}}
    (root / "other" / "run" / "config.json").write_text(json.dumps(config))

    def result(name: str, value: float | None) -> dict[str, object]:
        return {
            "dataset": "eurosat", "method": "knn5", "metric_name": "accuracy", "name": name,
            "metric_value": value, "ci_lower": 0.1, "ci_upper": 0.9, "resamples": [0.1, 0.9],
            "data_digest": "d", "seed": 0, "n_test": 9,
        }  # fmt: skip

    (root / "evaluation").mkdir()
    for i, name in enumerate(("eurosat-a", "eurosat-b")):
        content = {
            "format": "caco-evaluation/1", "task": "eurosat", "settings": {"seed": i},
            "results": [result(name, 0.5 + i / 10), result("image statistics", None)],
            "classes": ["Forest", "River"], "confusion": {f"{name}, knn5": [[3, 1], [0, 5]]},
            "references": [{"name": "CACo", "method": "linear", "metric_name": "accuracy",
                            "value": 0.93, "source": "paper"}],
            "notes": ["a <note>"],
        }  # fmt: skip
        (root / "evaluation" / f"{name}.json").write_text(json.dumps(content))
    statistic = {"name": "mean", "band": "B4", "auroc": 0.51, "ci_lower": 0.4, "ci_upper": 0.6,
                 "early": 1.0, "late": 2.0, "verdict": "undecided"}  # fmt: skip
    audit = {"format": "caco-audit/1", "tells_apart": False, "choice": "all", "pairs": 5,
             "statistics": [statistic, {"name": "offset", "verdict": "unknown"}]}  # fmt: skip
    (root / "audit").mkdir()
    (root / "audit" / "audit.json").write_text(json.dumps(audit))
    return root


def test_a_page_shows_all_kinds(run: Run, folder: Path, work: Path) -> None:
    out = work / "all.html"
    paths = [work / "run", work / "evaluation", work / "other" / "run", work / "audit", folder]
    result = run("report", *paths, "--out", out, "--stacks", 1)
    assert result.exit_code == 0, result.output
    text = re.sub(r"<script.*?</script>", "", out.read_text(), flags=re.S)
    titles = re.findall(r'<h2 id="title-\d+">(.*?)</h2>', text)
    assert [title.split(" ")[0] for title in titles] == ["Data", "Audit", "Runs", "Evaluations"]
    for words in (
        "A ring marks the place of the largest change",  # from the run
        "subjects0/run", "other/run",  # names of the runs
        "<h3 id=\"chart-title-3-1\">Loss</h3>", "Loss by head", "knn", "Change of the locations",
        "eurosat: accuracy", "Confusion matrix, eurosat-a, knn5", "Published figures",
        "Differences from eurosat-a", "within its uncertainty", "undecided", "a &lt;note&gt;",
    ):  # fmt: skip
        assert words in text, words
    assert text.count("<details><summary>Table: ") == len(
        re.findall('class="chart(?: map)?"', text)
    )


def test_damaged_subjects_are_refused(run: Run, work: Path, tmp_path: Path) -> None:
    for name, content, words in (
        ("a.json", "[1]", "Not a JSON object"),
        ("b.json", "{", "Not a JSON file"),
        ("c.json", '{"format": "caco-audit/1"}', "The audit lacks values"),
        ("d.json", '{"format": "caco-evaluation/9"}', "This version reads"),
    ):
        (tmp_path / name).write_text(content)
        result = run("report", tmp_path / name, "--out", tmp_path / "x.html")
        assert result.exit_code == 2
        assert words in result.stderr
    damaged = tmp_path / "run"
    shutil.copytree(work / "run", damaged)
    (damaged / "change.parquet").write_bytes(b"PAR1")
    result = run("report", damaged, "--out", tmp_path / "x.html")
    assert result.exit_code in (1, 2)
    assert "change.parquet" in result.stderr
    assert not (tmp_path / "x.html").exists()


def test_names_are_as_long_as_needed_to_differ() -> None:
    assert unique_names(["a/run", "b/run", "c"]) == ["a/run", "b/run", "c"]
    assert unique_names(["x/a.json", "y/b.json"]) == ["a", "b"]
    assert unique_names(["a", "a.json"]) == ["1. a", "2. a.json"]
