from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from caco_data.dataset.layout import EVENTS, LOCATIONS
from caco_data.world.geoparquet import encode_points
from tests.support.plain_source import make_dataset, outcomes

#: Locations of the data set.
N = 4
#: A city's name that would end an element of the page, and control the terminal.
HOSTILE = "</script><b>A\x1b[31m"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of four locations with cities, distances, redraws and events."""
    root = tmp_path_factory.mktemp("report") / "dataset"
    make_dataset(str(root), outcomes(N))
    path = root / LOCATIONS
    table = pq.read_table(path)
    new = {
        "city": pa.array([HOSTILE, None, "C", "D"]),
        "country": pa.array(["FR", None, "DE", "DE"]),
        "city_distance_m": pa.array([100.0, 2000.0, 3000.5, None]),
        "redraws": pa.array([0, 1, 0, 2]),
        "geometry": encode_points(
            pa.array([3.0, 3.1, 3.2, 3.3]).to_numpy(), pa.array([45.0] * N).to_numpy()
        ),
    }
    for name, column in new.items():
        if name in table.column_names:
            table = table.drop_columns([name])
        table = table.append_column(name, column)
    sampler = {"seed": 0, "settings": {"strategy": "caco", "sigma_km": 2.0}}
    pq.write_table(table.replace_schema_metadata({"caco_data": json.dumps(sampler)}), path)
    events = [
        {"time": "2026-11-24T18:00:00.123Z", "event": "start"},
        {"time": "2026-11-24T18:00:01Z", "event": "retries", "causes": {"429": 3}},
        {"time": "2026-11-24T18:00:02Z", "event": "throttled", "window": 5, "of": 40},
        {"time": "2026-11-24T18:00:03Z", "event": "rejected", "reason": "too cloudy"},
        {"time": "not a time", "event": "end"},
        {
            "time": "2026-11-24T18:00:09Z",
            "event": "end",
            "requests": 48,
            "seconds": 9,
            "bytes": "x",
        },
    ]
    (root / EVENTS).write_text("".join(json.dumps(one) + "\n" for one in events))
    return root


@pytest.fixture(scope="session")
def page(folder: Path) -> Path:
    """The page about the data set, with images of two locations."""
    from caco_data.report.write import ReportSettings, write_report

    out = folder.parent / "report.html"
    write_report([str(folder)], str(out), ReportSettings(stacks=2))
    return out
