"""Training on one part of a data set."""

from __future__ import annotations

from pathlib import Path

import pytest

from caco_data.dataset.reader import open_dataset
from caco_data.dataset.split import write_split
from caco_data.errors import InputError
from caco_data.split_settings import PartName, SplitSettings
from caco_data.training.run_folder import RunFolder
from caco_data.training.settings import TrainSettings
from tests.support.plain_source import make_dataset, outcomes


def test_a_run_is_resumed_on_the_same_part_of_the_same_split_only(tmp_path: Path) -> None:
    storage = make_dataset(str(tmp_path / "set"), outcomes(12), per_shard=4)
    settings = SplitSettings(0.3, 0.3, 0.0, 16.0)
    write_split(storage, open_dataset(storage.root).digest, settings)

    def folder(part: PartName, resume: bool = True) -> RunFolder:
        train = TrainSettings(
            storage.root,
            out=str(tmp_path / "run"),
            split=part,
            resume=resume,
        )
        return RunFolder(train, open_dataset(train.data, train.split))

    folder("train", resume=False).claim()
    folder("train")
    with pytest.raises(InputError, match="split train -> val"):
        folder("val")
    write_split(storage, open_dataset(storage.root).digest, SplitSettings(0.3, 0.3, 0.0, 16.0, 3))
    with pytest.raises(InputError, match="split_digest"):
        folder("train")
