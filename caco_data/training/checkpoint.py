"""Checkpoints: written atomically; the last two and those of the best epochs are retained."""

from __future__ import annotations

import logging
import pickle
from typing import Any

import torch

from caco_data.errors import InputError
from caco_data.settings_diff import difference
from caco_data.storage import LocalStorage

_log = logging.getLogger(__name__)

FORMAT = "caco-data-checkpoint/1"
FOLDER = "checkpoints"
#: Name of the checkpoint written when the loss is not finite.
NOT_FINITE = "not-finite"
#: Number of most recent checkpoints retained: the newest, and another in case it is damaged.
LAST = 2

_KEYS = {"format", "step", "settings", "kept", "model", "optimizer"}

State = dict[str, Any]


class Retention:
    """Selects the checkpoints to retain: the last two and those of the best epochs.

    Parameters
    ----------
    best : int
        Number of epochs with the smallest mean losses whose checkpoints are retained.
    """

    def __init__(self, best: int) -> None:
        self._best = best
        self._losses: dict[int, float] = {}
        self._sum, self._steps = 0.0, 0

    def add(self, loss: float, steps: int) -> None:
        """Add the mean loss of some steps of the current epoch."""
        self._sum += loss * steps
        self._steps += steps

    def end_epoch(self, step: int) -> None:
        """End the current epoch with this step."""
        self._losses[step] = self._sum / max(1, self._steps)
        self._losses = {step: self._losses[step] for step in {*self._best_steps, step}}
        self._sum, self._steps = 0.0, 0

    @property
    def _best_steps(self) -> list[int]:
        return sorted(self._losses, key=lambda step: (self._losses[step], step))[: self._best]

    def retained(self, steps: list[int]) -> set[int]:
        """Steps of the checkpoints to retain; `steps` are those of all checkpoints, ascending."""
        return {*steps[-LAST:], *self._best_steps}

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {"losses": self._losses, "sum": self._sum, "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state of a checkpoint."""
        self._losses, self._sum, self._steps = state["losses"], state["sum"], state["steps"]


def write_checkpoint(storage: LocalStorage, name: str, state: State) -> None:
    """Write a state to `checkpoints/{name}.pt`."""
    with storage.writing(_path(name)) as file:
        torch.save({"format": FORMAT, **state}, file)


def save_checkpoint(storage: LocalStorage, state: State, retention: Retention) -> None:
    """Write the state of a step, then remove the checkpoints that are not retained."""
    write_checkpoint(storage, f"{state['step']:09d}", state)
    names = {int(name): name for name in _names(storage)}
    for step in names.keys() - retention.retained(sorted(names)):
        storage.remove(_path(names[step]))


def load_checkpoint(
    storage: LocalStorage, settings: dict[str, Any], device: torch.device
) -> State | None:
    """Load the newest readable checkpoint, or return None when there is none.

    Damaged checkpoints are skipped with a warning.

    Raises
    ------
    InputError
        When a file is not a checkpoint of a run with these settings, or all are damaged.
    """
    names = _names(storage)
    for name in reversed(names):
        path = str(storage.path(_path(name)))
        try:
            state = torch.load(path, map_location=device, weights_only=True)
        except (RuntimeError, EOFError, OSError, ValueError, KeyError, pickle.UnpicklingError):
            _log.warning("Damaged checkpoint skipped: %s", path)
            continue
        _check(state, settings, path)
        return state  # type: ignore[no-any-return]
    if names:
        raise InputError(
            "No checkpoint can be read",
            str(storage.path(FOLDER)),
            "Start a new run in another --out",
        )
    return None


def _check(state: Any, settings: dict[str, Any], path: str) -> None:
    remedy = "Remove it, or choose another --out"
    if not isinstance(state, dict) or not state.keys() >= _KEYS or state["format"] != FORMAT:
        raise InputError("Not a checkpoint of caco-data", path, remedy)
    if changes := "; ".join(difference(state["settings"], settings)):
        raise InputError(f"Checkpoint of a run with other settings: {changes}", path, remedy)


def _path(name: str) -> str:
    return f"{FOLDER}/{name}.pt"


def _names(storage: LocalStorage) -> list[str]:
    """Names of the checkpoints of steps (their numbers), oldest first."""
    stems = (name.removeprefix(f"{FOLDER}/").removesuffix(".pt") for name in storage.names(FOLDER))
    return [stem for stem in stems if stem.isdecimal()]
