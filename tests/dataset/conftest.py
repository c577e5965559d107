from __future__ import annotations

import pytest

from caco_data.dataset import shard_content


@pytest.fixture(autouse=True)
def _join_two_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small data sets of these tests have joined files in the folder `.work` too."""
    monkeypatch.setattr(shard_content, "JOINED_SHARDS", 2)
