"""ONNX files of ResNets, written and read without the onnx package (IR 8, opset 17).

The names of the initialisers are torchvision's names of the weights, so that the file can be read
again as an encoder. The graph maps `image` (N, C, size, size), the output of the preprocessing, to
`features` (N, F). N, height and width are free.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from caco_data.training.models.card import CARD_KEY
from caco_data.training.models.protobuf import decode, message
from caco_data.training.models.resnet import ResNet

_IR_VERSION, _OPSET = 8, 17
_FLOAT = 1  # TensorProto.DataType
_ATTRIBUTE_TYPES = {float: (1, 2), int: (2, 3), list: (7, 8)}
"""Per type of value: number of the attribute type, and of the field of the value."""

# Field numbers of onnx.proto.
_GRAPH, _METADATA, _INITIALIZER = 7, 14, 5


class _Graph:
    """Nodes of a ResNet in the order of evaluation."""

    def __init__(self) -> None:
        self.nodes: list[bytes] = []

    def add(self, op: str, inputs: list[str], output: str, **attributes: object) -> str:
        """Add a node and return the name of its output."""
        encoded = []
        for name, value in attributes.items():
            kind, field = _ATTRIBUTE_TYPES[type(value)]
            encoded.append(message((1, name), (field, value), (20, kind)))  # type: ignore[arg-type]
        self.nodes.append(message((1, inputs), (2, output), (3, output), (4, op), (5, encoded)))
        return output

    def conv(self, x: str, name: str, module: nn.Module) -> str:
        """Add a convolution without bias."""
        assert isinstance(module, nn.Conv2d)
        pads = [int(p) for p in module.padding]
        return self.add(
            "Conv", [x, f"{name}.weight"], name, kernel_shape=list(module.kernel_size),
            strides=list(module.stride), pads=pads * 2,
        )  # fmt: skip

    def norm(self, x: str, name: str, module: nn.Module) -> str:
        """Add a BatchNorm with fixed statistics."""
        assert isinstance(module, nn.BatchNorm2d)
        parts = ("weight", "bias", "running_mean", "running_var")
        inputs = [x, *(f"{name}.{part}" for part in parts)]
        return self.add("BatchNormalization", inputs, name, epsilon=float(module.eps))

    def block(self, x: str, name: str, module: nn.Module) -> str:
        """Add a residual block."""
        shortcut, count = x, 3 if hasattr(module, "conv3") else 2
        for i in range(1, count + 1):
            conv, norm = f"conv{i}", f"bn{i}"
            x = self.conv(x, f"{name}.{conv}", module.get_submodule(conv))
            x = self.norm(x, f"{name}.{norm}", module.get_submodule(norm))
            if i < count:
                x = self.add("Relu", [x], f"{name}.relu{i}")
        if isinstance(down := module.downsample, nn.Sequential):
            shortcut = self.conv(shortcut, f"{name}.downsample.0", down[0])
            shortcut = self.norm(shortcut, f"{name}.downsample.1", down[1])
        x = self.add("Add", [x, shortcut], f"{name}.add")
        return self.add("Relu", [x], f"{name}.relu")


def _nodes(network: ResNet) -> list[bytes]:
    graph = _Graph()
    x = graph.norm(graph.conv("image", "conv1", network.conv1), "bn1", network.bn1)
    x = graph.add("Relu", [x], "relu")
    x = graph.add("MaxPool", [x], "maxpool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for stage in range(1, 5):
        for name, block in network.get_submodule(f"layer{stage}").named_children():
            x = graph.block(x, f"layer{stage}.{name}", block)
    x = graph.add("GlobalAveragePool", [x], "avgpool")
    graph.add("Flatten", [x], "features", axis=1)
    return graph.nodes


def _value(name: str, shape: tuple[int | str, ...]) -> bytes:
    """Description of an input or output; dimensions with a name are free."""
    dims = [message((2 if isinstance(one, str) else 1, one)) for one in shape]
    tensor = message((1, _FLOAT), (2, message((1, dims))))
    return message((1, name), (2, message((1, tensor))))


def write_onnx(network: ResNet, card_json: str) -> bytes:
    """Encode a ResNet and its card as an ONNX model."""
    weights = {n: x for n, x in network.state_dict().items() if x.is_floating_point()}
    initialisers = [
        message((1, list(x.shape)), (2, _FLOAT), (8, name), (9, x.cpu().float().numpy().tobytes()))
        for name, x in weights.items()
    ]
    bands = network.conv1.in_channels
    graph = message(
        (1, _nodes(network)),
        (2, "encoder"),
        (_INITIALIZER, initialisers),
        (11, _value("image", ("batch", bands, "height", "width"))),
        (12, _value("features", ("batch", network.features))),
    )
    return message(
        (1, _IR_VERSION),
        (2, "caco-data"),
        (_GRAPH, graph),
        (8, message((1, ""), (2, _OPSET))),
        (_METADATA, message((1, CARD_KEY), (2, card_json))),
    )


def read_onnx(path: Path) -> tuple[dict[str, Tensor], str | None]:
    """Read the initialisers of an ONNX file, and the JSON of its card if there is one.

    Raises
    ------
    ValueError
        When the file is no ONNX model.
    """
    tensors: dict[str, Tensor] = {}
    card = None
    for number, value in decode(path.read_bytes()):
        if number == _GRAPH and isinstance(value, memoryview):
            for part, data in decode(value):
                if part == _INITIALIZER and isinstance(data, memoryview):
                    name, x = _tensor(data)
                    tensors[name] = x
        elif number == _METADATA and isinstance(value, memoryview):
            entry = {n: bytes(v).decode() for n, v in decode(value) if isinstance(v, memoryview)}
            if entry.get(1) == CARD_KEY:
                card = entry.get(2)
    return tensors, card


def _tensor(data: memoryview) -> tuple[str, Tensor]:
    """Name and values of a TensorProto with raw float32 values."""
    dims: list[int] = []
    name, raw, kind = "", b"", 0
    for number, value in decode(data):
        if number == 1 and isinstance(value, int):
            dims.append(value)
        elif number == 1 and isinstance(value, memoryview):  # packed
            dims += _packed(value)
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 8 and isinstance(value, memoryview):
            name = bytes(value).decode()
        elif number == 9 and isinstance(value, memoryview):
            raw = bytes(value)
    if kind != _FLOAT or len(raw) != 4 * int(np.prod(dims)):
        return name, torch.empty(0)
    return name, torch.from_numpy(np.frombuffer(raw, "<f4").reshape(dims).copy())


def _packed(view: memoryview) -> list[int]:
    """Decode packed varints."""
    values, value, shift = [], 0, 0
    for byte in view:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            values.append(value)
            value = shift = 0
    return values
