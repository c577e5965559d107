"""Fine-tuning: training of a whole network with a linear classifier on labelled images."""

from __future__ import annotations

import copy
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softmax

from caco_data.evaluation.cache import FOLDER
from caco_data.evaluation.classifiers import Prediction
from caco_data.evaluation.contenders import NetworkContender
from caco_data.evaluation.image_features import ImageFiles, Progress
from caco_data.storage import LocalStorage, write_bytes

#: Images per step.
BATCH = 64
#: Learning rates of AdamW; the best one on the validation part is used.
RATES = (1e-4, 1e-3)
WEIGHT_DECAY = 0.05


@dataclass(frozen=True)
class FinetuneJob:
    """A network and the images to train it on."""

    contender: NetworkContender
    files: ImageFiles
    labels: NDArray[np.int64]
    """(N,), classes of all images."""
    classes: int
    train: NDArray[np.int64]
    """Positions of the training images."""
    val: NDArray[np.int64]
    test: NDArray[np.int64]
    epochs: int
    seed: int

    @property
    def recipe(self) -> tuple[Any, ...]:
        """Everything that the result depends on, besides images and network."""
        return (
            self.epochs, self.seed, BATCH, RATES, WEIGHT_DECAY, self.labels.tolist(),
            self.train.tolist(), self.val.tolist(), self.test.tolist(),
        )  # fmt: skip


class _State(nn.Module):
    """Network with a classifier."""

    def __init__(self, encoder: nn.Module, features: int, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(features, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, K) of inputs (N, C, H, W)."""
        logits: Tensor = self.head(self.encoder(x))
        return logits


def finetune(job: FinetuneJob, storage: LocalStorage, key: str, progress: Progress) -> Prediction:
    """Train with each learning rate; predict the test part with the best one.

    After each epoch the state is saved, so that an interrupted call continues with the next epoch.
    AdamW, cosine decay to zero, random flips and quarter turns; the state after the last epoch.

    Parameters
    ----------
    job : FinetuneJob
        What to train.
    storage : LocalStorage
        Folder of the evaluation.
    key : str
        Digest of the job: name of the saved states.
    progress : callable
        Called with the name of a step, the epochs done and their number.
    """
    best: tuple[float, float, NDArray[np.float32]] | None = None
    for i, rate in enumerate(RATES):
        name = f"{FOLDER}/{key}-{i}.pt"
        step = f"fine-tuning, {job.contender.name}, learning rate {rate:g}"
        model = _train(job, rate, storage, name, lambda e, s=step: progress(s, e, job.epochs))
        correct = _logits(job, model, job.val).argmax(1) == job.labels[job.val]
        if best is None or correct.mean() > best[0]:
            best = float(correct.mean()), rate, _logits(job, model, job.test)
    assert best is not None
    for i in range(len(RATES)):
        storage.remove(f"{FOLDER}/{key}-{i}.pt")
    probability = softmax(torch.from_numpy(best[2]).double(), dim=1).numpy()
    return Prediction(probability.argmax(1), probability.max(1), best_lr=best[1])


def _train(job: FinetuneJob, rate: float, storage: LocalStorage, name: str, report: Any) -> _State:
    """Train with one learning rate, from the saved state if there is one."""
    contender = job.contender
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.seed)
        encoder = copy.deepcopy(contender.module).requires_grad_(True)
        width = contender.features(job.files.read(job.train[:1])).shape[1]
        model = _State(encoder, width, job.classes).to(contender.device)
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, job.epochs)
    done = _restore(storage, name, model, optimizer, schedule)
    for epoch in range(done, job.epochs):
        rng = np.random.default_rng([job.seed, epoch])
        model.train()
        order = rng.permutation(job.train)
        for start in range(0, len(order), BATCH):
            _step(job, model, optimizer, order[start : start + BATCH], rng)
        schedule.step()
        buffer = io.BytesIO()
        state = [one.state_dict() for one in (model, optimizer, schedule)]
        torch.save({"epoch": epoch + 1, "state": state}, buffer)
        write_bytes(storage, name, buffer.getvalue())
        report(epoch + 1)
    return model.eval()


def _restore(storage: LocalStorage, name: str, *parts: Any) -> int:
    """Load a saved state; return the epochs done."""
    if not storage.exists(name):
        return 0
    saved = torch.load(io.BytesIO(storage.read(name)), weights_only=True, map_location="cpu")
    for part, state in zip(parts, saved["state"], strict=True):
        part.load_state_dict(state)
    return int(saved["epoch"])


def _step(
    job: FinetuneJob,
    model: _State,
    optimizer: torch.optim.Optimizer,
    positions: NDArray[np.int64],
    rng: np.random.Generator,
) -> None:
    if len(positions) < 2:  # batch normalisation needs two images
        return
    x = job.contender.inputs(job.files.read(positions))
    flip, turns = rng.random() < 0.5, int(rng.integers(4))
    x = torch.rot90(x.flip(3) if flip else x, turns, (2, 3))
    target = torch.from_numpy(job.labels[positions]).to(job.contender.device)
    loss = cross_entropy(model(x.to(job.contender.device)), target)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


@torch.no_grad()
def _logits(
    job: FinetuneJob, model: _State, positions: Sequence[int] | NDArray[np.int64]
) -> NDArray[np.float32]:
    rows = []
    for batch in job.files.batches(positions):
        x = job.contender.inputs(batch).to(job.contender.device)
        rows.append(model(x).float().cpu().numpy())
    found: NDArray[np.float32] = np.concatenate(rows)
    return found
