"""Contrastive frameworks, from views to embeddings: MoCo with two networks, SimCLR with one.

Both have one projection head per subspace of the method (three in the paper, section 3.2) and
return the same `Embeddings` to the same loss.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Embeddings(NamedTuple):
    """Embeddings of one step; every vector has unit length."""

    queries: Tensor
    """(V, N, E): query view under each head, with gradient."""
    keys: Tensor
    """(V, V, N, E): [i, j] is key view j under head i, with gradient in SimCLR only."""
    anchor: Tensor | None
    """(N, E): query view embedded as a key under head 1, for the change estimate."""


def _embed(heads: nn.ModuleList, features: Sequence[Tensor]) -> Tensor:
    """Project the features (N, F) of each view with each head: (heads, views, N, E)."""
    return torch.stack([torch.stack([_unit(head(x)) for x in features]) for head in heads])


class ContrastiveModel(nn.Module):
    """Encoder and projection heads, the parts common to SimCLR and MoCo.

    Parameters
    ----------
    encoder : nn.Module
        Maps images (N, C, H, W) to features (N, F).
    features : int
        Number F of features.
    embedding : int
        Width E of the embeddings.
    heads : int
        Number V of projection heads; each has its own key view.
    """

    queue: Tensor | None
    """(V, K, E): earlier keys; None if the batch provides the negatives."""

    def __init__(self, encoder: nn.Module, features: int, embedding: int, heads: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.features = features
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(features, features), nn.ReLU(), nn.Linear(features, embedding))
            for _ in range(heads)
        )


class SimCLR(ContrastiveModel):
    """SimCLR (Chen et al. 2020): the trained network also embeds the keys, with gradient.

    Parameters are those of `ContrastiveModel`.
    """

    queue = None

    def forward(self, views: Sequence[Tensor], with_anchor: bool) -> Embeddings:
        """Embed a batch; see `MoCo.forward`."""
        # One view at a time, as in MoCo: BatchNorm statistics are those of one kind of view.
        query, *keys = (self.encoder(view) for view in views)
        queries = _embed(self.heads, [query])[:, 0]  # (V, N, E)
        anchor = queries[1].detach() if with_anchor else None
        return Embeddings(queries, _embed(self.heads, keys), anchor)


class MoCo(ContrastiveModel):
    """MoCo v2 (Chen et al. 2020) with one queue per head.

    A key network, the moving average of the trained query network, embeds the keys. The first four
    parameters are those of `ContrastiveModel`.

    Parameters
    ----------
    queue_size : int
        Number K of keys in each queue.
    key_momentum : float
        Weight of the old key network in its moving average.
    generator : torch.Generator
        Random generator for the initial directions in the queues.
    """

    queue: Tensor
    """(V, K, E), rows of unit length; even rows are early keys, odd rows late ones."""
    pointer: Tensor
    """Scalar int64: position of the next keys."""

    def __init__(
        self,
        encoder: nn.Module,
        features: int,
        embedding: int,
        heads: int,
        queue_size: int,
        key_momentum: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__(encoder, features, embedding, heads)
        self.key_encoder = copy.deepcopy(self.encoder).requires_grad_(False)
        self.key_heads = copy.deepcopy(self.heads).requires_grad_(False)
        self._update_average = get_ema_multi_avg_fn(key_momentum)  # type: ignore[no-untyped-call]
        queue = torch.randn(heads, queue_size, embedding, generator=generator)
        self.register_buffer("queue", normalize(queue, dim=2))
        self.register_buffer("pointer", torch.zeros((), dtype=torch.int64))

    def forward(self, views: Sequence[Tensor], with_anchor: bool) -> Embeddings:
        """Update the key network, then embed a batch.

        Parameters
        ----------
        views : sequence of 1 + V Tensors, shape (N, C, H, W)
            The query view and the key views.
        with_anchor : bool
            Whether to return `Embeddings.anchor`.
        """
        query, *key_views = views
        queries = _embed(self.heads, [self.encoder(query)])[:, 0]  # (V, N, E)
        with torch.no_grad():
            self._update_key_network()
            # One view at a time: BatchNorm statistics must be those of one view, as for the query.
            keys = _embed(self.key_heads, [self.key_encoder(view) for view in key_views])
            anchor = _unit(self.key_heads[1](self.key_encoder(query))) if with_anchor else None
        return Embeddings(queries, keys, anchor)

    def _update_key_network(self) -> None:
        for averaged, trained in ((self.key_encoder, self.encoder), (self.key_heads, self.heads)):
            parameters = list(averaged.parameters())
            if parameters:
                # The last argument, the number of averaged models, is unused by this average.
                self._update_average(parameters, list(trained.parameters()), 0)

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Write the keys of view i under head i to queue i, over the oldest ones.

        Parameters
        ----------
        keys : Tensor, shape (V, V, N, E)
            As in `Embeddings`; N even, so that queue rows still alternate between early and late.
        """
        size, rows = self.queue.shape[1], keys.shape[2]
        positions = (self.pointer + torch.arange(rows, device=keys.device)) % size
        own = keys.diagonal(dim1=0, dim2=1).permute(2, 0, 1)  # (V, N, E)
        self.queue.index_copy_(1, positions, own.to(self.queue.dtype))
        self.pointer.copy_((self.pointer + rows) % size)


def _unit(x: Tensor) -> Tensor:
    """Scale rows to unit length in at least 32 bits: 16 bits are too coarse for the logits."""
    return normalize(x if x.dtype == torch.float64 else x.float(), dim=1)
