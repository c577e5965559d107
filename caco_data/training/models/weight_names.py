"""Names of the weights of ResNets: torchvision's, and those of other software.

torchvision, timm and torchgeo use the same names. The authors of the paper save
`nn.Sequential(*resnet.children())` without the classifier: modules are numbered, including those
without weights (activation, poolings, flattening). Checkpoints of whole models put a prefix before
the names, for example `encoder_q.` or `module.encoder_q.`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar

from torch import Tensor

T = TypeVar("T")

#: Numbers in the authors' Sequential.
NUMBERS = {
    "conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7",
}  # fmt: skip
_NAMES = {number: name for name, number in NUMBERS.items()}
#: First layer of an encoder, with the prefix.
_FIRST = re.compile(r"(?P<prefix>(?:.*\.)?)(?P<name>conv1|0)\.weight")
#: Prefixes to prefer when a file contains several encoders, in this order: query encoders of MoCo,
#: SeCo and the paper; students of distillation; backbones.
_PREFERRED = ("encoder_q", "online", "student", "backbone")
#: Classifiers and projection heads.
_HEADS = ("fc.", "head.", "classifier.", "projector.", "8.", "9.")
#: Blocks per stage, and whether a block is a bottleneck.
_DEPTHS: dict[tuple[tuple[int, ...], bool], str] = {
    ((2, 2, 2, 2), False): "resnet18",
    ((3, 4, 6, 3), True): "resnet50",
}


class FoundEncoder(NamedTuple):
    """ResNet found among the tensors of a file."""

    architecture: str
    bands: int
    """Number of input channels."""
    weights: dict[str, Tensor]
    """Weights under torchvision's names, without classifier and projection heads."""
    numbered: bool
    """Whether the file has the names of the authors' Sequential."""


def rename(weights: Mapping[str, T], names: Mapping[str, str]) -> dict[str, T]:
    """Replace the first part of each name."""
    parts = {name: name.partition(".") for name in weights}
    return {f"{names[first]}.{rest}": weights[name] for name, (first, _, rest) in parts.items()}


def find_encoder(tensors: Mapping[str, Tensor]) -> FoundEncoder:
    """Find the ResNet-18 or ResNet-50 among the tensors of a file.

    Raises
    ------
    ValueError
        When there is none, or it is ambiguous which; the message lists the tensors found.
    """
    prefix, numbered = _prefix(tensors)
    weights = {n.removeprefix(prefix): x for n, x in tensors.items() if n.startswith(prefix)}
    weights = {n: x for n, x in weights.items() if not n.startswith(_HEADS)}
    if numbered:
        unknown = {n.partition(".")[0] for n in weights} - _NAMES.keys()
        weights = {n: x for n, x in weights.items() if n.partition(".")[0] not in unknown}
        weights = rename(weights, _NAMES)
    stages = [_depth(weights, f"layer{i}.") for i in (1, 2, 3, 4)]
    bottleneck = "layer1.0.conv3.weight" in weights
    architecture = _DEPTHS.get((tuple(stages), bottleneck))
    if architecture is None:
        kind = "bottleneck" if bottleneck else "basic"
        raise ValueError(
            f"a ResNet with {'-'.join(map(str, stages))} {kind} blocks, but only "
            "resnet18 (2-2-2-2 basic) and resnet50 (3-4-6-3 bottleneck) are supported"
        )
    return FoundEncoder(architecture, weights["conv1.weight"].shape[1], weights, numbered)


def _prefix(tensors: Mapping[str, Tensor]) -> tuple[str, bool]:
    """Prefix of the encoder, and whether its modules are numbered."""
    found = {}
    for name, x in tensors.items():
        match = _FIRST.fullmatch(name)
        if match and x.ndim == 4 and x.shape[0] == 64 and x.shape[-1] == 7:
            found[match["prefix"]] = match["name"] == "0"
    if not found:
        raise ValueError(f"no ResNet among {describe(tensors)}")
    for word in _PREFERRED:
        chosen = [prefix for prefix in found if word in prefix.split(".")]
        if len(chosen) == 1:
            return chosen[0], found[chosen[0]]
    if len(found) > 1:
        raise ValueError(f"several encoders: {', '.join(map(repr, sorted(found)))}")
    return next(iter(found.items()))


def _depth(weights: Mapping[str, Tensor], stage: str) -> int:
    blocks = {n.removeprefix(stage).partition(".")[0] for n in weights if n.startswith(stage)}
    return len(blocks)


def describe(names: Iterable[str]) -> str:
    """List the first parts of the tensors' names with their counts, `12 tensors (head 2, ...)`."""
    counts = Counter(name.partition(".")[0] for name in names)
    listed = ", ".join(f"{first} {n}" for first, n in counts.most_common(6))
    more = ", ..." if len(counts) > 6 else ""
    return f"{counts.total()} tensors ({listed}{more})" if counts else "no tensors"
