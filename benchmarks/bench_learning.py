"""Change detection and linear probes of each method on the simulated archive.

    python -m benchmarks.bench_learning --out build/learning

Takes one to two hours on two cores. Finished parts are stored in `--out`; after an interruption,
run the same command again. Prints a table, then its rows as JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from caco_data.dataset.reader import Dataset, open_dataset
from caco_data.evaluation.features import embed
from caco_data.evaluation.probes import change_ratio, linear_probe
from caco_data.training.device import open_device
from caco_data.training.learner import Learner
from caco_data.training.loop import train
from caco_data.training.metrics import auroc
from caco_data.training.models.weights import load_encoder
from caco_data.training.outputs import save_encoder
from caco_data.training.run_folder import RunFolder
from caco_data.training.settings import MethodName, TrainSettings
from caco_data.training.truth import read_truth

METHODS: tuple[MethodName, ...] = ("moco", "seco", "teco", "caco")
#: Minimum number of locations of a class in the linear probe.
MIN_CLASS_LOCATIONS = 30


def make_dataset(root: Path, locations: int) -> Path:
    """Sample the locations and download their stacks, unless already done."""
    locations_file, dataset = root / "locations.parquet", root / "dataset"
    command = [sys.executable, "-m", "caco_data.cli"]
    if not locations_file.exists():
        subprocess.run(
            [*command, "sample", "--n", str(locations), "--out", str(locations_file)], check=True
        )
    subprocess.run(
        [*command, "download", "--locations", str(locations_file), "--source", "simulated",
         "--out", str(dataset)],
        check=True,
    )  # fmt: skip
    return dataset


def train_one(settings: TrainSettings) -> None:
    """Train or resume a run, on one thread because the runs share the CPU."""
    torch.set_num_threads(1)
    train(settings)
    print(f"trained {settings.out}", flush=True)


def evaluate(run: Path, dataset_root: Path) -> dict[str, float]:
    """Evaluate the encoder of a run, or read the stored results."""
    results = run / "evaluation.json"
    if results.exists():
        found: dict[str, float] = json.loads(results.read_text())
        return found
    torch.set_num_threads(1)
    dataset = open_dataset(dataset_root)
    features = embed(dataset, load_encoder(run / "encoder.safetensors"))
    ids = dataset.stacks().location_ids
    changed = read_truth(dataset, ids)
    assert changed is not None
    result = {"auroc_features": auroc(change_ratio(features), changed)}
    if (run / "change.parquet").exists():
        ratio = pq.read_table(run / "change.parquet")["ratio"].to_numpy()
        result["auroc_estimate"] = auroc(ratio, changed)
    result["probe"] = probe(dataset, features[:, 0])
    results.write_text(json.dumps(result))
    return result


def probe(dataset: Dataset, features: NDArray[np.float32]) -> float:
    """Land cover accuracy on features of early tiles, (L, T, F), without rare classes."""
    truth = dataset.truth()
    assert truth is not None
    cover = np.array(truth["land_cover"].to_pylist())
    names, counts = np.unique(cover, return_counts=True)
    known = np.isin(cover, names[counts >= MIN_CLASS_LOCATIONS])
    tiles = features.shape[1]
    return linear_probe(
        features[known].reshape(-1, features.shape[2]),
        cover[known].repeat(tiles),
        np.flatnonzero(known).repeat(tiles),
    )


def save_untrained(run: Path, like: TrainSettings) -> None:
    """Save an encoder with initial weights as the baseline."""
    settings = dataclasses.replace(like, out=str(run), resume=False)
    dataset = open_dataset(settings.data)
    folder = RunFolder(settings, dataset)
    stacks = dataset.stacks()
    learner = Learner(settings, stacks, open_device(settings))
    save_encoder(folder, dataset, learner.model.encoder, learner.model.features)


def table(results: dict[str, list[dict[str, float]]]) -> str:
    """Mean and standard deviation over the seeds as a Markdown table."""
    names = {"auroc_estimate": "estimate during training",
             "auroc_features": "features after training", "probe": "land cover"}  # fmt: skip
    lines = [f"| method | {' | '.join(names.values())} |", "|---" * (1 + len(names)) + "|"]
    for method, runs in results.items():
        cells = []
        for name in names:
            values = [run[name] for run in runs if name in run]
            spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
            cells.append(f"{np.mean(values):.3f}{spread}" if values else "")
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("build/learning"))
    parser.add_argument("--locations", type=int, default=1200)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    dataset = make_dataset(options.out, options.locations)
    # A short queue, a low key momentum and small views: minutes per run on 1200 locations.
    runs = [
        TrainSettings(
            data=str(dataset), out=str(options.out / f"{method}-{seed}"), method=method, seed=seed,
            epochs=options.epochs, batch_size=64, queue_size=1024, key_momentum=0.99,
            crop_size=64, device="cpu", workers=2, keep_best=0, resume=True,
            change_estimate="smoothed",
        )
        for seed in range(options.seeds)
        for method in reversed(METHODS)
    ]  # fmt: skip
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        list(pool.map(train_one, runs))
        untrained = options.out / "untrained"
        if not untrained.exists():
            save_untrained(untrained, runs[0])
        folders = [untrained, *(Path(run.out) for run in runs)]
        measured = dict(zip(folders, pool.map(evaluate, folders, repeat(dataset)), strict=True))
    results = {"untrained": [measured[untrained]]}
    for method in METHODS:
        own = (path for path in folders if path.name.rpartition("-")[0] == method)
        results[method] = [measured[path] for path in own]
    print(table(results))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
