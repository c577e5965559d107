"""The contrastive loss (paper, sections 3.2 and 3.3; DESIGN 10).

Rows alternate: row 2l is location l's early period, row 2l + 1 its late one; queue rows likewise.
Splitting (N, E) into (N / 2, 2, E) therefore splits it by period, without masks or indices.

Where several processes share a batch, each scores its own rows against everybody's keys.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from caco_data.training.methods import Method

#: MoCo v2's temperature.
TEMPERATURE = 0.07


@dataclass(frozen=True)
class Scores:
    """Outcome of a batch under each of V heads."""

    loss: Tensor
    """(V,): mean over rows of -log softmax of the positive."""
    logsumexp: Tensor
    """(V, n): log of the sum of exponentiated logits, the positive's among them."""
    accuracy: Tensor
    """(V,): share of rows whose positive has the largest logit."""


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

    Head i's positive is view i. Its negatives are the keys of queue i, for heads 1 and 2 every key
    of the batch's two other views, and view i's keys of the other period, as the method has it.

    Without a queue (SimCLR) the other rows' queries and view-i keys take its place, of the same
    periods as the method allows in a queue, and view i is contrasted with the queries as these are
    with it: the mean of both directions counts.

    Parameters
    ----------
    queries : Tensor, shape (V, n, E)
        Query embeddings by head, of unit length.
    keys : Tensor, shape (V, V, N, E)
        Key embeddings of the whole batch, [i, j] view j under head i.
    queue : Tensor, shape (V, K, E), optional
        Earlier keys by head.
    changed : Tensor of bool, shape (n,), optional
        Whether the row's location is labelled changed; for methods that estimate change.
    method : Method
        The negatives.
    first : int
        The queries are rows `first` to `first + n` of the batch's N.
    all_queries : Tensor, shape (V, N, E), optional
        Those of the whole batch, where `queries` are not all.

    Returns
    -------
    Scores
        Of the n rows.
    """
    everybody = queries if all_queries is None else all_queries
    heads = []
    for i, query in enumerate(queries):
        key = keys[i, i]  # (N, E)
        rows = _Rows(query, key, first, changed, method)
        others = [keys[i, j] for j in range(len(queries)) if j != i] if i else []
        if queue is not None:
            heads.append(rows.score([_against(query, queue[i], method.queue)], others))
            continue
        back = _Rows(key[first : first + len(query)], everybody[i], first, changed, method)
        ways = [
            way.score([way.against_batch(key), way.against_batch(everybody[i])], others)
            for way in (rows, back)
        ]
        heads.append([torch.stack(part).mean(0) for part in zip(*ways, strict=True)])
    return Scores(*(torch.stack(part) for part in zip(*heads, strict=True)))


@dataclass(frozen=True)
class _Rows:
    """Rows (n, E) that look for their likes among targets (N, E), under one head."""

    rows: Tensor
    targets: Tensor
    first: int
    changed: Tensor | None
    method: Method

    def score(self, negatives: list[Tensor], others: list[Tensor]) -> list[Tensor]:
        """Loss (), logsumexp (n,) and accuracy (), given similarities (n, M) and more keys."""
        mine = self.targets[self.first : self.first + len(self.rows)]
        positive = (self.rows * mine).sum(1, keepdim=True)  # (n, 1)
        if self.method.other_period != "none":
            negatives = [*negatives, self._against_other_period()]
        negatives = [*negatives, *(self.rows @ other.T for other in others)]
        logits = torch.cat([positive, *negatives], dim=1) / TEMPERATURE  # (n, 1 + negatives)
        total = logits.logsumexp(1)
        hits = (logits.detach().argmax(1) == 0).to(logits.dtype)
        return [(total - logits[:, 0]).mean(), total.detach(), hits.mean()]

    def against_batch(self, keys: Tensor) -> Tensor:
        """Similarities with keys (N, E) of the batch, the own row's left out."""
        similarity = _against(self.rows, keys, self.method.queue)
        columns = self._columns if self.method.queue == "all" else self._columns // 2
        return _without(similarity, columns, torch.ones_like(columns, dtype=torch.bool))

    def _against_other_period(self) -> Tensor:
        """Similarities with the targets of the other period: (n, N / 2)."""
        similarity = _in_rows(_by_period(self.rows) @ _by_period(self.targets).flip(0).mT)
        if self.method.other_period == "changed":
            if self.changed is None:
                raise ValueError("this method needs change labels")
            similarity = _without(similarity, self._columns // 2, ~self.changed)
        return similarity

    @property
    def _columns(self) -> Tensor:
        return self.first + torch.arange(len(self.rows), device=self.rows.device)


def _by_period(rows: Tensor) -> Tensor:
    """(N, E) of alternating rows as (2, N / 2, E)."""
    return rows.reshape(-1, 2, rows.shape[1]).transpose(0, 1)


def _in_rows(by_period: Tensor) -> Tensor:
    """(2, N / 2, M) as (N, M) of alternating rows."""
    return by_period.transpose(0, 1).flatten(0, 1)


def _against(rows: Tensor, keys: Tensor, which: str) -> Tensor:
    """Similarities of rows (n, E) with keys (K, E): (n, K), or (n, K / 2) of the own period."""
    if which == "all":
        return rows @ keys.T
    return _in_rows(_by_period(rows) @ _by_period(keys).mT)


def _without(similarity: Tensor, columns: Tensor, where: Tensor) -> Tensor:
    """Leave out a column (n,) of each row (n, M) where told so (n,).

    Minus infinity leaves a sum of exponentials as it is.
    """
    out = torch.zeros_like(similarity, dtype=torch.bool)
    out.scatter_(1, columns[:, None], where[:, None])
    return similarity.masked_fill(out, -torch.inf)
