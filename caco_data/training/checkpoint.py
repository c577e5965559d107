"""Checkpoints: whole or not there at all, and one to fall back on."""

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
#: The newest, and the one before in case the disk damages it.
KEPT = 2

_KEYS = {"format", "step", "settings", "model", "optimizer"}

State = dict[str, Any]


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


def keep_checkpoint(storage: LocalStorage, state: State) -> str:
    """Write the state of a step and drop the oldest ones; return its path."""
    path = write_checkpoint(storage, f"{state['step']:09d}", state)
    for name in _names(storage)[:-KEPT]:
        storage.remove(name)
    return path


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
        except (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError):
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
