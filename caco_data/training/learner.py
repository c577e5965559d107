"""Everything that changes while training, and the step that changes it."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor

from caco_data.dataset.reader import StackTable
from caco_data.training.augment import Augmenter, sample_parameters
from caco_data.training.batches import Batch
from caco_data.training.change import ChangeEstimator
from caco_data.training.distributed import gather, share_batch_norm
from caco_data.training.loss import Scores, score
from caco_data.training.methods import METHODS
from caco_data.training.models.encoder import make_encoder
from caco_data.training.models.frameworks import MoCo, SimCLR
from caco_data.training.settings import TrainSettings


class Learner:
    """Model, optimiser and change estimate.

    Parameters
    ----------
    settings : TrainSettings
        What to train.
    stacks : StackTable
        What it is trained on.
    fabric : Fabric
        Device and precision.
    """

    estimator: ChangeEstimator | None
    """For the methods that label changes."""

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
            # DDP's successor of it is not in the oldest torch we run with.
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated")
            self._forward, self._optimizer = fabric.setup(model, optimizer)
        self.estimator = None
        if self.method.estimates_change:
            locations = len(stacks.location_ids)
            self.estimator = ChangeEstimator(
                locations, device, settings.mixture, settings.change_estimate
            )

    def learn(self, batch: Batch, step: int, lr: float) -> Scores:
        """Take one step.

        Parameters
        ----------
        batch : Batch
            N rows, of which this process has n; on the device, or on the way there.
        step : int
            Its number; with the seed it determines the augmentation.
        lr : float
            Learning rate.

        Returns
        -------
        Scores
            Of the n rows.
        """
        fabric, model = self._fabric, self.model
        tiles = [x.to(fabric.device, non_blocking=True) for x in batch.tiles]  # (T, n, C, H, W)
        locations = self._to_device(torch.from_numpy(batch.locations))  # (N / 2,)
        n = tiles[0].shape[1]
        first = fabric.global_rank * n
        views = self._views(tiles, step, first, 2 * len(locations))  # (1 + V) x (n, C, size, size)
        out = self._forward(views, with_anchor=self.estimator is not None)

        learnt_from = model.queue is None
        keys = gather(fabric, out.keys, 2, learnt_from)  # (V, V, N, E)
        queries = gather(fabric, out.queries, 1, True) if learnt_from else None  # (V, N, E)
        changed = None
        if self.estimator is not None:
            everywhere = self.estimator.changed[locations].repeat_interleave(2)  # (N,)
            changed = everywhere[first : first + n]
        scores = score(out.queries, keys, model.queue, changed, self.method, first, queries)

        for group in self._optimizer.param_groups:
            group["lr"] = lr
        fabric.backward(scores.loss.sum())
        self._optimizer.step()
        self._optimizer.zero_grad()
        if isinstance(model, MoCo):
            model.enqueue(keys)
        if self.estimator is not None:
            rows = torch.stack([2 * locations, 2 * locations + 1], dim=1).flatten()  # (N,)
            anchor = gather(fabric, out.anchor, 0)  # (N, E)
            self.estimator.update(rows, anchor, keys[1, 1].detach())
        return scores

    def _to_device(self, x: Tensor) -> Tensor:
        if self._fabric.device.type == "cuda":
            return x.pin_memory().to(self._fabric.device, non_blocking=True)
        return x

    def _views(self, tiles: list[Tensor], step: int, first: int, rows: int) -> list[Tensor]:
        """The query image and the key views (paper, section 3.2), each with its own crop.

        Parameters are drawn for all the batch's `rows`, so that they do not depend on how many
        processes share it; those of this process begin at `first`.
        """
        seed = np.random.SeedSequence([self.settings.seed, step]).generate_state(1)[0]
        generator = torch.Generator().manual_seed(int(seed))
        views = []
        for view in (self.method.query, *self.method.keys):
            parameters = sample_parameters(rows, generator, crop_only=not view.augmented)
            mine = [x[view.tile] for x in tiles]  # (n, C, H, W) by pixel size
            views.append(self._augment(mine, parameters.part(first, first + len(mine[0]))))
        return views

    def state_dict(self) -> dict[str, Any]:
        """Everything the next step depends on but its number, as tensors and plain values."""
        state = {"model": self.model.state_dict(), "optimizer": self._optimizer.state_dict()}
        if self.estimator is not None:
            state["estimator"] = self.estimator.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state of a checkpoint."""
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        if self.estimator is not None:
            self.estimator.load_state_dict(state["estimator"])


def _make_model(settings: TrainSettings, bands: int) -> MoCo | SimCLR:
    heads = METHODS[settings.method].heads
    with torch.random.fork_rng(devices=[]):  # the caller's random state is none of our business
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
    """A tenth of the initial rate from 60 % of the steps on, a hundredth from 80 %."""
    drops = sum(step >= math.ceil(share * steps) for share in (0.6, 0.8))
    return settings.lr / 10.0**drops
