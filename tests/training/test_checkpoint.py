from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caco_data.storage import LocalStorage
from caco_data.training.checkpoint import FOLDER, Retention, save_checkpoint


def steps_on_disk(storage: LocalStorage) -> list[int]:
    return [int(Path(name).stem) for name in storage.names(FOLDER)]


def test_last_two_and_best_are_retained(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    retention = Retention(best=2)
    for step, loss in enumerate([5.0, 3.0, 4.0, 1.0, 6.0, 2.0, 7.0, 8.0], 1):
        retention.add(loss, steps=10)
        retention.end_epoch(step)
        save_checkpoint(storage, {"step": step, "kept": retention.state_dict()}, retention)
    assert steps_on_disk(storage) == [4, 6, 7, 8]


def test_checkpoints_within_an_epoch_are_not_among_the_best(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    retention = Retention(best=1)
    retention.add(0.0, steps=1)
    save_checkpoint(storage, {"step": 1}, retention)
    retention.add(4.0, steps=3)  # mean of the epoch 3.0
    retention.end_epoch(4)
    save_checkpoint(storage, {"step": 4}, retention)
    for step in (5, 6):
        retention.add(3.5, steps=1)
        save_checkpoint(storage, {"step": step}, retention)
    retention.end_epoch(7)
    save_checkpoint(storage, {"step": 7}, retention)
    assert steps_on_disk(storage) == [4, 6, 7]


@given(
    losses=st.lists(st.floats(0, 100), min_size=1, max_size=12),
    best=st.integers(0, 4),
    resumed=st.sets(st.integers(0, 11)),
)
def test_best_equal_those_of_a_sorted_list(
    losses: list[float], best: int, resumed: set[int]
) -> None:
    retention = Retention(best)
    on_disk: list[int] = []
    for step, loss in enumerate(losses):
        retention.add(loss, 1)
        retention.end_epoch(step)
        on_disk = sorted(retention.retained([*on_disk, step]))
        if step in resumed:  # a resumed run restores the state
            state = retention.state_dict()
            retention = Retention(best)
            retention.load_state_dict(state)
    ranked = sorted(range(len(losses)), key=lambda step: (losses[step], step))
    last = range(max(0, len(losses) - 2), len(losses))
    assert on_disk == sorted({*ranked[:best], *last})


def test_mean_loss_of_an_epoch_is_weighted_by_steps() -> None:
    retention = Retention(1)
    retention.add(1.0, 1)
    retention.add(4.0, 2)
    retention.end_epoch(3)
    assert retention.state_dict()["losses"] == {3: pytest.approx(3.0)}
