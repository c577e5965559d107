"""The loss compared with numbers of one step of the authors' code and with a plain loop."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from caco_data.training.change import ChangeEstimator
from caco_data.training.loss import TEMPERATURE, score
from caco_data.training.methods import METHODS, Method
from caco_data.training.models.frameworks import MoCo
from caco_data.training.settings import MethodName

torch.set_num_threads(1)

REFERENCE = Path(__file__).parent / "data" / "reference_step.npz"
ATOL = 1e-6
HEADS = 3


@pytest.fixture(scope="module")
def reference() -> dict[str, Tensor]:
    path = os.environ.get("CACO_REFERENCE_STEP") or REFERENCE
    with np.load(path) as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def reference_model(reference: dict[str, Tensor]) -> MoCo:
    """A model with identity encoders and the heads and queues of the reference, in float64."""
    _, embedding, size = reference["queue"].shape
    features = reference["q"].shape[1]
    model = MoCo(nn.Identity(), features, embedding, HEADS, size, 1.0, torch.Generator()).double()
    for kind, heads in (("q", model.heads), ("k", model.key_heads)):
        for i in range(HEADS):
            names = ("0.weight", "0.bias", "2.weight", "2.bias")
            state = {n: reference[f"head_{kind}{i}_{n.replace('.', '_')}"] for n in names}
            heads[i].load_state_dict(state)
    model.queue.copy_(reference["queue"].mT)
    return model


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=ATOL)


@pytest.mark.parametrize("name", ["caco", "teco", "seco"])
def test_loss_gradient_and_queue_equal_those_of_the_authors_code(
    name: MethodName, reference: dict[str, Tensor]
) -> None:
    method = METHODS[name]
    model = reference_model(reference)
    views = [reference[view] for view in ("q", "k0", "k1", "k2")]
    out = model(views, with_anchor=method.estimates_change)
    scores = score(out.queries, out.keys, model.queue, reference["changed"].bool(), method)
    scores.loss.sum().backward()  # type: ignore[no-untyped-call]
    model.enqueue(out.keys)

    assert_close(scores.loss.detach(), reference[f"{name}_loss_per_head"])
    for i in range(HEADS):
        rows = scores.logsumexp[i]
        if name != "seco":  # the reference has all early rows, then all late rows
            rows = torch.cat([rows[0::2], rows[1::2]])
        assert_close(rows, reference[f"{name}_logsumexp_head{i}"])
    gradient = model.get_parameter("heads.1.2.weight").grad
    assert gradient is not None
    assert_close(gradient, reference[f"{name}_grad_head_q1_2_weight"])
    assert_close(model.queue.mT, reference[f"{name}_queue_after"])
    assert int(model.pointer) == len(views[0]) % model.queue.shape[1]


def test_distances_equal_those_of_the_authors_code(reference: dict[str, Tensor]) -> None:
    model = reference_model(reference)
    views = [reference[view] for view in ("q", "k0", "k1", "k2")]
    out = model(views, with_anchor=True)
    rows = len(reference["ema_before"])
    estimator = ChangeEstimator(rows // 2, torch.device("cpu"), dtype=torch.float64)
    estimator.distances.copy_(reference["ema_before"])
    estimator.seen.copy_(reference["seen_before"])
    assert out.anchor is not None
    estimator.update(reference["row_index"], out.anchor, out.keys[1, 1])
    assert_close(estimator.distances, reference["ema_after"])
    assert_close(estimator.seen.double(), reference["seen_after"])


def random_step(rows: int, width: int, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)

    def unit(*shape: int) -> Tensor:
        x = torch.randn(*shape, width, generator=generator, dtype=torch.float64)
        return nn.functional.normalize(x, dim=-1)

    changed = torch.tensor([l % 2 == 1 for l in range(rows // 2)]).repeat_interleave(2)  # noqa: E741
    return unit(HEADS, rows), unit(HEADS, HEADS, rows), unit(HEADS, size), changed


def plain_negatives(
    method: Method, head: int, row: int, keys: Tensor, queue: Tensor, changed: Tensor
) -> list[Tensor]:
    """The negatives of one row, collected one by one."""
    rows = keys.shape[2]
    negatives = [
        key
        for column, key in enumerate(queue[head])
        if method.queue == "all" or column % 2 == row % 2
    ]
    if head in (1, 2):
        negatives += [keys[head, j, n] for j in range(HEADS) if j != head for n in range(rows)]
    for n in range(rows):
        if n % 2 != row % 2 and method.other_period != "none":
            own = n // 2 == row // 2
            if not own or method.other_period == "all" or bool(changed[row]):
                negatives.append(keys[head, head, n])
    return negatives


@pytest.mark.parametrize("name", sorted(METHODS))
def test_loss_equals_a_plain_loop(name: MethodName) -> None:
    queries, keys, queue, changed = random_step(rows=6, width=5, size=8)
    scores = score(queries, keys, queue, changed, METHODS[name])
    for head in range(HEADS):
        losses, hits = [], []
        for row in range(6):
            others = plain_negatives(METHODS[name], head, row, keys, queue, changed)
            candidates = torch.stack([keys[head, head, row], *others])
            logits = candidates @ queries[head, row] / TEMPERATURE
            losses.append(-torch.log_softmax(logits, 0)[0])
            hits.append(float(logits.argmax() == 0))
        assert_close(scores.loss[head], torch.stack(losses).mean())
        assert scores.accuracy[head] == pytest.approx(np.mean(hits))


def test_only_caco_uses_the_labels() -> None:
    queries, keys, queue, _ = random_step(rows=6, width=5, size=8)
    none, every = torch.zeros(6, dtype=torch.bool), torch.ones(6, dtype=torch.bool)
    losses = {
        name: [score(queries, keys, queue, c, method).loss for c in (none, every)]
        for name, method in METHODS.items()
    }
    assert (losses["caco"][1] > losses["caco"][0]).all()  # one more negative
    assert torch.equal(losses["caco"][1], losses["teco"][1])
    for name in ("teco", "seco"):
        assert torch.equal(*losses[name])


@pytest.mark.parametrize("name", sorted(METHODS))
def test_loss_of_simclr_equals_a_plain_loop(name: MethodName) -> None:
    method = METHODS[name]
    queries, keys, _, changed = random_step(rows=6, width=5, size=8)
    scores = score(queries, keys, None, changed, method)
    for head in range(HEADS):
        losses = []
        for row in range(6):
            for own, across in (
                (queries[head], keys[head, head]),
                (keys[head, head], queries[head]),
            ):
                swapped = keys.clone()
                swapped[head, head] = across
                nothing = torch.empty(HEADS, 0, 5, dtype=torch.float64)
                others = plain_negatives(method, head, row, swapped, nothing, changed)
                others += [
                    other[n]
                    for other in (own, across)
                    for n in range(6)
                    if n != row and (method.queue == "all" or n % 2 == row % 2)
                ]
                logits = torch.stack([across[row], *others]) @ own[row] / TEMPERATURE
                losses.append(logits.logsumexp(0) - logits[0])
        assert_close(scores.loss[head], torch.stack(losses).mean())


@pytest.mark.parametrize("with_queue", [True, False])
@pytest.mark.parametrize("name", sorted(METHODS))
def test_parts_of_a_batch_give_the_loss_of_the_whole(name: MethodName, with_queue: bool) -> None:
    queries, keys, earlier, changed = random_step(rows=8, width=5, size=8)
    queue = earlier if with_queue else None
    whole = score(queries, keys, queue, changed, METHODS[name])
    parts = [
        score(queries[:, part], keys, queue, changed[part], METHODS[name], part.start, queries)
        for part in (slice(0, 4), slice(4, 8))
    ]
    assert_close(torch.stack([part.loss for part in parts]).mean(0), whole.loss)
    assert_close(torch.cat([part.logsumexp for part in parts], dim=1), whole.logsumexp)


def test_caco_without_labels_is_refused() -> None:
    queries, keys, queue, _ = random_step(rows=6, width=5, size=8)
    with pytest.raises(ValueError, match="change labels"):
        score(queries, keys, queue, None, METHODS["caco"])


def test_excluded_logits_leave_the_gradient_finite() -> None:
    queries, keys, queue, changed = random_step(rows=6, width=5, size=8)
    queries.requires_grad_()
    score(queries, keys, queue, changed, METHODS["caco"]).loss.sum().backward()  # type: ignore[no-untyped-call]
    assert queries.grad is not None
    assert queries.grad.isfinite().all()
    assert queries.grad.abs().sum() > 0
