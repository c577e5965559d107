"""Batches on their way to the device while the one before is being learnt from."""

from __future__ import annotations

from collections.abc import Generator, Iterable

import torch

from caco_data.training.batches import Batch


def ahead(batches: Iterable[Batch], device: torch.device) -> Generator[Batch, None, None]:
    """Copy each batch to the device one step before it is wanted.

    On a GPU the copies have a stream of their own, so that they and the step's kernels overlap.
    Elsewhere there is nothing to copy.
    """
    if device.type != "cuda":
        yield from batches
        return
    copies = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def send(batch: Batch) -> tuple[Batch, torch.cuda.Event]:
        with torch.cuda.stream(copies):
            tiles = tuple(x.to(device, non_blocking=True) for x in batch.tiles)
        return Batch(batch.locations, tiles), copies.record_event()

    def ready(sent: tuple[Batch, torch.cuda.Event]) -> Batch:
        batch, copied = sent
        using = torch.cuda.current_stream(device)
        using.wait_event(copied)
        for x in batch.tiles:
            x.record_stream(using)  # else its memory may serve the next copy too early
        return batch

    waiting = None
    for batch in batches:
        sent = send(batch)
        if waiting is not None:
            yield ready(waiting)
        waiting = sent
    if waiting is not None:
        yield ready(waiting)
