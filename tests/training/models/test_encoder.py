from __future__ import annotations

import importlib.machinery
import sys
import types

import pytest
import torch
from torch import Tensor, nn

from caco_data.errors import InputError
from caco_data.training.models.encoder import RESNETS, make_encoder
from caco_data.training.models.frameworks import MoCo, SimCLR

torch.set_num_threads(1)

HEADS = 3


def small_model(queue_size: int = 8, key_momentum: float = 0.9) -> MoCo:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    return MoCo(nn.Linear(5, 6), 6, 4, HEADS, queue_size, key_momentum, generator)


#: Parameter counts of torchvision (documentation, "num_params") minus `fc`.
@pytest.mark.parametrize(
    ("name", "features", "parameters", "entries"),
    [
        ("resnet18", 512, 11_689_512 - 513_000, 120),
        ("resnet50", 2048, 25_557_032 - 2_049_000, 318),
    ],
)
def test_resnet_has_the_parameters_of_torchvision(
    name: str, features: int, parameters: int, entries: int
) -> None:
    encoder = RESNETS[name](3)
    assert encoder.features == features
    assert sum(p.numel() for p in encoder.parameters()) == parameters
    state = encoder.state_dict()
    assert len(state) == entries
    assert list(state)[:6] == [
        "conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var",
        "bn1.num_batches_tracked",
    ]  # fmt: skip
    assert state["layer2.0.downsample.0.weight"].shape[2:] == (1, 1)
    assert state["layer4.1.conv2.weight"].shape[2:] == (3, 3)
    assert ("layer1.0.downsample.0.weight" in state) == (name == "resnet50")
    assert ("layer1.0.conv3.weight" in state) == (name == "resnet50")
    # Stride on the 3 x 3 convolution ("V1.5").
    assert encoder.get_submodule("layer2.0").get_submodule(
        "conv1" if name == "resnet18" else "conv2"
    ).stride == (2, 2)


def test_initialisation_is_he_by_fan_out() -> None:
    torch.manual_seed(0)
    weight = RESNETS["resnet18"](3).get_parameter("layer3.1.conv1.weight")
    assert float(weight.detach().std()) == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.02)


@pytest.mark.parametrize("bands", [1, 4, 12])
def test_any_number_of_bands(bands: int) -> None:
    features = RESNETS["resnet18"](bands)(torch.rand(2, bands, 32, 32))
    assert features.shape == (2, 512)
    assert features.isfinite().all()


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


def test_key_view_j_under_head_i() -> None:
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


class _Timm(types.ModuleType):
    """The part of timm in use; timm itself does not load with a CPU build of torch."""

    def is_model(self, name: str) -> bool:
        return name in ("vit", "net")

    def create_model(
        self, name: str, pretrained: bool, num_classes: int, in_chans: int, **more: int
    ) -> nn.Module:
        if name == "net" and more:
            raise TypeError("unexpected keyword argument 'img_size'")
        assert not pretrained
        assert num_classes == 0
        assert name == "net" or more == {"img_size": 64}
        model = nn.Sequential(nn.Conv2d(in_chans, 7, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        model.num_features = 7  # type: ignore[assignment]
        return model


def test_timm_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    timm = _Timm("timm")
    timm.__spec__ = importlib.machinery.ModuleSpec("timm", None)
    monkeypatch.setitem(sys.modules, "timm", timm)
    for name in ("timm:vit", "timm:net"):
        encoder, features = make_encoder(name, 4, 64)
        assert encoder(torch.rand(2, 4, 64, 64)).shape == (2, features) == (2, 7)
    with pytest.raises(InputError, match=r"timm has no model 'other'.*list_models"):
        make_encoder("timm:other", 4, 64)
