"""Section about a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caco_data.dataset.reader import Dataset
from caco_data.dataset.summary import summarise
from caco_data.errors import InputError
from caco_data.evaluation.compare import flat
from caco_data.report.contents import (
    Places,
    Tiles,
    read_changed,
    read_places,
    read_rejected,
    read_tiles,
)
from caco_data.report.elements import Chart, Gallery, Section, make_chart, shown, table_of
from caco_data.report.event_charts import event_charts
from caco_data.report.figures import (
    bar_figure,
    calendar_figure,
    histogram_figure,
    histogram_table,
)
from caco_data.report.pictures import Change, choose, shown_bands, stack_pictures
from caco_data.report.theory import geometric, rayleigh, sigma_km
from caco_data.report.world_map import map_figure
from caco_data.training.truth import CHANGED_FRACTION

Floats = NDArray[np.float64]
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def dataset_section(
    dataset: Dataset,
    change: Change,
    stacks: int,
    bands: Sequence[str] | None,
    wanted: Sequence[int] = (),
) -> Section:
    """Describe a data set.

    Parameters
    ----------
    dataset : Dataset
        The data set.
    change : Change
        Estimated change of a run on this data set; the truth is preferred.
    stacks : int
        Number of locations with images.
    bands : sequence of str, optional
        Three bands of the images; true colour if None.
    wanted : sequence of int
        Locations that are shown before the others.

    Raises
    ------
    InputError
        For bands or locations that the data set does not have.
    DatasetError
        When it is damaged.
    """
    if not dataset.index.num_rows:
        raise InputError("Data set without locations", dataset.root, "Download one with locations")
    summary = summarise(dataset)
    places, tiles, rejected = read_places(dataset), read_tiles(dataset), read_rejected(dataset)
    truth = read_changed(dataset)
    if truth:
        change = Change(truth, "{:.0%} of the pixels permanently changed", change.place)
    complete = dataset.index.location_ids()
    shown_ids = _wanted(dataset, complete, wanted)
    others = np.setdiff1d(complete, shown_ids)
    shown_ids += choose(others, change, max(0, stacks - len(shown_ids)))
    rgb = shown_bands(dataset, bands)
    charts = [
        _map(places, tiles, complete, rejected, truth),
        _calendar(tiles),
        *_sampler(places),
        *_clouds(tiles),
    ]
    if rejected:
        charts.append(_rejections(Counter(rejected.values())))
    charts += event_charts(dataset.storage)
    counts = summary["counts"]
    return Section(
        title=f"Data set {dataset.root}",
        lead=f"{counts['complete']:,} complete locations, {sum(counts['rejected'].values()):,} "
        f"rejected; {len(tiles.location_id):,} tiles of "
        f"{len(dataset.bands)} bands, {_size(counts['nbytes'])}.",
        facts=_facts(summary, tiles),
        charts=tuple(charts),
        galleries=(
            Gallery("Stacks", _gallery_text(rgb, change), tuple(
                stack_pictures(dataset, shown_ids, rgb, _titles(places, shown_ids), change)
            )),
        ),
        settings=table_of(
            ("setting", "value"),
            list(flat({"source": dataset.meta["source"], **dataset.meta["settings"]}).items()),
        ),
        details={"dataset": dataset.root},
    )  # fmt: skip


def _wanted(dataset: Dataset, complete: NDArray[np.int64], wanted: Sequence[int]) -> list[int]:
    if missing := [i for i in wanted if i not in complete]:
        raise InputError(
            f"No location {missing[0]}", dataset.root, "Use a location_id of index.parquet"
        )
    return list(dict.fromkeys(wanted))


def _facts(summary: dict[str, Any], tiles: Tiles) -> tuple[tuple[str, str], ...]:
    spans = []
    for i, period in enumerate(tiles.periods):
        days = tiles.acquired[tiles.period == i].astype("datetime64[D]")
        spans.append((f"Period {period}", f"{days.min()} to {days.max()}, {days.size:,} tiles"))
    return (
        ("Source", f"{summary['source']}: {summary['collection']}"),
        ("Bands", ", ".join(summary["bands"])),
        *spans,
        ("Arrays", f"{summary['dtype']}, compression {summary['compress']}"),
        ("Size", f"{_size(summary['counts']['nbytes'])} in {summary['shards']:,} shards"),
        ("UTM zones", shown(summary["utm_zones"])),
        ("Software", summary["software"]),
        ("Digest", summary["digest"]),
    )


def _size(nbytes: int) -> str:
    for limit, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if nbytes >= limit:
            return f"{nbytes / limit:.1f} {unit}"
    return f"{nbytes / 1e3:.1f} kB"


def _map(
    places: Places,
    tiles: Tiles,
    complete: NDArray[np.int64],
    rejected: dict[int, str],
    truth: dict[int, float],
) -> Chart:
    ids = places.location_id
    is_complete = np.isin(ids, complete)
    changed = [i for i, fraction in truth.items() if fraction > CHANGED_FRACTION]
    is_changed = is_complete & np.isin(ids, changed)
    is_rejected = np.isin(ids, list(rejected)) & ~is_complete
    kinds = {"complete": is_complete & ~is_changed}
    if truth:
        kinds["changed"] = is_changed
    kinds["rejected"] = is_rejected
    figure, number = map_figure(places, kinds, _spans(ids, tiles))
    note = "" if number == ids.size else f" Of {ids.size:,}, {number:,} drawn at random are shown."
    countries = Counter(places.country)
    per_kind = {
        kind: Counter(np.array(places.country, object)[chosen].tolist())
        for kind, chosen in kinds.items()
    }
    rows = [
        (country or "unknown", count, *(found[country] for found in per_kind.values()))
        for country, count in countries.most_common()
    ]
    return make_chart(
        "Locations",
        "Map of the locations. Select one to see its images or its dates; drag to pan, use the "
        f"wheel or + and - to zoom, and the arrow keys to move.{note}",
        figure,
        table_of(("country", "locations", *kinds), rows),
        is_map=True,
        wide=True,
    )


def _spans(ids: NDArray[np.int64], tiles: Tiles) -> dict[str, list[str]]:
    """First and last date of each location in each period."""
    found = {}
    for i, period in enumerate(tiles.periods):
        own = tiles.period == i
        days = tiles.acquired[own].astype("datetime64[D]").astype(np.int64)
        rows = np.searchsorted(ids, tiles.location_id[own])
        first = np.full(ids.size + 1, np.iinfo(np.int64).max)
        last = np.full(ids.size + 1, -1)
        np.minimum.at(first, rows, days)
        np.maximum.at(last, rows, days)
        known = last[:-1] >= 0
        texts = np.full(ids.size, "", object)
        starts, ends = (
            np.datetime_as_string(x[:-1][known].astype("datetime64[D]")).astype(object)
            for x in (first, last)
        )
        texts[known] = starts + " to " + ends
        found[period] = texts.tolist()
    return found


def _calendar(tiles: Tiles) -> Chart:
    month = tiles.acquired.astype("datetime64[M]").astype(np.int64)
    years, months = 1970 + month // 12, month % 12
    keys = [
        (period, int(year))
        for i, period in enumerate(tiles.periods)
        for year in np.unique(years[tiles.period == i])
    ]
    counts = np.stack([
        np.bincount(
            months[(tiles.period == tiles.periods.index(period)) & (years == year)], minlength=12
        )
        for period, year in keys
    ])  # fmt: skip
    names = [f"{period} {year}" for period, year in keys]
    return make_chart(
        "Acquisitions",
        "Number of tiles by period, year and month of acquisition.",
        calendar_figure(names, _MONTHS, counts),
        table_of(
            ("period", *_MONTHS),
            [(name, *row) for name, row in zip(names, counts.tolist(), strict=True)],
        ),
    )


def _sampler(places: Places) -> list[Chart]:
    charts = []
    sigma = sigma_km(places)
    if places.distance_km is not None and np.isfinite(places.distance_km).any():
        x = places.distance_km[np.isfinite(places.distance_km)]
        high = max(float(np.quantile(x, 0.999)), 1e-3)
        edges: Floats = np.linspace(0, high, 31)
        counts = np.histogram(x, edges)[0]
        columns: dict[str, Any] = {"locations": counts}
        curves = {}
        if sigma:
            fine = np.linspace(0, high, 200)
            curves["theory"] = (fine, x.size * (edges[1] - edges[0]) * rayleigh(fine, sigma))
            centres = (edges[1:] + edges[:-1]) / 2
            columns["theory"] = x.size * (edges[1] - edges[0]) * rayleigh(centres, sigma)
        text = "Distance from the centre of the city."
        if sigma:
            text += (
                f" Theory: Rayleigh distribution with sigma {sigma:g} km; draws in the ocean are"
            )
            text += " rejected, so that a deviation is expected."
        charts.append(
            make_chart(
                "Distance to the city",
                text,
                histogram_figure("km", "locations", edges, {"locations": counts}, curves),
                table_of(*histogram_table("km", edges, columns)),
            )
        )
    if places.redraws is not None:
        highest = int(min(places.redraws.max(), 20))
        edges = np.arange(highest + 2, dtype=np.float64) - 0.5
        counts = np.bincount(np.minimum(places.redraws, highest), minlength=highest + 1)
        theory = geometric(places.redraws, highest)
        x = np.arange(highest + 1, dtype=np.float64)
        curves = {"theory": (x, theory)}
        charts.append(
            make_chart(
                "Redraws",
                "Draws of the sampler that were rejected per location, the last class and above. "
                "Theory: geometric distribution, as if all draws had one probability of "
                "acceptance; cities at coasts have more.",
                histogram_figure("redraws", "locations", edges, {"locations": counts}, curves),
                table_of(
                    ("redraws", "locations", "theory"),
                    list(zip(range(highest + 1), counts.tolist(), theory.tolist(), strict=True)),
                ),
            )
        )
    return charts


def _clouds(tiles: Tiles) -> list[Chart]:
    charts = []
    for title, x_label, values, text in (
        ("Clear fraction", "clear fraction of the patch", tiles.clear_fraction,
         "Fraction of clear pixels within the patch, by the cloud mask of the download."),
        ("Cloudiness of the scenes", "clouds, % of the scene", tiles.cloud_pct,
         "Cloud cover of the whole scenes from which the tiles were cut."),
    ):  # fmt: skip
        finite = np.isfinite(values)
        if not finite.any():
            continue
        low, high = float(values[finite].min()), float(values[finite].max())
        edges = np.linspace(low, max(high, low + 1e-3), 21)
        counts = {
            period: np.histogram(values[finite & (tiles.period == i)], edges)[0]
            for i, period in enumerate(tiles.periods)
        }
        charts.append(
            make_chart(
                title,
                text,
                histogram_figure(x_label, "tiles", edges, counts),
                table_of(*histogram_table(x_label, edges, counts)),
            )
        )
    return charts


def _rejections(reasons: Counter[str]) -> Chart:
    ordered = reasons.most_common()
    return make_chart(
        "Rejections",
        "Rejected locations by reason.",
        bar_figure("locations", [name for name, _ in ordered], [n for _, n in ordered]),
        table_of(("reason", "locations"), ordered),
    )


def _titles(places: Places, location_ids: Sequence[int]) -> dict[int, str]:
    rows = np.searchsorted(places.location_id, location_ids)
    return {
        i: ", ".join(filter(None, (str(i), places.city[row], places.country[row])))
        for i, row in zip(location_ids, rows.tolist(), strict=True)
    }


def _gallery_text(bands: tuple[str, ...], change: Change) -> str:
    order = "Most changed locations first." if change.amount else "Evenly spaced locations."
    mark = " A ring marks the place of the largest change." if change.place else ""
    return f"{order} Bands {', '.join(bands)} as red, green and blue.{mark}"
