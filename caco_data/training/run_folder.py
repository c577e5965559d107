"""The folder of a run: its configuration, and the check that it belongs to this run."""

from __future__ import annotations

import json
from dataclasses import asdict

import torch

from caco_data import __version__
from caco_data.dataset.hashing import file_sha256
from caco_data.dataset.layout import SPLIT
from caco_data.dataset.reader import Dataset
from caco_data.errors import InputError
from caco_data.settings_diff import difference
from caco_data.storage import LocalStorage, remove_temporaries, write_bytes
from caco_data.training.checkpoint import FOLDER
from caco_data.training.settings import TrainSettings

CONFIG = "config.json"


class RunFolder:
    """A folder that belongs to one run.

    Parameters
    ----------
    settings : TrainSettings
        Settings of the run, with the folder and whether an earlier run may be resumed.
    dataset : Dataset
        Training data.

    Raises
    ------
    InputError
        When the folder contains another run, or other files, or this run and `settings.resume` is
        false.
    """

    def __init__(self, settings: TrainSettings, dataset: Dataset) -> None:
        self.storage = LocalStorage(settings.out)
        self.fixed = {**settings.fixed, "data_digest": dataset.digest}
        if settings.split is not None:
            self.fixed["split_digest"] = file_sha256(dataset.storage, SPLIT)
        """Settings that must be the same when the run is resumed."""
        self._config = {
            "settings": asdict(settings),
            "data_digest": dataset.digest,
            "bands": dataset.stacks(settings.bands).bands,
            "fixed": self.fixed,
            "software": f"caco-data {__version__}, torch {torch.__version__}",
        }
        if self.storage.exists(CONFIG):
            self._compare(settings.resume)
        elif self.storage.names():
            raise InputError(
                "The folder contains files but no run", settings.out, "Choose an empty --out"
            )

    def _compare(self, resume: bool) -> None:
        where = self.storage.root
        if not resume:
            raise InputError(
                "The folder already contains a run",
                where,
                "Use --resume to resume it, or choose another --out",
            )
        try:
            found = json.loads(self.storage.path(CONFIG).read_text())["fixed"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                "Unreadable settings", f"{where}/{CONFIG}", "Choose another --out"
            ) from error
        if changes := "; ".join(difference(found, self.fixed)):
            raise InputError(
                f"The run has other settings: {changes}",
                where,
                "Use the same settings to resume, or choose another --out",
            )

    def claim(self) -> None:
        """Write config.json unless it exists; remove temporary files of killed runs.

        Only the leading process of a run calls this, which holds the lock of the folder.
        """
        remove_temporaries(self.storage, ("", FOLDER))
        if not self.storage.exists(CONFIG):
            text = json.dumps(self._config, indent=1) + "\n"
            write_bytes(self.storage, CONFIG, text.encode())
