from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

from tests.support import ROOT

NOTEBOOK = ROOT / "samples" / "encoder.ipynb"


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_the_notebook_runs_from_data_to_an_exported_encoder(tmp_path: Path) -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    program = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    environment = {
        **os.environ, "SAMPLE_FOLDER": str(tmp_path / "sample"), "SAMPLE_LOCATIONS": "16",
        "SAMPLE_STEPS": "2", "SAMPLE_SIZE": "32", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "AUROC of the change estimate" in done.stdout
    assert "precision@" in done.stdout  # k is at most the number of changed locations
    (first, *_) = sorted((tmp_path / "sample" / "tiles").glob("*/early_0_*.tif"))
    with rasterio.open(first) as file:
        assert file.descriptions == ("B4", "B3", "B2", "SCL")
        assert np.median(file.read(1)) > 0
