"""Some steps of training by however many processes: a program for `test_ranks.py`.

    python -m tests.support.train_in_parts DATA DEVICES OUT.json [ROWS]

In double precision: the two agree to the rounding of sums, which single precision blows up within
three steps.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, TypedDict

import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins import DoublePrecision
from lightning.fabric.strategies.ddp import DDPStrategy

from caco_data.dataset.reader import open_dataset
from caco_data.training.batches import BatchReader
from caco_data.training.distributed import mean
from caco_data.training.learner import Learner
from caco_data.training.methods import METHODS
from caco_data.training.settings import TrainSettings

BASE = TrainSettings(batch_size=16, queue_size=32, embedding=16, crop_size=32)
CASES = {
    "caco": BASE,
    "caco simclr": dataclasses.replace(BASE, framework="simclr"),
    "moco": dataclasses.replace(BASE, method="moco"),
}


class Outcome(TypedDict):
    """What the steps gave."""

    losses: list[list[float]]
    """By step and head."""
    distances: list[list[float]]
    """The change estimator's state."""
    weights: float
    """Sum of the absolute weights of the encoder at the end."""


class Double(DoublePrecision):
    """A network in double precision, its embeddings likewise."""

    def convert_output(self, data: Any) -> Any:
        """Leave it as it is: Fabric's own rounds to single precision."""
        return data


def learn(fabric: Fabric, data: str, settings: TrainSettings) -> Outcome:
    """Take one epoch's steps, fit the change labels, take another epoch's."""
    stacks = open_dataset(data).stacks()
    reader = BatchReader(
        stacks, settings.batch_size, settings.seed, METHODS[settings.method].tiles, workers=1,
        part=(fabric.global_rank, fabric.world_size),
    )  # fmt: skip
    learner = Learner(settings, stacks, fabric)
    losses, step = [], 0
    for epoch in (0, 1):
        with closing(reader.epoch(epoch)) as batches:
            for batch in batches:
                losses.append(mean(fabric, learner.learn(batch, step, settings.lr).loss.detach()))
                step += 1
        if learner.estimator is not None:
            learner.estimator.fit()
    estimator = learner.estimator
    return Outcome(
        losses=[loss.tolist() for loss in losses],
        distances=estimator.distances.tolist() if estimator is not None else [],
        weights=sum(float(x.detach().abs().sum()) for x in learner.model.encoder.parameters()),
    )


def main(data: str, devices: int, out: str, rows: int = BASE.batch_size) -> None:
    """Run every case."""
    torch.set_num_threads(1)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    fabric = Fabric(
        accelerator="cpu", devices=devices, plugins=Double(),
        strategy=DDPStrategy(broadcast_buffers=False) if devices > 1 else "auto",
    )  # fmt: skip
    fabric.launch()
    outcomes = {
        name: learn(fabric, data, dataclasses.replace(case, batch_size=rows, queue_size=2 * rows))
        for name, case in CASES.items()
    }
    if fabric.is_global_zero:
        Path(out).write_text(json.dumps(outcomes))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], *map(int, sys.argv[4:]))
