"""An open run: its data, model and progress, new or from a checkpoint."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import numpy as np
from lightning.fabric import Fabric
from numpy.typing import NDArray

from caco_data.dataset.reader import Dataset, open_dataset
from caco_data.dataset.stack_table import StackTable
from caco_data.folder_lock import FolderLock, folder_lock
from caco_data.storage import LocalStorage
from caco_data.training.batches import BatchReader, check_batches
from caco_data.training.checkpoint import Retention, State, load_checkpoint
from caco_data.training.device import open_device
from caco_data.training.learner import Learner
from caco_data.training.meter import Meter
from caco_data.training.methods import METHODS, check_method
from caco_data.training.models.encoder import check_encoder
from caco_data.training.run_folder import RunFolder
from caco_data.training.settings import TrainSettings
from caco_data.training.truth import read_truth

_log = logging.getLogger(__name__)


@dataclass
class Run:
    """Data, model and progress of a run."""

    settings: TrainSettings
    fabric: Fabric
    dataset: Dataset
    stacks: StackTable
    truth: NDArray[np.bool_] | None
    """(L,): whether each location has changed; None when the data set does not contain it."""
    folder: RunFolder
    lock: FolderLock | None
    """Lock of the folder; None unless this process leads the run."""
    reader: BatchReader
    learner: Learner
    meter: Meter
    retention: Retention
    steps: int
    """Steps of the whole run."""
    step: int = 0
    """Steps done."""
    saved_at: float = field(default_factory=time.monotonic)
    """Time of the last checkpoint, or of the start; seconds."""

    @property
    def leads(self) -> bool:
        """Whether this process writes the files and reports the progress."""
        return bool(self.fabric.is_global_zero)

    @property
    def epoch_ended(self) -> bool:
        """Whether the last step was the last one of an epoch or of the run."""
        return self.step == self.steps or self.step % self.reader.steps == 0

    def check_lock(self) -> None:
        """Raise InputError when another process has taken over the folder."""
        if self.lock is not None:
            self.lock.check()

    def state(self) -> State:
        """Return the content of a checkpoint."""
        return {
            "step": self.step,
            "settings": self.folder.fixed,
            "kept": self.retention.state_dict(),
            **self.learner.state_dict(),
        }


@contextmanager
def open_run(settings: TrainSettings) -> Iterator[Run]:
    """Check settings, data set and run folder, then create the folder, batch reader and model.

    Nothing but the lock is written before all checks have passed. The leading process holds the
    lock of the run folder until the end of the context.

    Raises
    ------
    InputError
        When the settings, the data set or the run folder cannot be used, or another process writes
        to the folder.
    DatasetError
        When a file of the data set is damaged.
    """
    settings.check()
    check_encoder(settings.encoder)
    fabric = open_device(settings)
    dataset = open_dataset(settings.data, settings.split)
    # One process per machine computes the digests.
    dataset.check(shards=settings.checksum and os.environ.get("LOCAL_RANK", "0") == "0")
    check_method(settings.method, dataset.layout, settings.data)
    stacks = dataset.stacks(settings.bands)
    check_batches(stacks, settings.batch_size, fabric.world_size)
    truth = read_truth(dataset, stacks.location_ids)
    leads = fabric.is_global_zero
    labels = METHODS[settings.method].estimates_change
    if leads and labels and truth is not None and (truth.all() or not truth.any()):
        kind = "all" if truth.all() else "none"
        _log.warning("No AUROC is computed: %s of the %d locations changed", kind, truth.size)
    storage = LocalStorage(settings.out)
    with folder_lock(storage, "caco-data train") if leads else nullcontext() as lock:
        folder = RunFolder(settings, dataset)
        fabric.launch()  # from here on, every process runs this code
        if leads:
            folder.claim()
        else:
            logging.getLogger("caco_data").setLevel(logging.ERROR)
        reader = BatchReader(
            stacks, settings.batch_size, settings.seed, METHODS[settings.method].tiles,
            settings.aligned, settings.workers, fabric.device.type == "cuda",
            (fabric.global_rank, fabric.world_size), settings.long_term,
        )  # fmt: skip
        steps = reader.steps * settings.epochs
        if settings.max_steps is not None:
            steps = min(steps, settings.max_steps)
        learner = Learner(settings, stacks, fabric)
        meter = Meter(fabric, settings.batch_size)
        retention = Retention(settings.keep_best)
        yield Run(
            settings, fabric, dataset, stacks, truth, folder, lock, reader, learner, meter,
            retention, steps,
        )  # fmt: skip


def resume(run: Run) -> None:
    """Restore the newest checkpoint of the run folder, if there is one.

    Raises
    ------
    InputError
        When a checkpoint belongs to another run, or all are damaged.
    """
    state = load_checkpoint(run.folder.storage, run.folder.fixed, run.fabric.device)
    if state is None:
        return
    run.learner.load_state_dict(state)
    run.step = state["step"]
    run.retention.load_state_dict(state["kept"])
    _log.info("Resuming from step %d of %d.", run.step, run.steps)
