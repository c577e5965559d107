"""Published figures, shown beside the results of an evaluation."""

from __future__ import annotations

from typing import NamedTuple


class Reference(NamedTuple):
    """A published figure for a similar setting."""

    name: str
    method: str
    metric_name: str
    value: float
    """Fraction, 0..1."""
    source: str


_PAPER = "CACo, CVPR 2023"


def _paper(method: str, metric: str, source: str, **values: float) -> tuple[Reference, ...]:
    return tuple(
        Reference(name.replace("_", " "), method, metric, percent / 100, f"{_PAPER}, {source}")
        for name, percent in values.items()
    )


_EUROSAT = {
    "resnet18": _paper(
        "linear", "accuracy", "Table 1 (ResNet-18, 100k images)",
        random=64.21, ImageNet=86.16, MoCo=87.22, GSSL=87.74, SeCo=90.05, CACo=93.08,
    ),
    "resnet50": _paper("linear", "accuracy", "Table 1 (ResNet-50, 100k images)", CACo=94.48),
}  # fmt: skip
_BIGEARTHNET = {
    "resnet18": _paper("linear", "mAP", "Table 2 (ResNet-18, 100k images)",
                       CACo_10_percent=67.89, CACo_100_percent=69.43),
}  # fmt: skip
_OSCD = {
    "resnet18": _paper("unet", "F1", "OSCD (ResNet-18)", SeCo=46.84, CACo=50.29),
    "resnet50": _paper("unet", "F1", "OSCD (ResNet-50)", CACo=52.11),
}  # fmt: skip
_EVENTS: dict[str, tuple[Reference, ...]] = {
    "resnet18": (
        Reference("CACo, CaiRoad", "distance", "AP@50", 0.4438, f"{_PAPER}, CaiRoad"),
        Reference("CACo, CalFire", "distance", "AP@10", 0.6571, f"{_PAPER}, CalFire"),
    )
}
_BY_TASK: dict[str, dict[str, tuple[Reference, ...]]] = {
    "eurosat": _EUROSAT, "bigearthnet": _BIGEARTHNET, "oscd": _OSCD, "events": _EVENTS,
}  # fmt: skip


def references(task: str, architecture: str) -> tuple[Reference, ...]:
    """Figures of the paper for a task and an architecture; empty where it has none."""
    return _BY_TASK.get(task, {}).get(architecture, ())
