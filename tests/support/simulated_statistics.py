"""Statistics of the simulated archive compared with those of real Sentinel-2 images.

python -m tests.support.simulated_statistics [--html FILE] [MEASURE ...]

The real values are those of Sentinel-2 L2A series in Catalonia, the Netherlands and Central Europe,
of 7,176 windows in August, and of EuroSAT; a range is from the 10 % to the 90 % quantile.
"""

from __future__ import annotations

import argparse
import csv
import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.simulated_image_measures import classes, clouds, level, spectra, water
from tests.support.simulated_measures import Measured, air, changes, contrast, over_time

MEASURES: tuple[Callable[[], Measured], ...] = (
    over_time, contrast, changes, air, level, clouds, water, classes, spectra,
)  # fmt: skip
TABLE = Path(__file__).with_name("real_statistics.csv")
#: Limits of a value relative to the real one where no range is known.
TOLERANCE = 0.25


@dataclass(frozen=True)
class Row:
    """One statistic of the table."""

    group: str
    statistic: str
    description: str
    real: float
    low: float
    high: float
    version_1: str
    """Value of version 1 of the archive; empty if it was not measured."""

    def agrees(self, value: float) -> bool:
        """Whether a value is in the real range."""
        return self.low <= value <= self.high


def real_statistics() -> list[Row]:
    """Read the table of real statistics."""
    rows = []
    with TABLE.open(newline="") as file:
        for line in csv.DictReader(file):
            real = float(line["real"])
            margin = TOLERANCE * abs(real)
            low = float(line["low"] or real - margin)
            high = float(line["high"] or real + margin)
            rows.append(
                Row(line["group"], line["statistic"], line["description"], real, low, high,
                    line["version_1"])
            )  # fmt: skip
    return rows


def as_text(rows: Sequence[Row], measured: Measured) -> str:
    """Table as text, one line per statistic."""
    lines, group = [], ""
    for row in rows:
        if row.statistic in measured:
            if row.group != group:
                group = row.group
                lines.append(f"\n{group:44s} {'real':>8s} {'range':>17s} {'v1':>8s} {'now':>8s}")
            value = measured[row.statistic]
            lines.append(
                f"  {row.description:42s} {row.real:8.4g} {row.low:8.3g} {row.high:8.3g} "
                f"{row.version_1:>8s} {value:8.3g}{'' if row.agrees(value) else ' *'}"
            )
    inside = [row.agrees(measured[row.statistic]) for row in rows if row.statistic in measured]
    return "\n".join(lines) + f"\n\n{sum(inside)} of {len(inside)} in the real range\n"


def as_html(rows: Sequence[Row], measured: Measured) -> str:
    """Table as an HTML page."""
    cells = [
        (row.group, row.description, f"{row.real:.4g}", f"{row.low:.3g} to {row.high:.3g}",
         row.version_1, f"{measured[row.statistic]:.3g}")
        for row in rows if row.statistic in measured
    ]  # fmt: skip
    head = ("", "statistic", "real", "range", "version 1", "now")
    lines = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in [head, *cells]]
    return "<table>\n<tr>" + "</tr>\n<tr>".join(lines) + "</tr>\n</table>\n"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--html", type=Path, metavar="FILE", help="Write the table to a file.")
    names = [measure.__name__ for measure in MEASURES]
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=f"Of {', '.join(names)}.")
    arguments = parser.parse_args()
    measured: Measured = {}
    for measure in MEASURES:
        if not arguments.measures or measure.__name__ in arguments.measures:
            measured |= measure()
    rows = real_statistics()
    print(as_text(rows, measured))
    if arguments.html:
        arguments.html.write_text(as_html(rows, measured))


if __name__ == "__main__":
    main()
