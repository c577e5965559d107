"""Contrastive loss (paper, sections 3.2 and 3.3).

Rows alternate: row 2l is the early period of location l, row 2l + 1 the late one; keys in the
queues alternate in the same way. Reshaping (N, E) to (N / 2, 2, E) therefore separates the periods
without masks or indices.

If several processes share a batch, each scores its own rows against the keys of all processes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from caco_data.training.methods import Method

#: Temperature of MoCo v2.
TEMPERATURE = 0.07


@dataclass(frozen=True)
class Scores:
    """Loss and accuracy of a batch under each of V heads."""

    loss: Tensor
    """(V,): mean over the rows of -log softmax of the positive."""
    logsumexp: Tensor
    """(V, n): log of the sum of the exponentiated logits, including the positive."""
    accuracy: Tensor
    """(V,): fraction of rows for which the positive has the largest logit."""


def score(
    queries: Tensor,
    keys: Tensor,
    queue: Tensor | None,
    changed: Tensor | None,
    method: Method,
    first: int = 0,
    all_queries: Tensor | None = None,
) -> Scores:
    """Contrast each query with its positive and its negatives under each head.

    The positive of head i is view i. The negatives are the keys of queue i; for heads 1 and 2 all
    keys of the two other views of the batch; and the keys of view i of the other period, if the
    method uses them.

    Without a queue (SimCLR), the queries and view-i keys of the other rows replace it, restricted
    to the periods that the method would use from a queue. Then view i is also contrasted with the
    queries, and the loss is the mean of both directions.

    Parameters
    ----------
    queries : Tensor, shape (V, n, E)
        Query embeddings per head, of unit length.
    keys : Tensor, shape (V, V, N, E)
        Key embeddings of the whole batch; [i, j] is view j under head i.
    queue : Tensor, shape (V, K, E), optional
        Earlier keys per head.
    changed : Tensor of bool, shape (n,), optional
        Whether the location of each row is labelled changed; for methods that estimate change.
    method : Method
        Selects the negatives.
    first : int
        The queries are the rows `first` to `first + n` of the N rows of the batch.
    all_queries : Tensor, shape (V, N, E), optional
        Queries of the whole batch, if `queries` is a part of it.

    Returns
    -------
    Scores
        Loss and accuracy of the n rows.

    Raises
    ------
    ValueError
        When the method needs `changed` and it is None.
    """
    all_queries = queries if all_queries is None else all_queries
    heads = []
    for i, query in enumerate(queries):
        key = keys[i, i]  # (N, E)
        forward = _Direction(query, key, first, changed, method)
        others = [keys[i, j] for j in range(len(queries)) if j != i] if i else []
        if queue is not None:
            heads.append(forward.score([_similarity(query, queue[i], method.queue)], others))
            continue
        own_keys = key[first : first + len(query)]
        backward = _Direction(own_keys, all_queries[i], first, changed, method)
        both = [
            direction.score([direction.in_batch(key), direction.in_batch(all_queries[i])], others)
            for direction in (forward, backward)
        ]
        heads.append([torch.stack(part).mean(0) for part in zip(*both, strict=True)])
    return Scores(*(torch.stack(part) for part in zip(*heads, strict=True)))


@dataclass(frozen=True)
class _Direction:
    """Rows (n, E) against targets (N, E) under one head; the positive of row i is `first` + i."""

    rows: Tensor
    targets: Tensor
    first: int
    changed: Tensor | None
    method: Method

    def score(self, negatives: list[Tensor], others: list[Tensor]) -> list[Tensor]:
        """Loss (), logsumexp (n,) and accuracy () from similarities (n, M) and further keys."""
        own = self.targets[self.first : self.first + len(self.rows)]
        positive = (self.rows * own).sum(1, keepdim=True)  # (n, 1)
        if self.method.other_period != "none":
            negatives = [*negatives, self._other_period()]
        negatives = [*negatives, *(self.rows @ other.T for other in others)]
        logits = torch.cat([positive, *negatives], dim=1) / TEMPERATURE  # (n, 1 + negatives)
        total = logits.logsumexp(1)
        hits = (logits.detach().argmax(1) == 0).to(logits.dtype)
        return [(total - logits[:, 0]).mean(), total.detach(), hits.mean()]

    def in_batch(self, keys: Tensor) -> Tensor:
        """Similarities with the keys (N, E) of the batch except those of the same row."""
        similarity = _similarity(self.rows, keys, self.method.queue)
        columns = self._columns if self.method.queue == "all" else self._columns // 2
        return _mask(similarity, columns, torch.ones_like(columns, dtype=torch.bool))

    def _other_period(self) -> Tensor:
        """Similarities with the targets of the other period: (n, N / 2)."""
        similarity = _interleave(_split(self.rows) @ _split(self.targets).flip(0).mT)
        if self.method.other_period == "changed":
            if self.changed is None:
                raise ValueError("this method needs change labels")
            similarity = _mask(similarity, self._columns // 2, ~self.changed)
        return similarity

    @property
    def _columns(self) -> Tensor:
        return self.first + torch.arange(len(self.rows), device=self.rows.device)


def _split(rows: Tensor) -> Tensor:
    """Alternating rows (N, E) by period: (2, N / 2, E)."""
    return rows.reshape(-1, 2, rows.shape[1]).transpose(0, 1)


def _interleave(by_period: Tensor) -> Tensor:
    """Rows by period (2, N / 2, M) as alternating rows (N, M)."""
    return by_period.transpose(0, 1).flatten(0, 1)


def _similarity(rows: Tensor, keys: Tensor, periods: str) -> Tensor:
    """Similarities of rows (n, E) with keys (K, E): (n, K), or (n, K / 2) of the same period."""
    if periods == "all":
        return rows @ keys.T
    return _interleave(_split(rows) @ _split(keys).mT)


def _mask(similarity: Tensor, columns: Tensor, where: Tensor) -> Tensor:
    """Exclude one column (n,) of each row (n, M) where a mask (n,) is true.

    Minus infinity adds nothing to a sum of exponentials.
    """
    excluded = torch.zeros_like(similarity, dtype=torch.bool)
    excluded.scatter_(1, columns[:, None], where[:, None])
    return similarity.masked_fill(excluded, -torch.inf)
