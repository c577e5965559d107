"""Features of image files, kept in a cache in parts, so that an interrupted run loses little."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caco_data.evaluation.cache import Cache, digest
from caco_data.evaluation.contenders import Contender
from caco_data.evaluation.image_reader import Pixels, read_images
from caco_data.training.models.preprocess import Unit

#: Images per part of the cache.
PART = 1000
#: Called with the name of a step, the units done and their number.
Progress = Callable[[str, int, int], None]


class ImageFiles:
    """Image files that are read in batches.

    Parameters
    ----------
    paths : sequence of Path
        The files.
    bands : sequence of str, optional
        Names of their bands, if the files do not contain them.
    unit : str, optional
        Unit of their values.
    batch_size : int
        Images per batch.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        bands: Sequence[str] | None = None,
        unit: Unit | None = None,
        batch_size: int = 64,
    ) -> None:
        self.paths = tuple(paths)
        self._bands = None if bands is None else tuple(bands)
        self._unit = unit
        self._batch_size = batch_size

    def read(self, positions: Sequence[int] | NDArray[np.int64]) -> list[Pixels]:
        """Read some of the images."""
        return read_images([self.paths[i] for i in positions], self._bands, self._unit)

    def batches(self, positions: Sequence[int] | NDArray[np.int64]) -> Iterator[list[Pixels]]:
        """Read some of the images in batches."""
        for start in range(0, len(positions), self._batch_size):
            yield self.read(positions[start : start + self._batch_size])

    def digest(self, positions: Sequence[int]) -> str:
        """Digest of the bytes of some images, and of how they are read."""
        found = hashlib.sha256()
        for i in positions:
            found.update(hashlib.sha256(self.paths[i].read_bytes()).digest())
        return digest(found.hexdigest(), self._bands, self._unit)

    def features(
        self, contender: Contender, cache: Cache, progress: Progress
    ) -> NDArray[np.float32]:
        """Compute features of all images, or read them from the cache.

        Returns
        -------
        ndarray of float32, shape (N, F)
        """
        total = len(self.paths)
        parts = []
        for start in range(0, total, PART):
            positions = range(start, min(start + PART, total))

            def compute(positions: range = positions) -> dict[str, NDArray[np.float32]]:
                rows, done = [], positions.start
                for batch in self.batches(positions):
                    rows.append(contender.features(batch))
                    done += len(batch)
                    progress(f"features, {contender.name}", done, total)
                return {"features": np.concatenate(rows)}

            key = digest("features", contender.digest, self.digest(positions))
            parts.append(cache.arrays(key, compute)["features"])
            progress(f"features, {contender.name}", positions.stop, total)
        return np.concatenate(parts)


def band_statistics(
    files: ImageFiles, positions: NDArray[np.int64], wanted: Sequence[str]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each band over all pixels of some images."""
    from caco_data.evaluation.contenders import select_bands

    count = 0
    total = np.zeros(len(wanted))
    squares = np.zeros(len(wanted))
    for batch in files.batches(positions):
        for image in batch:
            x = select_bands(image.values[None], image.bands, wanted)[0].astype(np.float64)
            count += x[0].size
            total += x.sum((1, 2))
            squares += (x**2).sum((1, 2))
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 1e-12))
    return tuple(mean.tolist()), tuple(std.tolist())
