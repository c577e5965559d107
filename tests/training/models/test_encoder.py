from __future__ import annotations

import importlib.machinery
import sys
import types

import pytest
import torch
from torch import nn

from caco_data.errors import InputError
from caco_data.training.models.encoder import RESNETS, make_encoder

torch.set_num_threads(1)


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
def test_resnet_with_any_number_of_bands(bands: int) -> None:
    features = RESNETS["resnet18"](bands)(torch.rand(2, bands, 32, 32))
    assert features.shape == (2, 512)
    assert features.isfinite().all()


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
