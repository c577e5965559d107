"""Settings of the connection to Earth Engine."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from caco_data.sources.earthengine.settings import EarthEngineSettings


def test_a_relative_key_file_is_found_by_workers_with_another_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = pickle.dumps(EarthEngineSettings(key_file="keys/key.json"))
    monkeypatch.chdir("/")
    assert pickle.loads(settings).key_file == str(tmp_path / "keys" / "key.json")
    assert EarthEngineSettings().key_file is None
