from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caco_data.storage import LocalStorage
from caco_data.training.checkpoint import FOLDER, Kept, keep_checkpoint


def steps_on_disk(storage: LocalStorage) -> list[int]:
    return [int(Path(name).stem) for name in storage.names(FOLDER)]


def test_the_last_two_and_the_best_stay(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    kept = Kept(best=2)
    for step, loss in enumerate([5.0, 3.0, 4.0, 1.0, 6.0, 2.0, 7.0, 8.0], 1):
        kept.add(loss, steps=10)
        kept.end_epoch(step)
        keep_checkpoint(storage, {"step": step, "kept": kept.state_dict()}, kept)
    assert steps_on_disk(storage) == [4, 6, 7, 8]


def test_checkpoints_inside_an_epoch_are_none_of_the_best(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    kept = Kept(best=1)
    kept.add(0.0, steps=1)
    keep_checkpoint(storage, {"step": 1}, kept)
    kept.add(4.0, steps=3)  # mean of the epoch 3.0
    kept.end_epoch(4)
    keep_checkpoint(storage, {"step": 4}, kept)
    for step in (5, 6):
        kept.add(3.5, steps=1)
        keep_checkpoint(storage, {"step": step}, kept)
    kept.end_epoch(7)
    keep_checkpoint(storage, {"step": 7}, kept)
    assert steps_on_disk(storage) == [4, 6, 7]


@given(
    losses=st.lists(st.floats(0, 100), min_size=1, max_size=12),
    best=st.integers(0, 4),
    again=st.sets(st.integers(0, 11)),
)
def test_best_are_those_of_a_sorted_list(losses: list[float], best: int, again: set[int]) -> None:
    kept = Kept(best)
    on_disk: list[int] = []
    for step, loss in enumerate(losses):
        kept.add(loss, 1)
        kept.end_epoch(step)
        on_disk = sorted(kept.stay([*on_disk, step]))
        if step in again:  # a resumed run knows what it knew
            state = kept.state_dict()
            kept = Kept(best)
            kept.load_state_dict(state)
    ranked = sorted(range(len(losses)), key=lambda step: (losses[step], step))
    last = range(max(0, len(losses) - 2), len(losses))
    assert on_disk == sorted({*ranked[:best], *last})


def test_mean_of_an_epoch_counts_steps() -> None:
    kept = Kept(1)
    kept.add(1.0, 1)
    kept.add(4.0, 2)
    kept.end_epoch(3)
    assert kept.state_dict()["losses"] == {3: pytest.approx(3.0)}
