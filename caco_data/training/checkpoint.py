"""Checkpoints: whole or not there at all, one to fall back on, and those of the best epochs."""

from __future__ import annotations

import logging
import pickle
from typing import Any

import torch

from caco_data.errors import InputError
from caco_data.storage import LocalStorage
from caco_data.training.settings import difference

_log = logging.getLogger(__name__)

FORMAT = "caco-data-checkpoint/1"
FOLDER = "checkpoints"
#: Of the state in which the loss was no longer finite.
NOT_FINITE = "not-finite"
#: The newest, and the one before in case the disk damages it.
LAST = 2

_KEYS = {"format", "step", "settings", "kept", "model", "optimizer"}

State = dict[str, Any]


class Kept:
    """Which checkpoints stay: the last two, and those of the epochs with the smallest losses.

    Parameters
    ----------
    best : int
        How many of the latter.
    """

    def __init__(self, best: int) -> None:
        self._best = best
        self._losses: dict[int, float] = {}
        self._sum, self._steps = 0.0, 0

    def add(self, loss: float, steps: int) -> None:
        """Take in the mean loss of some steps."""
        self._sum += loss * steps
        self._steps += steps

    def end_epoch(self, step: int) -> None:
        """Note that an epoch ends with this step."""
        self._losses[step] = self._sum / max(1, self._steps)
        self._losses = {step: self._losses[step] for step in {*self._winners, step}}
        self._sum, self._steps = 0.0, 0

    @property
    def _winners(self) -> list[int]:
        return sorted(self._losses, key=lambda step: (self._losses[step], step))[: self._best]

    def stay(self, steps: list[int]) -> set[int]:
        """Which of the steps that have a checkpoint, in ascending order, keep it."""
        return {*steps[-LAST:], *self._winners}

    def state_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {"losses": self._losses, "sum": self._sum, "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state of a checkpoint."""
        self._losses, self._sum, self._steps = state["losses"], state["sum"], state["steps"]


def _names(storage: LocalStorage) -> list[str]:
    """Checkpoints, oldest first: their names are steps."""
    return [
        name
        for name in storage.names(FOLDER)
        if name.removeprefix(f"{FOLDER}/").removesuffix(".pt").isdecimal()
    ]


def write_checkpoint(storage: LocalStorage, name: str, state: State) -> str:
    """Write a state under a name; return its path."""
    name = f"{FOLDER}/{name}.pt"
    with storage.writing(name) as file:
        torch.save({"format": FORMAT, **state}, file)
    return str(storage.path(name))


def keep_checkpoint(storage: LocalStorage, state: State, kept: Kept) -> str:
    """Write the state of a step and drop what need not stay; return its path."""
    path = write_checkpoint(storage, f"{state['step']:09d}", state)
    names = {_step(name): name for name in _names(storage)}
    for step in names.keys() - kept.stay(sorted(names)):
        storage.remove(names[step])
    return path


def _step(name: str) -> int:
    return int(name.removeprefix(f"{FOLDER}/").removesuffix(".pt"))


def load_checkpoint(
    storage: LocalStorage, settings: dict[str, Any], device: torch.device
) -> State | None:
    """Load the newest checkpoint that can be read; None when there is none.

    A damaged one is passed over, which a warning says.

    Raises
    ------
    InputError
        For a file that is not a checkpoint of a run with these settings, or when all are damaged.
    """
    names = _names(storage)
    for name in reversed(names):
        path = str(storage.path(name))
        try:
            state = torch.load(path, map_location=device, weights_only=True)
        except (RuntimeError, EOFError, OSError, ValueError, KeyError, pickle.UnpicklingError):
            _log.warning("Damaged checkpoint passed over: %s", path)
            continue
        if not isinstance(state, dict) or not state.keys() >= _KEYS or state["format"] != FORMAT:
            raise InputError(
                "Not a checkpoint of caco-data", path, "Remove it, or choose another --out"
            )
        if changes := difference(state["settings"], settings):
            raise InputError(
                f"Checkpoint of a run with other settings: {changes}",
                path,
                "Remove it, or choose another --out",
            )
        return state
    if names:
        raise InputError(
            "No checkpoint can be read", str(storage.path(FOLDER)), "Start anew in another --out"
        )
    return None
