"""Contact sheet of a data set: a figure meant for viewing.

matplotlib is imported inside the function and writes to files only (Agg canvas).
"""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from caco_data.dataset.layout import LOCATIONS, bands_by_pixel
from caco_data.dataset.parquet_limits import stream_table
from caco_data.dataset.reader import Dataset
from caco_data.dataset.true_colour import true_colour
from caco_data.errors import InputError
from caco_data.printable import printable
from caco_data.sentinel2 import PIXEL_M

#: Maximum length of the name of a place, characters.
_TITLE = 100
#: Width of a tile, inches; two periods of five tiles are 15.2 inches wide.
_TILE_INCHES = 15.2 / 10.1
#: Gap between the periods, in tiles.
_GAP = 0.1


def plot_stacks(dataset: Dataset, path: str | os.PathLike[str], rows: int = 8) -> None:
    """Plot a contact sheet: one row per location, its periods beside each other.

    With a simulated source, half of the locations are those with the most change.

    Parameters
    ----------
    dataset : Dataset
        With 10 m bands.
    path : path
        PNG to write.
    rows : int
        Number of locations.

    Raises
    ------
    InputError
        When the data set has no locations or no 10 m bands.
    """
    from matplotlib.figure import Figure

    bands = bands_by_pixel(dataset.bands).get(PIXEL_M, ())
    if not bands or not dataset.index.num_rows:
        what = "Data set without 10 m bands" if not bands else "Data set without locations"
        raise InputError(what, dataset.root, "Download one with --bands rgb")
    chosen = _choose(dataset, rows)
    inches, margin = 1.75, 0.15
    periods, count = dataset.layout.periods, dataset.layout.tiles
    width = _TILE_INCHES * (len(periods) * count + _GAP * (len(periods) - 1))
    figure = Figure(figsize=(width, inches * len(chosen) + margin), dpi=100)
    panels = figure.subfigures(len(chosen), 1, squeeze=False)[:, 0]
    for panel, (location_id, title) in zip(panels, chosen, strict=True):
        grid = panel.add_gridspec(
            1, len(periods) * (count + 1) - 1,
            width_ratios=[*([1.0] * count + [_GAP]) * (len(periods) - 1), *[1.0] * count],
            wspace=0.03, left=0.005, right=0.995, top=0.84, bottom=0.01,
        )  # fmt: skip
        panel.text(
            0.005, 0.99, printable(title), fontsize=9, weight="bold", va="top", parse_math=False
        )
        acquired = dataset.index.of([location_id], ["acquired"])["acquired"]
        days = [f"{day:%Y-%m-%d}" for day in acquired.to_pylist()]
        tiles = np.concatenate(
            [true_colour(dataset.read_member(location_id, period), bands) for period in periods]
        )
        for i, (tile, day) in enumerate(zip(tiles, days, strict=True)):
            axes = panel.add_subplot(grid[0, i + i // count])
            axes.imshow(tile, interpolation="antialiased")
            axes.set_axis_off()
            axes.text(0.02, 0.02, day, fontsize=6, color="white", va="bottom",
                      transform=axes.transAxes,
                      bbox={"color": "black", "alpha": 0.45, "pad": 1, "lw": 0})  # fmt: skip
    figure.savefig(path)


def _choose(dataset: Dataset, rows: int) -> list[tuple[int, str]]:
    """Choose the locations to plot, each with its title."""
    ids = dataset.index.location_ids()
    changed: dict[int, float] = {}
    if (truth := dataset.truth()) is not None:
        fractions = (fraction or 0.0 for fraction in truth["changed_fraction"].to_pylist())
        changed = dict(zip(truth["location_id"].to_pylist(), fractions, strict=True))
        by_change = np.argsort([-changed.get(i, 0.0) for i in ids.tolist()], kind="stable")
        most = ids[by_change[: -(-rows // 2)]]
        rest = np.setdiff1d(ids, most)
        rest = rest[:: max(1, len(rest) // max(1, rows // 2))][: rows // 2]
        ids = np.union1d(most, rest)
    chosen = ids[:rows].tolist()
    places = _places(dataset, chosen)
    titles = []
    for location_id in chosen:
        title = f"{location_id}{places.get(location_id, '')}"
        if location_id in changed:
            title += f"  ({changed[location_id]:.0%} of the pixels permanently changed)"
        titles.append((location_id, title))
    return titles


def _places(dataset: Dataset, location_ids: list[int]) -> dict[int, str]:
    """City and country of locations, `  Paris, FR`, where the locations table has them."""
    found: dict[int, str] = {}
    wanted = pa.array(location_ids, pa.int64())
    columns = ["location_id", "city", "country"]
    for batch in stream_table(dataset.storage, LOCATIONS, columns=columns):
        types = dict(zip(batch.schema.names, batch.schema.types, strict=True))
        if types.get("location_id") != pa.int64() or types.get("city") != pa.string():
            break
        for row in batch.filter(pc.is_in(batch["location_id"], wanted)).to_pylist():
            if row["city"]:
                place = f"  {row['city']}, {row.get('country') or ''}"
                found[row["location_id"]] = place[:_TITLE]
    return found
