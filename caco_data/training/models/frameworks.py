"""From views to embeddings: MoCo's pair of networks, and SimCLR's one.

Both have a projection head for each subspace of the method (three in the paper, section 3.2), and
give the same kind of embeddings to the same loss.
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
    """What one step compares; every vector has length one."""

    queries: Tensor
    """(V, N, E): the query image under each head, with gradient."""
    keys: Tensor
    """(V, V, N, E): [i, j] is key view j under head i."""
    anchor: Tensor | None
    """(N, E): the query image as a key under head 1, for the change estimate."""


def _heads(count: int, features: int, embedding: int) -> nn.ModuleList:
    return nn.ModuleList(
        nn.Sequential(nn.Linear(features, features), nn.ReLU(), nn.Linear(features, embedding))
        for _ in range(count)
    )


def _embed(heads: nn.ModuleList, features: Sequence[Tensor]) -> Tensor:
    """Project the features (N, F) of each view by each head: (heads, views, N, E)."""
    return torch.stack([torch.stack([_unit(head(x)) for x in features]) for head in heads])


class SimCLR(nn.Module):
    """SimCLR (Chen et al. 2020): keys come from the network that learns, and are learnt from.

    Parameters
    ----------
    encoder : nn.Module
        Maps images (N, C, H, W) to features (N, F).
    features : int
        F.
    embedding : int
        Width E of the embeddings.
    heads : int
        Projection heads V, each with a key view of its own.
    """

    queue = None
    """The batch itself holds the negatives."""

    def __init__(self, encoder: nn.Module, features: int, embedding: int, heads: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = _heads(heads, features, embedding)

    def forward(self, views: Sequence[Tensor], with_anchor: bool) -> Embeddings:
        """Embed a batch; see `MoCo.forward`."""
        # One view at a time, as in MoCo: BatchNorm sees images of one kind.
        query, *keys = (self.encoder(view) for view in views)
        queries = _embed(self.heads, [query])[:, 0]  # (V, N, E)
        anchor = queries[1].detach() if with_anchor else None
        return Embeddings(queries, _embed(self.heads, keys), anchor)


class MoCo(nn.Module):
    """MoCo v2 (Chen et al. 2020) with a queue a head: a key network follows the one that learns.

    Parameters
    ----------
    encoder : nn.Module
        Maps images (N, C, H, W) to features (N, F).
    features : int
        F.
    embedding : int
        Width E of the embeddings.
    heads : int
        Projection heads V, each with a key view of its own.
    queue_size : int
        Keys K kept by each queue.
    key_momentum : float
        Share of the key network that stays at each step.
    generator : torch.Generator
        Fills the queues with random directions.
    """

    queue: Tensor
    """(V, K, E), rows of unit length; even rows are early keys, odd rows late ones."""
    pointer: Tensor
    """Scalar int64: where the next keys go."""

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
        super().__init__()
        self.encoder = encoder
        self.heads = _heads(heads, features, embedding)
        self.key_encoder = copy.deepcopy(self.encoder).requires_grad_(False)
        self.key_heads = copy.deepcopy(self.heads).requires_grad_(False)
        self._move_average = get_ema_multi_avg_fn(key_momentum)  # type: ignore[no-untyped-call]
        queue = torch.randn(heads, queue_size, embedding, generator=generator)
        self.register_buffer("queue", normalize(queue, dim=2))
        self.register_buffer("pointer", torch.zeros((), dtype=torch.int64))

    def forward(self, views: Sequence[Tensor], with_anchor: bool) -> Embeddings:
        """Move the key network towards the query network, then embed a batch.

        Parameters
        ----------
        views : sequence of 1 + V Tensors, shape (N, C, H, W)
            The query images and the key views.
        with_anchor : bool
            Whether the change estimate needs the query images as keys.
        """
        query, *key_views = views
        queries = _embed(self.heads, [self.encoder(query)])[:, 0]  # (V, N, E)
        with torch.no_grad():
            self._follow()
            # One view at a time: BatchNorm must see each view alone, as the query is seen.
            keys = _embed(self.key_heads, [self.key_encoder(view) for view in key_views])
            anchor = _unit(self.key_heads[1](self.key_encoder(query))) if with_anchor else None
        return Embeddings(queries, keys, anchor)

    def _follow(self) -> None:
        for followers, leaders in (
            (self.key_encoder, self.encoder),
            (self.key_heads, self.heads),
        ):
            followed = list(followers.parameters())
            if followed:
                # The count of averaged models is of no use to an exponential average.
                self._move_average(followed, list(leaders.parameters()), 0)

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Put view i's keys under head i into queue i, over the oldest ones.

        Parameters
        ----------
        keys : Tensor, shape (V, V, N, E)
            As in `Embeddings`; N even, so that queue rows go on alternating early and late.
        """
        size, rows = self.queue.shape[1], keys.shape[2]
        places = (self.pointer + torch.arange(rows, device=keys.device)) % size
        own = keys.diagonal(dim1=0, dim2=1).permute(2, 0, 1)  # (V, N, E)
        self.queue.index_copy_(1, places, own.to(self.queue.dtype))
        self.pointer.copy_((self.pointer + rows) % size)


def _unit(x: Tensor) -> Tensor:
    """Scale rows to length one, in 32 bits at least: halves would blur the logits."""
    return normalize(x if x.dtype == torch.float64 else x.float(), dim=1)
