from __future__ import annotations

import torch
from torch import Tensor, nn

from caco_data.training.models.frameworks import MoCo, SimCLR

torch.set_num_threads(1)

HEADS = 3


def small_model(queue_size: int = 8, key_momentum: float = 0.9) -> MoCo:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    return MoCo(nn.Linear(5, 6), 6, 4, HEADS, queue_size, key_momentum, generator)


def test_embeddings_have_length_one_and_keys_no_gradient() -> None:
    model = small_model()
    views = torch.rand(4, 6, 5)
    out = model(list(views), with_anchor=True)
    assert out.queries.shape == (HEADS, 6, 4)
    assert out.keys.shape == (HEADS, HEADS, 6, 4)
    assert out.anchor is not None
    for x in (out.queries, out.keys, out.anchor):
        torch.testing.assert_close(x.norm(dim=-1), torch.ones(x.shape[:-1]))
    assert out.queries.requires_grad
    assert not out.keys.requires_grad
    assert not out.anchor.requires_grad
    assert model(list(views), with_anchor=False).anchor is None


def test_simclr_keys_have_gradients() -> None:
    torch.manual_seed(0)
    model = SimCLR(nn.Linear(5, 6), 6, 4, HEADS)
    views = list(torch.rand(4, 6, 5))
    out = model(views, with_anchor=True)
    assert out.queries.shape == (HEADS, 6, 4)
    assert out.keys.shape == (HEADS, HEADS, 6, 4)
    assert out.keys.requires_grad
    assert out.anchor is not None
    assert torch.equal(out.anchor, out.queries[1])
    assert not out.anchor.requires_grad
    torch.testing.assert_close(model([views[2], *views[1:]], False).queries[0], out.keys[0, 1])


def test_keys_are_indexed_by_head_and_view() -> None:
    model = small_model(key_momentum=1.0)
    views = torch.rand(4, 6, 5)
    keys = model(list(views), with_anchor=False).keys
    for i in range(HEADS):
        for j in range(HEADS):
            expected = model.key_heads[i](model.key_encoder(views[1 + j]))
            torch.testing.assert_close(keys[i, j], expected / expected.norm(dim=1, keepdim=True))


def test_key_network_is_a_moving_average() -> None:
    model = small_model(key_momentum=0.9)
    before = [p.clone() for p in (*model.key_encoder.parameters(), *model.key_heads.parameters())]
    with torch.no_grad():
        for p in (*model.encoder.parameters(), *model.heads.parameters()):
            p.add_(1)
    model(list(torch.rand(4, 2, 5)), with_anchor=False)
    after = (*model.key_encoder.parameters(), *model.key_heads.parameters())
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(new, old + 0.1)
        assert not new.requires_grad


def keys_of(*rows: float) -> Tensor:
    """Keys (3, 3, N, 4) that contain their row, head and view."""
    keys = torch.zeros(HEADS, HEADS, len(rows), 4)
    keys[..., 0] = torch.tensor(rows)
    keys[..., 1] = torch.arange(3.0)[:, None, None]
    keys[..., 2] = torch.arange(3.0)[None, :, None]
    return keys


def test_queue_wraps_around_and_still_alternates() -> None:
    model = small_model(queue_size=8)
    for first in (0.0, 6.0, 12.0):
        model.enqueue(keys_of(*(first + i for i in range(6))))
    # 18 rows in 8 positions: the last eight are 10..17, row r at position r mod 8.
    for head in range(HEADS):
        rows, heads, views, _ = model.queue[head].T
        assert rows.tolist() == [16, 17, 10, 11, 12, 13, 14, 15]
        assert set(heads.tolist()) == set(views.tolist()) == {head}
    assert int(model.pointer) == 18 % 8


def test_queue_starts_with_random_directions() -> None:
    queue = small_model().queue
    torch.testing.assert_close(queue.norm(dim=2), torch.ones(3, 8))
    assert len({tuple(row) for row in queue.flatten(0, 1).tolist()}) == 24


def test_queue_and_pointer_are_saved() -> None:
    assert {"queue", "pointer"} <= small_model().state_dict().keys()
