"""Copying of the next batch to the device while the current one is in use."""

from __future__ import annotations

from collections.abc import Generator, Iterable

import torch

from caco_data.training.batches import Batch


def prefetch(batches: Iterable[Batch], device: torch.device) -> Generator[Batch, None, None]:
    """Yield batches on the device, each copied one step before it is used.

    On a GPU the copies run in their own stream, so that they overlap with the kernels of a step.
    On a CPU the batches are yielded unchanged.
    """
    if device.type != "cuda":
        yield from batches
        return
    copies = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def start_copy(batch: Batch) -> tuple[Batch, torch.cuda.Event]:
        with torch.cuda.stream(copies):
            tiles = tuple(x.to(device, non_blocking=True) for x in batch.tiles)
        return Batch(batch.locations, tiles), copies.record_event()

    def finish_copy(batch: Batch, copied: torch.cuda.Event) -> Batch:
        current = torch.cuda.current_stream(device)
        current.wait_event(copied)
        for x in batch.tiles:
            x.record_stream(current)  # otherwise the next copy may reuse this memory too early
        return batch

    waiting = None
    for batch in batches:
        started = start_copy(batch)
        if waiting is not None:
            yield finish_copy(*waiting)
        waiting = started
    if waiting is not None:
        yield finish_copy(*waiting)
