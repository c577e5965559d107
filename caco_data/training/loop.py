"""The training loop.

During a step the host never waits for the device: losses and accuracies are collected on the device
and fetched every `log_every` steps.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing, nullcontext
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from caco_data.errors import CacoDataError, DatasetError
from caco_data.training.batches import Batch
from caco_data.training.checkpoint import FOLDER, NOT_FINITE, save_checkpoint, write_checkpoint
from caco_data.training.distributed import any_process
from caco_data.training.learner import learning_rate
from caco_data.training.local_change import LocalChange
from caco_data.training.metrics import TrainProgress, auroc
from caco_data.training.outputs import save_change, save_encoder, save_plots
from caco_data.training.prefetch import prefetch
from caco_data.training.recorder import Recorder
from caco_data.training.run import Run, open_run, resume
from caco_data.training.settings import TrainSettings
from caco_data.training.signals import stop_on_signals

_log = logging.getLogger(__name__)


def train(
    settings: TrainSettings, show: Callable[[TrainProgress], None] | None = None
) -> TrainProgress | None:
    """Train an encoder, or resume its training.

    Parameters
    ----------
    settings : TrainSettings
        Settings of the run.
    show : callable, optional
        Called with each report: every `log_every` steps and at the end of every epoch.

    Returns
    -------
    TrainProgress or None
        The last report; None when the resumed run was already finished.

    Raises
    ------
    InputError
        When the settings, the data set or the run folder cannot be used, or another process writes
        to the folder.
    DatasetError
        When a file of the data set is damaged, or a tile cannot be read.
    CacoDataError
        When the loss is not finite; the state is saved.
    KeyboardInterrupt
        After SIGINT or SIGTERM; the state is saved.
    """
    with open_run(settings) as run:
        resume(run)
        estimator = run.learner.estimator
        if isinstance(estimator, LocalChange) and not run.step:
            estimator.measure(run.stacks, settings.workers, run.fabric)
        return _train(run, show)


def _train(run: Run, show: Callable[[TrainProgress], None] | None) -> TrainProgress | None:
    """Take the remaining steps of a run and save its results."""
    settings, progress = run.settings, None
    with (
        stop_on_signals() as stop,
        _open_recorder(run) as recorder,
        closing(remaining_batches(run)) as batches,
    ):
        for batch in batches:
            take_step(run, batch)
            due = run.epoch_ended or run.step % settings.log_every == 0
            # Several processes exchange their stop flags only when a report is due.
            exchange = due or run.fabric.world_size == 1
            stopping = exchange and any_process(run.fabric, stop.requested)
            if due or stopping:
                progress = report(run)
                if recorder is not None:
                    recorder.add(progress)
                if show is not None and run.leads:
                    show(progress)
                save(run, stopping)
            if stopping:
                break
    if run.step < run.steps:
        _log.warning("Saved at step %d of %d: continue with --resume.", run.step, run.steps)
        raise KeyboardInterrupt
    finish(run)
    return progress


def _open_recorder(run: Run) -> AbstractContextManager[Recorder | None]:
    """Context of the recorder in the leading process; None in the others."""
    return closing(Recorder(run.folder.storage, run.step)) if run.leads else nullcontext()


def remaining_batches(run: Run) -> Generator[Batch, None, None]:
    """Yield the batch of every step after `run.step`, epoch by epoch."""
    step = run.step
    while step < run.steps:
        epoch, first = divmod(step, run.reader.steps)
        with closing(run.reader.epoch(epoch, first)) as read:
            for batch in islice(prefetch(read, run.fabric.device), run.steps - step):
                yield batch
                step += 1


def take_step(run: Run, batch: Batch) -> None:
    """Learn from a batch; only enqueues work on the device."""
    lr = learning_rate(run.settings, run.step, run.steps)
    run.meter.add(batch, run.learner.learn(batch, run.step, lr))
    run.step += 1


def report(run: Run) -> TrainProgress:
    """Fetch the means since the last report; at the end of an epoch, fit the change labels first.

    Raises
    ------
    CacoDataError
        When a loss is not finite; the state is saved.
    """
    means = run.meter.fetch()
    run.retention.add(means.loss, means.steps)
    if means.not_finite is not None:
        raise _not_finite(run, means.not_finite)
    estimator = run.learner.estimator
    if run.epoch_ended and estimator is not None:
        estimator.fit()
    return TrainProgress(
        epoch=(run.step - 1) // run.reader.steps + 1,
        epochs=run.settings.epochs,
        step=run.step,
        steps=run.steps,
        loss=means.loss,
        head_loss=means.head_loss,
        accuracy=means.accuracy,
        lr=learning_rate(run.settings, run.step - 1, run.steps),
        changed_share=estimator.changed_share if estimator is not None else None,
        auroc=_auroc(run) if run.epoch_ended else None,
        rows_per_s=means.rows_per_s,
    )


def _not_finite(run: Run, locations: NDArray[np.int64]) -> CacoDataError:
    """Save the state for inspection and return the error that names the batch's locations."""
    if run.leads:
        run.check_lock()
        write_checkpoint(run.folder.storage, NOT_FINITE, run.state())
    ids = ", ".join(str(i) for i in run.stacks.location_ids[locations].tolist())
    return CacoDataError(
        f"The loss is not finite at or before step {run.step}, in the batch of locations {ids}",
        f"state saved in {run.folder.storage.path(f'{FOLDER}/{NOT_FINITE}.pt')}",
        "Check these locations, or start a new run with a lower --lr; --resume continues from the "
        "last epoch with finite losses",
    )


def _auroc(run: Run) -> float | None:
    if run.learner.estimator is None or run.truth is None:
        return None
    found = auroc(run.learner.estimator.ratios(), run.truth)
    return None if np.isnan(found) else found


def save(run: Run, stopping: bool) -> None:
    """Save a checkpoint at the end of an epoch, before stopping, or after `checkpoint_minutes`."""
    if run.epoch_ended:
        run.retention.end_epoch(run.step)
    overdue = time.monotonic() - run.saved_at > 60 * run.settings.checkpoint_minutes
    if run.leads and (run.epoch_ended or stopping or overdue):
        run.check_lock()
        save_checkpoint(run.folder.storage, run.state(), run.retention)
        run.saved_at = time.monotonic()


def finish(run: Run) -> None:
    """Save the encoder, the change estimate and the plots."""
    if not run.leads:
        return
    run.check_lock()
    storage, stacks, estimator = run.folder.storage, run.stacks, run.learner.estimator
    model = run.learner.model
    save_encoder(run.folder, run.dataset, model.encoder, model.features)
    if estimator is not None:
        save_change(storage, stacks.location_ids, estimator)
    try:
        save_plots(storage, run.dataset, stacks.location_ids, estimator)
    except DatasetError as error:  # an unreadable example must not fail a run of days
        _log.warning("The change histogram could not be plotted: %s", error)
