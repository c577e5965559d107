"""What all tasks return, and the name of the encoder in their tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from caco_data.evaluation.references import Reference
from caco_data.evaluation.results import Measured
from caco_data.evaluation.settings import EvaluationSettings


@dataclass(frozen=True)
class Evaluation:
    """Result of an evaluation."""

    measured: tuple[Measured, ...]
    references: tuple[Reference, ...]
    """Published figures for similar settings."""
    notes: tuple[str, ...]
    """What a reader of the figures must know."""
    files: tuple[str, ...]
    """Files written, with the folder."""


def encoder_name(settings: EvaluationSettings) -> str:
    """Name of the encoder in tables: `--name`, or that of its file or folder."""
    path = Path(settings.encoder)
    if path.name == "encoder.safetensors" and path.parent.name:
        path = path.parent
    return settings.name or path.name.removesuffix(path.suffix if path.is_file() else "") or "run"
