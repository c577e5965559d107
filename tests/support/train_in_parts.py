"""Training with several processes: a program for `tests/training/test_distributed.py`.

    python -m tests.support.train_in_parts DATA DEVICES FOLDER

Writes the outcomes of all cases to FOLDER/outcomes.json, then trains a run without interruption in
FOLDER/whole and a run that is stopped and resumed in FOLDER/stopped.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypedDict
from unittest import mock

import torch
from lightning.fabric import Fabric
from lightning.fabric.strategies.ddp import DDPStrategy
from torch import nn

from caco_data.dataset.reader import open_dataset
from caco_data.training.batches import BatchReader
from caco_data.training.change import ChangeEstimator
from caco_data.training.distributed import mean
from caco_data.training.learner import Learner
from caco_data.training.loop import train
from caco_data.training.methods import METHODS
from caco_data.training.metrics import TrainProgress
from caco_data.training.models.encoder import RESNETS
from caco_data.training.settings import TrainSettings

BASE = TrainSettings(
    encoder="small",
    batch_size=16,
    queue_size=32,
    embedding=16,
    crop_size=32,
    workers=1,
    change_estimate="smoothed",
)
CASES = {
    "caco": BASE,
    "caco simclr": dataclasses.replace(BASE, framework="simclr"),
    "moco": dataclasses.replace(BASE, method="moco"),
}
#: Step after which a run of four steps gets a signal to stop.
STOP_AFTER = 2


class Outcome(TypedDict):
    """Results of the steps of one case."""

    losses: list[list[float]]
    """Losses per step and head."""
    distances: list[list[float]]
    """State of the change estimator; empty for methods without one."""
    changed_share: float
    """Fraction of locations labelled changed."""
    weights: dict[str, float]
    """Sum of the absolute values of each weight of the encoder after the last step."""


def small_encoder(bands: int) -> nn.Module:
    """Convolutions with BatchNorm; a ResNet takes a hundred times as long in double precision."""
    network = nn.Sequential(
        nn.Conv2d(bands, 16, 7, 4, padding=3, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, 2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip
    network.features = 32  # type: ignore[assignment]
    return network


def make_fabric(devices: int) -> Fabric:
    """Processes on the CPU with 64-bit weights."""
    strategy = DDPStrategy(broadcast_buffers=False) if devices > 1 else "auto"
    return Fabric(accelerator="cpu", devices=devices, strategy=strategy, precision="64-true")


@mock.patch.dict(RESNETS, small=small_encoder)
def learn(fabric: Fabric, data: str, settings: TrainSettings) -> Outcome:
    """Train one epoch, fit the change labels, train another epoch, all in double precision."""
    stacks = open_dataset(data).stacks()
    reader = BatchReader(
        stacks, settings.batch_size, settings.seed, METHODS[settings.method].tiles,
        workers=settings.workers, part=(fabric.global_rank, fabric.world_size),
    )  # fmt: skip
    losses, step = [], 0
    # `init_tensor` sets PyTorch's default dtype to float64.
    with fabric.init_tensor():
        learner = Learner(settings, stacks, fabric)
        for epoch in (0, 1):
            with closing(reader.epoch(epoch)) as batches:
                for batch in batches:
                    scores = learner.learn(batch, step, settings.lr)
                    losses.append(mean(fabric, scores.loss.detach()))
                    step += 1
            if learner.estimator is not None:
                learner.estimator.fit()
    assert all(loss.dtype == torch.float64 for loss in losses)
    estimator = learner.estimator
    return Outcome(
        losses=[loss.tolist() for loss in losses],
        distances=estimator.distances.tolist() if isinstance(estimator, ChangeEstimator) else [],
        changed_share=estimator.changed_share if estimator is not None else 0.0,
        weights={
            name: float(weight.detach().abs().sum())
            for name, weight in learner.model.encoder.named_parameters()
        },
    )


def launch_and_wait(fabric: Fabric, launch: Callable[[Fabric], None] = Fabric.launch) -> None:
    """Replacement for `Fabric.launch` in processes that have been launched already."""
    launch(fabric)
    fabric.barrier()


@mock.patch.dict(RESNETS, small=small_encoder)
def stop_and_resume(fabric: Fabric, data: str, folder: Path) -> None:
    """Train a run without interruption, then the same run with a stop and a resumption."""
    whole = dataclasses.replace(
        BASE, data=data, out=str(folder / "whole"), epochs=2, device="cpu",
        devices=fabric.world_size, precision="32", log_every=1, change_estimate="local",
    )  # fmt: skip
    stopped = dataclasses.replace(whole, out=str(folder / "stopped"))

    def stop(progress: TrainProgress) -> None:  # called in rank 0 only
        if progress.step == STOP_AFTER:
            signal.raise_signal(signal.SIGTERM)

    # The processes exist already: a barrier replaces the launch, before which each of them checks
    # the folder.
    with mock.patch.object(Fabric, "launch", launch_and_wait):
        train(whole)
        try:
            train(stopped, stop)
        except KeyboardInterrupt:
            fabric.barrier()  # until rank 0 has written the checkpoint
            train(dataclasses.replace(stopped, resume=True))
        else:
            raise AssertionError("the run was not stopped")


def main(data: str, devices: int, folder: Path) -> None:
    """Train every case, then the runs."""
    torch.set_num_threads(1)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    fabric = make_fabric(devices)
    fabric.launch()
    outcomes = {name: learn(fabric, data, case) for name, case in CASES.items()}
    if fabric.is_global_zero:
        (folder / "outcomes.json").write_text(json.dumps(outcomes))
    stop_and_resume(fabric, data, folder)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
