from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.image import imread

from caco_data.dataset.contact_sheet import _choose, plot_stacks
from caco_data.dataset.index import open_index
from caco_data.dataset.layout import INDEX, INDEX_SCHEMA
from caco_data.dataset.reader import open_dataset
from caco_data.dataset.tables import write_table
from caco_data.download.settings import FetchSettings, SceneSettings
from caco_data.errors import InputError
from caco_data.storage import LocalStorage
from tests.support.plain_source import make_dataset, outcomes

N = 4


@pytest.mark.parametrize("bands", [("B4", "B3", "B2"), ("B8",)])
@pytest.mark.parametrize("rows", [2, 8])
def test_the_sheet_has_one_row_per_location(
    tmp_path: Path, bands: tuple[str, ...], rows: int
) -> None:
    fetch = FetchSettings(SceneSettings(), bands)
    make_dataset(str(tmp_path), outcomes(N, fetch=fetch), fetch)
    path = tmp_path / "stacks.png"
    plot_stacks(open_dataset(tmp_path), path, rows)
    picture = imread(path)[..., :3]
    height, width, _ = picture.shape
    shown = min(rows, N)
    assert (width, height) == (1520, 175 * shown + 15)
    for row in np.array_split(picture, shown):
        assert (row < 0.9).mean() > 0.01  # not blank
    # Only the tiles have colours; titles and dates are black and white.
    is_grey = bool(np.ptp(picture, axis=-1).max() < 0.01)
    assert is_grey == (bands == ("B8",))


def test_titles_state_id_city_and_change(tmp_path: Path) -> None:
    make_dataset(str(tmp_path), outcomes(N))
    path = tmp_path / "locations.parquet"
    table = pq.read_table(path)
    table = table.append_column("city", pa.array(["A", None, "C", None]))
    pq.write_table(table.append_column("country", pa.array(["FR", None, None, None])), path)
    dataset = open_dataset(tmp_path)
    truth = pq.read_table(tmp_path / "truth.parquet").to_pylist()
    share = {row["location_id"]: f"{row['changed_fraction']:.0%}" for row in truth}
    assert _choose(dataset, N) == [
        (i, f"{i}{city}  ({share[i]} of the pixels permanently changed)")
        for i, city in enumerate(["  A, FR", "", "  C, ", ""])
    ]
    (tmp_path / "truth.parquet").unlink()
    assert _choose(dataset, 2) == [(0, "0  A, FR"), (1, "1")]


def test_half_of_the_locations_are_the_most_changed(tmp_path: Path) -> None:
    make_dataset(str(tmp_path), outcomes(N))
    path = tmp_path / "truth.parquet"
    table = pq.read_table(path)
    changed = pa.array([0.0, 0.0, 0.1, 0.9])
    table = table.set_column(table.schema.get_field_index("changed_fraction"), "changed_fraction",
                             changed)  # fmt: skip
    pq.write_table(table, path)
    assert [location_id for location_id, _ in _choose(open_dataset(tmp_path), 2)] == [0, 3]


def test_data_sets_without_10_m_bands_or_locations_are_refused(tmp_path: Path) -> None:
    fetch = FetchSettings(SceneSettings(), ("B11",))
    make_dataset(str(tmp_path / "coarse"), outcomes(1, fetch=fetch), fetch)
    coarse = open_dataset(tmp_path / "coarse")
    make_dataset(str(tmp_path / "fine"), outcomes(1))
    fine = open_dataset(tmp_path / "fine")
    write_table(LocalStorage(tmp_path), INDEX, INDEX_SCHEMA.empty_table())  # by earlier versions
    empty = dataclasses.replace(fine, index=open_index(LocalStorage(tmp_path)))
    for dataset, words in ((coarse, "without 10 m bands"), (empty, "without locations")):
        with pytest.raises(InputError, match=words) as caught:
            plot_stacks(dataset, tmp_path / "stacks.png")
        assert dataset.root in str(caught.value)
    assert not (tmp_path / "stacks.png").exists()
