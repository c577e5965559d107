"""The training loop: reads top to bottom.

In a step the host never waits for the device. What the host must know (losses, accuracies) gathers
on the device and is fetched every `log_every` steps.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from types import FrameType

import numpy as np
import torch
from lightning.fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor

from caco_data.dataset.reader import open_dataset
from caco_data.errors import CacoDataError, DatasetError
from caco_data.training.batches import Batch, BatchReader, check_batches
from caco_data.training.change import ChangeEstimator
from caco_data.training.checkpoint import (
    FOLDER,
    NOT_FINITE,
    Kept,
    State,
    keep_checkpoint,
    load_checkpoint,
    write_checkpoint,
)
from caco_data.training.device import open_device
from caco_data.training.distributed import anyone, mean
from caco_data.training.learner import Learner, learning_rate
from caco_data.training.loss import Scores
from caco_data.training.methods import METHODS
from caco_data.training.metrics import TrainProgress, auroc
from caco_data.training.prefetch import ahead
from caco_data.training.run_folder import RunFolder, read_truth
from caco_data.training.settings import TrainSettings

_log = logging.getLogger(__name__)


def train(
    settings: TrainSettings, show: Callable[[TrainProgress], None] | None = None
) -> TrainProgress | None:
    """Train an encoder, or go on with it.

    Parameters
    ----------
    settings : TrainSettings
        What to train.
    show : callable, optional
        Gets each report: every `log_every` steps and at the end of every epoch.

    Returns
    -------
    TrainProgress or None
        The last report; None when the run to go on with was already finished.

    Raises
    ------
    InputError
        For settings, data or a run folder that cannot be used.
    DatasetError
        When a file is not as it was written, or a tile cannot be read.
    CacoDataError
        When the loss is no longer finite; the state is saved.
    KeyboardInterrupt
        After SIGINT or SIGTERM; the state is saved.
    """
    settings.check()
    fabric = open_device(settings)
    dataset = open_dataset(settings.data)
    # One of the processes on this machine hashes for all.
    dataset.check(shards=settings.checksum and os.environ.get("LOCAL_RANK", "0") == "0")
    stacks = dataset.stacks(settings.bands)
    check_batches(stacks, settings.batch_size, fabric.world_size)
    folder = RunFolder(settings, dataset)
    fabric.launch()  # from here on, several processes may be at work
    leads = fabric.is_global_zero
    if leads:
        folder.claim()
    else:
        logging.getLogger("caco_data").setLevel(logging.ERROR)
    method = METHODS[settings.method]
    reader = BatchReader(
        stacks, settings.batch_size, settings.seed, method.tiles, settings.aligned,
        settings.workers, fabric.device.type == "cuda", (fabric.global_rank, fabric.world_size),
    )  # fmt: skip
    steps = reader.steps * settings.epochs
    if settings.max_steps is not None:
        steps = min(steps, settings.max_steps)
    truth = read_truth(dataset, stacks.location_ids)

    learner = Learner(settings, stacks, fabric)
    step = 0
    kept = Kept(settings.keep_best)
    if (state := load_checkpoint(folder.storage, folder.fixed, fabric.device)) is not None:
        learner.load_state_dict(state)
        step = state["step"]
        kept.load_state_dict(state["kept"])
        _log.info("Going on from step %d of %d.", step, steps)

    def state_now() -> State:
        return {
            "step": step,
            "settings": folder.fixed,
            "kept": kept.state_dict(),
            **learner.state_dict(),
        }

    estimator = learner.estimator
    meter = _Meter(fabric, settings.batch_size)
    progress = None
    saved = time.monotonic()
    with _until_asked_to_stop() as stop, folder.recording(step) as record:
        while step < steps and not stop.now:
            epoch, first = divmod(step, reader.steps)
            with closing(reader.epoch(epoch, first)) as read:
                for batch in ahead(read, fabric.device):
                    lr = learning_rate(settings, step, steps)
                    meter.add(batch, learner.learn(batch, step, lr))
                    step += 1
                    over = step == steps or step % reader.steps == 0
                    report = over or step % settings.log_every == 0
                    if report or fabric.world_size == 1:
                        stop.now = anyone(fabric, stop.asked)
                    if not report and not stop.now:
                        continue

                    values, bad = meter.fetch()
                    kept.add(float(values[: method.heads].sum()), meter.steps)
                    if bad is not None:
                        path = folder.path(f"{FOLDER}/{NOT_FINITE}.pt")
                        if leads:
                            write_checkpoint(folder.storage, NOT_FINITE, state_now())
                        raise _not_finite(stacks.location_ids[bad], step, path)
                    if over and estimator is not None:
                        estimator.fit()
                    progress = TrainProgress(
                        epoch=epoch + 1,
                        epochs=settings.epochs,
                        step=step,
                        steps=steps,
                        loss=float(values[: method.heads].sum()),
                        head_loss=tuple(values[: method.heads].tolist()),
                        accuracy=tuple(values[method.heads :].tolist()),
                        lr=lr,
                        changed_share=estimator.changed_share if estimator is not None else None,
                        auroc=_auroc(estimator, truth) if over else None,
                        rows_per_s=meter.rate(),
                    )
                    record(progress)
                    if show is not None and leads:
                        show(progress)
                    late = time.monotonic() - saved > 60 * settings.checkpoint_minutes
                    if over:
                        kept.end_epoch(step)
                    if (over or stop.now or late) and leads:
                        keep_checkpoint(folder.storage, state_now(), kept)
                        saved = time.monotonic()
                    if over or stop.now:
                        break
    if step < steps:
        _log.warning("Saved at step %d of %d: go on with --resume.", step, steps)
        raise KeyboardInterrupt

    if leads:
        folder.save_encoder(learner.model.encoder, stacks.bands, stacks.dtype == np.uint8)
        if estimator is not None:
            folder.save_change(stacks.location_ids, estimator)
        try:
            folder.draw(dataset, stacks.location_ids, estimator)
        except DatasetError as error:  # of an example: no reason to fail after days
            _log.warning("No histogram drawn: %s", error)
    return progress


class _Meter:
    """Gathers losses and accuracies on the device, and times the steps between two fetches."""

    steps = 0
    """Between the last two fetches."""

    def __init__(self, fabric: Fabric, rows: int) -> None:
        self._fabric = fabric
        self._rows = rows
        self._values: list[Tensor] = []
        self._batches: list[NDArray[np.int64]] = []
        self._since = time.perf_counter()

    def add(self, batch: Batch, scores: Scores) -> None:
        """Take in a step."""
        self._values.append(torch.cat([scores.loss.detach(), scores.accuracy]))
        self._batches.append(batch.locations)

    def fetch(self) -> tuple[NDArray[np.float64], NDArray[np.int64] | None]:
        """Means (2 V,) of losses and accuracies by head; locations of the first bad batch, if any.

        Waits for the device, and for the other processes.
        """
        values = mean(self._fabric, torch.stack(self._values)).double().cpu().numpy()
        broken = np.flatnonzero(~np.isfinite(values).all(axis=1))
        bad = self._batches[broken[0]] if len(broken) else None
        self.steps = len(self._batches)
        self._values, self._batches = [], []
        return values.mean(axis=0), bad

    def rate(self) -> float:
        """Rows a second between the last two fetches."""
        now = time.perf_counter()
        rate = self.steps * self._rows / (now - self._since)
        self._since = now
        return rate


def _auroc(estimator: ChangeEstimator | None, truth: NDArray[np.bool_] | None) -> float | None:
    if estimator is None or truth is None:
        return None
    return auroc(estimator.ratios(), truth)


def _not_finite(location_ids: NDArray[np.int64], step: int, path: str) -> CacoDataError:
    ids = ", ".join(str(i) for i in location_ids.tolist())
    return CacoDataError(
        f"The loss is not finite at or before step {step}, in the batch of locations {ids}",
        f"state saved in {path}",
        "Look at these locations, or start anew with a lower --lr; --resume goes on from the last "
        "good epoch",
    )


@dataclass
class _Stop:
    """Whether to stop after the step at hand."""

    asked: bool = False
    """By a signal to this process."""
    now: bool = False
    """As all processes have agreed."""


@contextmanager
def _until_asked_to_stop() -> Iterator[_Stop]:
    """Turn SIGINT and SIGTERM into a wish, so that no step is cut in two.

    A second SIGINT interrupts at once. Signals reach the main thread only: elsewhere nothing is
    changed.
    """
    stop = _Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, _frame: FrameType | None) -> None:
        stop.asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
