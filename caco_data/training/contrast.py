"""The contrastive loss (paper, sections 3.2 and 3.3; DESIGN 10).

Rows alternate: row 2l is location l's early period, row 2l + 1 its late one; queue rows likewise.
Splitting (N, E) into (N / 2, 2, E) therefore splits it by period, without masks or indices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from caco_data.training.encoder import HEADS

#: MoCo v2's temperature.
TEMPERATURE = 0.07


@dataclass(frozen=True)
class Method:
    """Which negatives a method has besides the augmentations' and seasons'."""

    queue: Literal["own period", "all"]
    """Which half of the queue a row sees."""
    other_period: Literal["none", "all", "changed"]
    """Which keys of the batch's other period a row sees: `changed` leaves out its own location's
    unless that one is labelled changed."""

    @property
    def estimates_change(self) -> bool:
        """Whether the method needs change labels."""
        return self.other_period == "changed"


METHODS = {
    "caco": Method(queue="own period", other_period="changed"),
    "teco": Method(queue="own period", other_period="all"),
    "seco": Method(queue="all", other_period="none"),
}


@dataclass(frozen=True)
class Scores:
    """Outcome of a batch under each head."""

    loss: Tensor
    """(3,): mean over rows of -log softmax of the positive."""
    logsumexp: Tensor
    """(3, N): log of the sum of exponentiated logits, the positive's among them."""
    accuracy: Tensor
    """(3,): share of rows whose positive has the largest logit."""


def score(
    queries: Tensor, keys: Tensor, queue: Tensor, changed: Tensor | None, method: Method
) -> Scores:
    """Contrast each query with its positive and its negatives under each head.

    Head i's positive is view i. Its negatives are the keys of queue i, for heads 1 and 2 every key
    of the batch's two other views, and view i's keys of the other period, as the method has it.

    Parameters
    ----------
    queries : Tensor, shape (3, N, E)
        Query embeddings by head, of unit length.
    keys : Tensor, shape (3, 3, N, E)
        Key embeddings, [i, j] view j under head i.
    queue : Tensor, shape (3, K, E)
        Earlier keys by head.
    changed : Tensor of bool, shape (N,), optional
        Whether the row's location is labelled changed; for methods that estimate change.
    method : Method
        The negatives.

    Returns
    -------
    Scores
    """
    losses, sums, accuracies = [], [], []
    for head in range(HEADS):
        query, key = queries[head], keys[head, head]  # (N, E)
        positive = (query * key).sum(1, keepdim=True)  # (N, 1)
        negatives = [_against_queue(query, queue[head], method)]
        if method.other_period != "none":
            negatives.append(_against_other_period(query, key, changed, method))
        if head != 0:
            negatives += [query @ keys[head, j].T for j in range(HEADS) if j != head]
        logits = torch.cat([positive, *negatives], dim=1) / TEMPERATURE  # (N, 1 + negatives)
        total = logits.logsumexp(1)
        losses.append((total - logits[:, 0]).mean())
        sums.append(total.detach())
        accuracies.append((logits.detach().argmax(1) == 0).to(logits.dtype).mean())
    return Scores(torch.stack(losses), torch.stack(sums), torch.stack(accuracies))


def _by_period(rows: Tensor) -> Tensor:
    """(N, E) of alternating rows as (2, N / 2, E)."""
    return rows.reshape(-1, 2, rows.shape[1]).transpose(0, 1)


def _in_rows(by_period: Tensor) -> Tensor:
    """(2, N / 2, M) as (N, M) of alternating rows."""
    return by_period.transpose(0, 1).flatten(0, 1)


def _against_queue(query: Tensor, queue: Tensor, method: Method) -> Tensor:
    """Similarities with earlier keys: (N, K), or (N, K / 2) of the row's own period."""
    if method.queue == "all":
        return query @ queue.T
    return _in_rows(_by_period(query) @ _by_period(queue).mT)


def _against_other_period(
    query: Tensor, key: Tensor, changed: Tensor | None, method: Method
) -> Tensor:
    """Similarities with the batch's keys of the other period: (N, N / 2)."""
    similarity = _by_period(query) @ _by_period(key).flip(0).mT  # (2, N / 2, N / 2)
    if method.other_period == "changed":
        if changed is None:
            raise ValueError("this method needs change labels")
        # The own location stands on the diagonal; minus infinity leaves a sum as it is.
        unchanged = ~changed.reshape(-1, 2).T  # (2, N / 2)
        similarity = similarity.masked_fill(torch.diag_embed(unchanged), -torch.inf)
    return _in_rows(similarity)
