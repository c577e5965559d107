from __future__ import annotations

from pathlib import Path

import pytest

from caco_data.dataset.layout import LOCATIONS
from caco_data.dataset.tables import write_table
from caco_data.download import replacements
from caco_data.download.replacements import MAX_DRAWS, Replacements
from caco_data.sampling.location_files import geoparquet_table, read_locations, write_locations
from caco_data.sampling.locations import LocationTable, extend, sample_locations
from caco_data.sampling.settings import SampleSettings
from caco_data.storage import LocalStorage

N = 30


@pytest.mark.parametrize("options", [{}, {"no_overlap": True}, {"strategy": "uniform"}])
def test_an_extended_table_has_the_bytes_of_one_sampled_at_once(
    tmp_path: Path, options: dict[str, object]
) -> None:
    table = sample_locations(SampleSettings(**options), N)  # type: ignore[arg-type]
    made = Replacements(table)
    for n in (N + 1, N + 7, N + 2, 3 * N):
        longer = made.extended(n)
        assert longer is not None
        whole = extend(table.metadata, n)
        assert longer.metadata == whole.metadata
        assert longer.location_id.tolist() == list(range(n))
        digests = [
            write_table(LocalStorage(tmp_path), LOCATIONS, geoparquet_table(x).combine_chunks())
            for x in (longer, whole)
        ]
        assert digests[0] == digests[1]


def test_a_round_of_few_more_replacements_does_not_sample_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lengths: list[tuple[int, int]] = []

    def counted(metadata: dict[str, object], n: int, first: int = 0) -> LocationTable:
        lengths.append((first, n))
        return extend(metadata, n, first)

    monkeypatch.setattr(replacements, "extend", counted)
    made = Replacements(sample_locations(SampleSettings(), N))
    for n in (N + 8, N + 12, N + 14, N + 15):
        assert made.extended(n) is not None
    assert lengths == [(N, N + 16)]


def test_too_long_tables_and_changed_inputs_end_the_replacement(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = sample_locations(SampleSettings(), N)
    assert Replacements(table).extended(MAX_DRAWS * N + 1) is None
    assert "no more are sampled" in caplog.text
    table.metadata["inputs"] = {}
    assert Replacements(table).extended(N + 1) is None
    assert "rejected locations are not replaced" in caplog.text


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_table_from_a_file_is_extended_like_the_sampled_one(tmp_path: Path, suffix: str) -> None:
    table = sample_locations(SampleSettings(), N)
    write_locations(table, tmp_path / f"locations{suffix}")
    longer = Replacements(read_locations(tmp_path / f"locations{suffix}")).extended(2 * N)
    assert longer is not None
    whole = extend(table.metadata, 2 * N)
    assert longer.metadata == whole.metadata
    assert longer.table.equals(whole.table)
    for name in ("location_id", "longitude", "latitude", "utm_epsg"):
        assert getattr(longer, name).tolist() == getattr(whole, name).tolist()
