from __future__ import annotations

import os

import pytest

from caco_data.dataset import shard_content


@pytest.fixture(autouse=True)
def _join_two_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small data sets of these tests have joined files in the folder `.work` too."""
    monkeypatch.setattr(shard_content, "JOINED_SHARDS", 2)


@pytest.fixture(autouse=True)
def _do_not_wait_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests end processes, not machines."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
