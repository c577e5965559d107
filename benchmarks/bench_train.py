"""Training speed: reading alone, steps alone, both together, and the time of each phase.

    python -m benchmarks.bench_train --device cuda --encoder resnet50 --batch-size 1024

Writes its own shards with numpy and pyarrow to a temporary folder, so that it needs none of the
download dependencies. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from caco_data.dataset.reader import open_dataset
from caco_data.training import learner as learner_module
from caco_data.training.batches import Batch, BatchReader
from caco_data.training.device import open_device
from caco_data.training.learner import Learner
from caco_data.training.methods import METHODS
from caco_data.training.prefetch import prefetch
from caco_data.training.settings import TrainSettings
from tests.support.training_data import make_training_set

#: Samples per second of the authors' code with resnet18 and a batch of 32 on two cores.
REFERENCE = 4.1


class Bench:
    """Timed runs of a learner and a batch reader.

    Parameters
    ----------
    settings : TrainSettings
        Settings of the run.
    steps : int
        Steps per measurement.
    """

    def __init__(self, settings: TrainSettings, steps: int) -> None:
        stacks = open_dataset(settings.data).stacks()
        self.fabric = open_device(settings)
        self.device = self.fabric.device
        method = METHODS[settings.method]
        self.reader = BatchReader(
            stacks, settings.batch_size, settings.seed, method.tiles, settings.aligned,
            settings.workers, self.device.type == "cuda",
        )  # fmt: skip
        self.learner = Learner(settings, stacks, self.fabric)
        self.settings = settings
        self.steps = steps
        self.step = 0
        first = next(self.reader.epoch(0))
        self.resident = Batch(first.locations, tuple(x.to(self.device) for x in first.tiles))

    def learn(self, batch: Batch) -> None:
        """Take a step."""
        self.learner.learn(batch, self.step, self.settings.lr)
        self.step += 1

    def wait(self) -> None:
        """Wait for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def batches(self) -> Iterator[Batch]:
        """Yield `steps` batches, read as in the training loop."""
        left, epoch = self.steps, 0
        while left:
            with closing(self.reader.epoch(epoch)) as read:
                for batch in prefetch(read, self.device):
                    yield batch
                    left -= 1
                    if not left:
                        return
            epoch += 1

    def rows_per_s(self, run: Callable[[], None]) -> float:
        """Rows per second over `steps` steps, including the device's work."""
        self.wait()
        start = time.perf_counter()
        run()
        self.wait()
        return self.steps * self.settings.batch_size / (time.perf_counter() - start)

    def data_only(self) -> None:
        """Read batches and copy them to the device."""
        for _ in self.batches():
            pass

    def device_only(self) -> None:
        """Learn repeatedly from one batch that is on the device."""
        for _ in range(self.steps):
            self.learn(self.resident)

    def end_to_end(self) -> None:
        """Read batches and learn from them."""
        for batch in self.batches():
            self.learn(batch)

    def seconds_by_phase(self) -> dict[str, float]:
        """Seconds per step of each phase, waiting for the device after each phase."""
        spent: dict[str, float] = defaultdict(float)

        def timed(phase: str, owner: Any, name: str) -> None:
            inner = getattr(owner, name)

            def outer(*args: Any, **kwargs: Any) -> Any:
                self.wait()
                start = time.perf_counter()
                result = inner(*args, **kwargs)
                self.wait()
                spent[phase] += (time.perf_counter() - start) / self.steps
                return result

            setattr(owner, name, outer)

        learner, model = self.learner, self.learner.model
        timed("views", learner, "_views")
        timed("query encoder", model.encoder, "forward")
        if hasattr(model, "key_encoder"):
            timed("key network update", model, "_update_key_network")
            timed("key encoder", model.key_encoder, "forward")
            timed("queue", model, "enqueue")
        timed("loss", learner_module, "score")
        timed("backward", self.fabric, "backward")
        timed("optimiser", learner._optimizer, "step")
        if learner.estimator is not None:
            timed("change estimate", learner.estimator, "update")
        start = time.perf_counter()
        batches = self.batches()
        for _ in range(self.steps):
            asked = time.perf_counter()
            batch = next(batches)
            spent["waiting for data"] += (time.perf_counter() - asked) / self.steps
            self.learn(batch)
        self.wait()
        spent["other"] = (time.perf_counter() - start) / self.steps - sum(spent.values())
        return spent

    def peak_gib(self) -> float:
        """Peak memory in GiB of the GPU or of this process."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated() / 2**30
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Run the benchmark and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--method", default="caco", choices=sorted(METHODS))
    parser.add_argument("--framework", default="moco", choices=["moco", "simclr"])
    parser.add_argument("--encoder", default="resnet18")
    parser.add_argument("--precision", default="auto", choices=["auto", "bf16", "32"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--crop-size", type=int, default=224)
    parser.add_argument("--locations", type=int, help="default: two batches")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        locations = options.locations or options.batch_size
        root = make_training_set(Path(folder) / "set", locations, dtype="uint16")
        settings = TrainSettings(
            data=str(root), device=options.device, method=options.method,
            framework=options.framework, encoder=options.encoder, precision=options.precision,
            compile=options.compile, batch_size=options.batch_size, crop_size=options.crop_size,
            workers=options.workers, change_estimate="smoothed",
        )  # fmt: skip
        bench = Bench(settings, options.steps)
        for _ in range(2):
            bench.learn(bench.resident)  # warm up
        rates = {
            name: bench.rows_per_s(getattr(bench, name))
            for name in ("data_only", "device_only", "end_to_end")
        }
        peak = bench.peak_gib()
        phases = bench.seconds_by_phase()

    title = (
        f"{settings.encoder}, {settings.method}, {settings.framework}, {settings.batch_size} rows"
    )
    print(
        f"{title}, {settings.device}, torch {torch.__version__}, {torch.get_num_threads()} threads"
    )
    for name, rate in rates.items():
        print(f"{name:12s} {rate:10.1f} rows/s")
    device_only = rates["device_only"]
    print(f"data only / device only:  {rates['data_only'] / device_only:.2f}")
    print(f"end to end / device only: {rates['end_to_end'] / device_only:.2f}")
    if (settings.device, settings.encoder, settings.batch_size) == ("cpu", "resnet18", 32):
        print(f"end to end / authors' code ({REFERENCE}/s): {rates['end_to_end'] / REFERENCE:.2f}")
    print(f"peak memory: {peak:.2f} GiB")
    total = sum(phases.values())
    for phase, seconds in sorted(phases.items(), key=lambda item: -item[1]):
        print(f"{phase:22s} {1000 * seconds:10.1f} ms per step {seconds / total:6.1%}")
    print(json.dumps({name: round(rate, 1) for name, rate in rates.items()}))


if __name__ == "__main__":
    main()
