"""What each method learns on the simulated archive, where the truth is known.

    python -m tests.benchmarks.bench_learning --out build/learning

An hour or two on two cores. Every finished part is kept in `--out`: run it again after an
interruption. The table comes last, its rows as JSON after it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

from caco_data.training.loop import train
from caco_data.training.methods import MethodName
from caco_data.training.settings import TrainSettings

METHODS: tuple[MethodName, ...] = ("moco", "seco", "teco", "caco")


def make_dataset(root: Path, locations: int) -> Path:
    """Draw the locations and download their stacks, as far as that is still to do."""
    drawn, dataset = root / "locations.parquet", root / "dataset"
    command = [sys.executable, "-m", "caco_data.cli"]
    if not drawn.exists():
        subprocess.run([*command, "sample", "--n", str(locations), "--out", str(drawn)], check=True)
    subprocess.run(
        [*command, "download", "--locations", str(drawn), "--source", "simulated",
         "--out", str(dataset)],
        check=True,
    )  # fmt: skip
    return dataset


def train_one(settings: TrainSettings) -> None:
    """Train, or finish what was begun; on one thread, as the runs share the processor."""
    torch.set_num_threads(1)
    train(settings)
    print(f"trained {settings.out}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("build/learning"))
    parser.add_argument("--locations", type=int, default=1200)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    dataset = make_dataset(options.out, options.locations)
    # Short queue, quick key network and small views suit minutes on a thousand locations.
    runs = [
        TrainSettings(
            data=str(dataset), out=str(options.out / f"{method}-{seed}"), method=method, seed=seed,
            epochs=options.epochs, batch_size=64, queue_size=1024, key_momentum=0.99,
            crop_size=64, device="cpu", workers=2, keep_best=0, resume=True,
        )
        for seed in range(options.seeds)
        for method in reversed(METHODS)
    ]  # fmt: skip
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        list(pool.map(train_one, runs))


if __name__ == "__main__":
    main()
