"""Model, optimiser and change estimate of a run, and one training step."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor

from caco_data.dataset.stack_table import StackTable
from caco_data.training.augment import Augmenter, sample_parameters
from caco_data.training.batches import Batch
from caco_data.training.change import ChangeEstimator
from caco_data.training.device import to_device
from caco_data.training.distributed import gather, share_batch_norm
from caco_data.training.local_change import LocalChange
from caco_data.training.loss import Scores, score
from caco_data.training.methods import METHODS
from caco_data.training.models.encoder import make_encoder
from caco_data.training.models.frameworks import Embeddings, MoCo, SimCLR
from caco_data.training.settings import TrainSettings


class Learner:
    """Model, optimiser and change estimate.

    Parameters
    ----------
    settings : TrainSettings
        Settings of the run.
    stacks : StackTable
        Training data.
    fabric : Fabric
        Device, precision and processes.
    """

    estimator: ChangeEstimator | LocalChange | None
    """None for methods without change labels."""

    def __init__(self, settings: TrainSettings, stacks: StackTable, fabric: Fabric) -> None:
        self.settings = settings
        self.method = METHODS[settings.method]
        self._fabric = fabric
        device = fabric.device
        eight_bit = stacks.dtype == np.uint8
        self._augment = Augmenter(stacks.bands, eight_bit, settings.crop_size, device)
        model = _make_model(settings, len(stacks.bands))
        if fabric.world_size > 1:
            share_batch_norm(model, device)
        if settings.compile:
            for name in ("encoder", "key_encoder"):
                if hasattr(model, name):
                    getattr(model, name).compile()
        self.model = model
        optimizer = torch.optim.SGD(
            [parameter for parameter in model.parameters() if parameter.requires_grad],
            settings.lr,
            settings.momentum,
            weight_decay=settings.weight_decay,
            fused=device.type == "cuda",
        )
        with warnings.catch_warnings():
            # The replacement of this argument of DDP is missing from the oldest supported torch.
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated")
            self._forward, self._optimizer = fabric.setup(model, optimizer)
        self.estimator = None
        locations = len(stacks.location_ids)
        if self.method.estimates_change and settings.change_estimate == "local":
            self.estimator = LocalChange(locations, device, settings.mixture)
        elif self.method.estimates_change:
            self.estimator = ChangeEstimator(
                locations, device, settings.mixture, settings.change_estimate
            )

    def learn(self, batch: Batch, step: int, lr: float) -> Scores:
        """Take one step.

        Parameters
        ----------
        batch : Batch
            N rows, n of them in this process; on the device, or in pinned memory.
        step : int
            Number of the step; with the seed it determines the augmentation.
        lr : float
            Learning rate.

        Returns
        -------
        Scores
            Scores of the n rows.
        """
        fabric, model = self._fabric, self.model
        tiles = [x.to(fabric.device, non_blocking=True) for x in batch.tiles]  # (T, n, C, H, W)
        locations = to_device(torch.from_numpy(batch.locations), fabric.device)  # (N / 2,)
        first = fabric.global_rank * tiles[0].shape[1]
        rows = fabric.world_size * tiles[0].shape[1]
        views = self._views(tiles, step, first, rows)  # (1 + V) x (n, C, size, size)
        embeds = isinstance(self.estimator, ChangeEstimator)
        out = self._forward(views, with_anchor=embeds)
        # Without a queue (SimCLR), gradients also flow through the keys.
        keys = gather(fabric, out.keys, 2, model.queue is None)  # (V, V, N, E)
        scores = self._score(out, keys, locations, first)
        self._optimise(scores.loss.sum(), lr)
        if isinstance(model, MoCo):
            model.enqueue(keys)
        if isinstance(self.estimator, ChangeEstimator):
            places = torch.stack([2 * locations, 2 * locations + 1], dim=1).flatten()  # (N,)
            anchor = gather(fabric, out.anchor, 0)  # (N, E)
            self.estimator.update(places, anchor, keys[1, 1].detach())
        return scores

    def _views(self, tiles: list[Tensor], step: int, first: int, rows: int) -> list[Tensor]:
        """Make the query view and the key views, each with its own crop (paper, section 3.2).

        Augmentation parameters are drawn for all `rows` of the batch, so that they do not depend on
        the number of processes; the rows of this process start at `first`.
        """
        seed = np.random.SeedSequence([self.settings.seed, step]).generate_state(1)[0]
        generator = torch.Generator().manual_seed(int(seed))
        views = []
        for view in (self.method.query, *self.method.keys):
            parameters = sample_parameters(rows, generator, crop_only=not view.augmented)
            own = [x[view.tile] for x in tiles]  # (n, C, H, W) by pixel size
            views.append(self._augment(own, parameters.part(first, first + len(own[0]))))
        return views

    def _score(self, out: Embeddings, keys: Tensor, locations: Tensor, first: int) -> Scores:
        """Loss and accuracy of this process's rows, which start at row `first` of the batch."""
        queue = self.model.queue
        queries = gather(self._fabric, out.queries, 1, True) if queue is None else None  # (V, N, E)
        changed = None
        if self.estimator is not None:
            labels = self.estimator.changed[locations].repeat_interleave(2)  # (N,)
            changed = labels[first : first + out.queries.shape[1]]
        return score(out.queries, keys, queue, changed, self.method, first, queries)

    def _optimise(self, loss: Tensor, lr: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._fabric.backward(loss)
        self._optimizer.step()
        self._optimizer.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next step depends on, except its number."""
        state = {"model": self.model.state_dict(), "optimizer": self._optimizer.state_dict()}
        if self.estimator is not None:
            state["estimator"] = self.estimator.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state of a checkpoint."""
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        if self.estimator is not None:
            self.estimator.load_state_dict(state["estimator"])


def _make_model(settings: TrainSettings, bands: int) -> MoCo | SimCLR:
    heads = METHODS[settings.method].heads
    with torch.random.fork_rng(devices=[]):  # leaves the caller's random state unchanged
        torch.manual_seed(settings.seed)
        encoder, features = make_encoder(settings.encoder, bands, settings.crop_size)
        model: MoCo | SimCLR
        if settings.framework == "simclr":
            model = SimCLR(encoder, features, settings.embedding, heads)
        else:
            generator = torch.Generator().manual_seed(settings.seed)
            model = MoCo(
                encoder, features, settings.embedding, heads,
                settings.queue_size, settings.key_momentum, generator,
            )  # fmt: skip
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def learning_rate(settings: TrainSettings, step: int, steps: int) -> float:
    """Learning rate of a step, 0 to `steps` - 1: warm-up, then the schedule of the settings."""
    warm = settings.warmup * steps
    if step < warm:
        return settings.lr * (step + 1) / (math.floor(warm) + 1)
    if settings.schedule == "cosine":
        return settings.lr * (1 + math.cos(math.pi * (step - warm) / (steps - warm))) / 2
    drops = sum(step >= math.ceil(share * steps) for share in (0.6, 0.8))
    return settings.lr / 10.0**drops
