from __future__ import annotations

import io
import tarfile
from dataclasses import asdict
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caco_data.dataset.arrays import NPY_HEADER_BYTES, member_formats
from caco_data.dataset.layout import INDEX_SCHEMA, bands_by_pixel
from caco_data.dataset.shards import (
    Record,
    read_shard,
    rows_table,
    table_rows,
    to_uint8,
    write_shard,
)
from caco_data.download.settings import FetchSettings, SceneSettings
from caco_data.errors import DatasetError
from caco_data.grid import patch_grid
from caco_data.sentinel2 import ALL_BANDS
from tests.support.plain_source import FETCH, FORMATS, locations, outcomes

SMALL = FetchSettings(SceneSettings(), ("B1",))


def read(data: bytes, fetch: FetchSettings = FETCH) -> list[Record]:
    return list(read_shard(io.BytesIO(data), "000007.tar", member_formats(asdict(fetch))))


def shard_bytes(n: int, fetch: FetchSettings = FETCH) -> bytes:
    records = []
    for outcome in outcomes(n, fetch=fetch):
        assert isinstance(outcome.part, bytes)
        records += read(outcome.part, fetch)
    buffer = io.BytesIO()
    write_shard(buffer, "000000.tar", records)
    return buffer.getvalue()


def test_members_are_plain_npy_in_the_webdataset_order() -> None:
    with tarfile.open(fileobj=io.BytesIO(shard_bytes(2))) as tar:
        names = tar.getnames()
        infos = tar.getmembers()
    endings = ["early.npy", "early_scl.npy", "late.npy", "late_scl.npy", "json"]
    assert names == [f"{i:09d}.{ending}" for i in range(2) for ending in endings]
    assert {info.mtime for info in infos} == {0}


def test_all_bands_have_their_native_pixel_size_and_their_offset() -> None:
    fetch = FetchSettings(SceneSettings(), ALL_BANDS)
    data = shard_bytes(2, fetch)
    (first, second) = read(data, fetch)
    formats = member_formats(asdict(fetch))
    shapes = {name: formats[name].decode(array).shape for name, array in first.arrays.items()}
    assert shapes["early.npy"] == (5, 4, 264, 264)
    assert shapes["late20.npy"] == (5, 6, 132, 132)
    assert shapes["late60.npy"] == (5, 2, 44, 44)
    assert shapes["early_scl.npy"] == (5, 132, 132)
    assert bands_by_pixel(ALL_BANDS)[60] == ("B1", "B9")
    for record in (first, second):
        for row in record.rows:
            member = data[row["offset"] :][: row["nbytes"]]
            assert member == record.arrays[f"{row['period']}.npy"]
            scl = data[row["scl_offset"] :][: row["scl_nbytes"]]
            assert scl == record.arrays[f"{row['period']}_scl.npy"]
    # The DN encodes the position: decimation must pick the upper left pixel of each block.
    grid = patch_grid(locations(1)[0])
    b1 = formats["early60.npy"].decode(first.arrays["early60.npy"])[0, 0]
    down, right = np.indices((44, 44)) * 6
    place = (grid.left_m // 10 + right) * 3 + (grid.top_m // 10 - down) * 5
    assert np.array_equal(b1, 1 + place % 9999)


def test_array_data_begins_at_a_fixed_offset() -> None:
    (record,) = read(shard_bytes(1))
    data = record.arrays["early.npy"]
    array = np.frombuffer(data, dtype="<u2", offset=NPY_HEADER_BYTES).reshape(5, 3, 264, 264)
    assert np.array_equal(array, FORMATS["early.npy"].decode(data))


@pytest.mark.parametrize("dtype", ["uint16", "uint8"])
def test_zstd_and_uint8(dtype: str) -> None:
    settings = FetchSettings(SceneSettings(), ("B4",), dtype, "zstd")  # type: ignore[arg-type]
    (record,) = read(shard_bytes(1, settings), settings)
    late = member_formats(asdict(settings))["late.npy.zst"]
    assert late.decode(record.arrays["late.npy.zst"]).dtype == dtype


def test_uint8_rounds_every_dn_to_the_released_encoding() -> None:
    dn = np.arange(65_536, dtype=np.uint16)
    expected = np.clip(np.rint(dn.astype(np.float64) / 10000 * 255), 0, 255)
    np.testing.assert_array_equal(to_uint8(dn), expected)


def test_the_same_records_give_the_same_bytes_and_rows_are_restored_from_the_table() -> None:
    assert shard_bytes(2) == shard_bytes(2)
    rows = [row for record in read(shard_bytes(2)) for row in record.rows]
    table = rows_table(rows)
    assert table.schema == INDEX_SCHEMA
    assert table_rows(table) == rows


@cache
def small_shard() -> bytes:
    return shard_bytes(1, SMALL)


@given(st.data())
def test_any_damage_to_a_member_is_found(data: st.DataObject) -> None:
    good = small_shard()
    at = data.draw(st.integers(512, len(good) - 1))
    bad = bytearray(good)
    bad[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = read(bytes(bad), SMALL)
    except DatasetError:
        return
    # Undetected here: changes of padding or of unused fields of a header; never of an array.
    assert [record.arrays for record in found] == [read(good, SMALL)[0].arrays]


def test_a_truncated_tar_is_an_error_that_names_the_shard() -> None:
    with pytest.raises(DatasetError, match=r"000007\.tar"):
        read(shard_bytes(1)[:100_000])


def test_members_of_a_location_share_the_name_before_the_first_dot() -> None:
    # webdataset and Hugging Face group members by the part of the name before the first dot.
    with tarfile.open(fileobj=io.BytesIO(shard_bytes(2))) as tar:
        keys = [name.split(".", 1)[0] for name in tar.getnames()]
    assert keys == ["000000000"] * 5 + ["000000001"] * 5
