"""Rows a second of training: reading alone, the step alone, and both together.

    python tests/benchmarks/bench_train.py --device cuda --batch-size 256

Makes its own shards with numpy and pyarrow, in a temporary folder. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from caco_data.dataset import open_dataset
from caco_data.training.batches import Batch, BatchReader
from caco_data.training.learner import Learner
from caco_data.training.loop import open_device
from caco_data.training.settings import TrainSettings
from tests.training_data import make_training_set


def rows_per_s(run: Callable[[], int], device: torch.device) -> float:
    """Time a function that says how many rows it worked on, the device's work included."""
    begun = time.perf_counter()
    rows = run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return rows / (time.perf_counter() - begun)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--encoder", default="resnet18", choices=["resnet18", "resnet50"])
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--locations", type=int, default=64)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = make_training_set(Path(folder) / "set", options.locations, dtype="uint16")
        settings = TrainSettings(
            data=str(root), device=options.device, encoder=options.encoder,
            batch_size=options.batch_size, workers=options.workers,
        )  # fmt: skip
        stacks = open_dataset(root).stacks()
        fabric = open_device(settings)
        pinned = fabric.device.type == "cuda"
        reader = BatchReader(stacks, settings.batch_size, 0, settings.workers, pinned)
        learner = Learner(settings, stacks, fabric)
        step = 0

        def learn(batch: Batch) -> None:
            nonlocal step
            learner.learn(batch, step, settings.lr)
            step += 1

        def read(use: Callable[[Batch], None] | None) -> int:
            done, epoch = 0, 0
            while done < options.steps:
                with closing(reader.epoch(epoch)) as batches:
                    for batch in batches:
                        if use is not None:
                            use(batch)
                        done += 1
                        if done == options.steps:
                            break
                epoch += 1
            return int(done * settings.batch_size)

        first = next(reader.epoch(0))
        resident = Batch(first.locations, tuple(x.to(fabric.device) for x in first.tiles))

        def only_learn() -> int:
            for _ in range(options.steps):
                learn(resident)
            return int(options.steps * settings.batch_size)

        learn(resident)  # warm up
        figures = {
            "data_only": rows_per_s(lambda: read(None), fabric.device),
            "device_only": rows_per_s(only_learn, fabric.device),
            "end_to_end": rows_per_s(lambda: read(learn), fabric.device),
        }
    for name, value in figures.items():
        print(f"{name:12s} {value:10.1f} rows/s")
    print(f"end to end / device only: {figures['end_to_end'] / figures['device_only']:.2f}")
    if fabric.device.type == "cuda":
        print(f"peak memory: {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")
    print(json.dumps({name: round(value, 1) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
