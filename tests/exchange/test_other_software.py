from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.support.plain_source import make_dataset, outcomes

HUGGING_FACE = """
import sys
from datasets import load_dataset
rows = load_dataset(sys.argv[1], cache_dir=sys.argv[2], streaming=True)["train"]
row = next(iter(rows))
print(row["__key__"], row["json"][0]["image_id"], len(row["early.npy"]), len(row["late.npy"][4]))
"""


def test_hugging_face_loads_the_folder(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    make_dataset(str(tmp_path / "set"), outcomes(1))
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", HUGGING_FACE, tmp_path / "set", tmp_path / "cache"],
        capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "000000000"
    assert done.stdout.split()[2:] == ["5", "3"]


@pytest.mark.filterwarnings("ignore")
def test_webdataset_reads_the_shards(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    make_dataset(str(tmp_path / "set"), outcomes(2))
    rows = list(
        webdataset.WebDataset(
            str(tmp_path / "set" / "shards" / "000000.tar"), shardshuffle=False
        ).decode()
    )
    assert [row["__key__"] for row in rows] == ["000000000", "000000001"]
    assert rows[1]["late.npy"].shape == (5, 3, 264, 264)
    assert rows[0]["json"][9]["period"] == "late"


@pytest.mark.filterwarnings("ignore")
def test_croissant_metadata_is_valid(run: Run, tmp_path: Path) -> None:
    croissant = pytest.importorskip("mlcroissant")
    make_dataset(str(tmp_path / "set"), outcomes(1))
    result = run("export", tmp_path / "set", tmp_path / "out", "--format", "croissant")
    assert result.exit_code == 0, result.stderr
    shutil.copy(tmp_path / "out" / "croissant.json", tmp_path / "set")
    found = croissant.Dataset(jsonld=str(tmp_path / "set" / "croissant.json"))
    assert not found.metadata.issues.errors
    rows = list(found.records("tiles"))
    assert len(rows) == 10
    assert rows[7]["tiles/period"] == b"late"


def test_the_data_card_is_part_of_the_data_set(tmp_path: Path) -> None:
    from caco_data.dataset.verify import verify

    storage = make_dataset(str(tmp_path / "set"), outcomes(1))
    card = (tmp_path / "set" / "README.md").read_text()
    assert card.startswith("---\nlicense:")
    assert "| `late.npy` | bands B4, B3, B2, uint16 (5, C, H, W) |" in card
    assert not verify(storage).damages
