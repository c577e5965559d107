"""Shards that were made to read or write other files, or to fill the memory."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from caco_data.dataset.arrays import ArrayFormat, member_formats
from caco_data.dataset.scan import scan_shard
from caco_data.dataset.shards import Record, rows_table, write_shard
from caco_data.dataset.verify import verify
from caco_data.storage import LocalStorage
from tests.support.hostile import SHARD, ZSTD, accept, small_dataset

FORM = ArrayFormat((5, 1, 44, 44), np.dtype("uint16"))
COMPRESSED = ArrayFormat(FORM.shape, FORM.dtype, compressed=True)
FORMATS = member_formats({"bands": ["B1"], "dtype": "uint16", "compress": "zstd"})
ARRAY = np.arange(5 * 44 * 44, dtype=np.uint16).reshape(FORM.shape)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_dataset(tmp_path_factory.mktemp("hostile") / "set", ZSTD)


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "set"))


def rewrite(
    root: Path, extra: list[tarfile.TarInfo], replaced: dict[str, bytes] | None = None
) -> None:
    """Write the first shard again, with other contents or members after the last location."""
    path = root / SHARD
    with tarfile.open(path) as tar:
        members = [(info, tar.extractfile(info)) for info in tar]
        contents = [(info, file.read()) for info, file in members if file is not None]
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for info, content in contents:
            data = (replaced or {}).get(info.name, content)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for info in extra:
            tar.addfile(info, io.BytesIO(bytes(info.size)))
    accept(root)


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    info.linkname = "../../outside" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
    return info


def problems(root: Path) -> str:
    return "\n".join(map(str, verify(LocalStorage(root)).damages))


KINDS = {
    "a pipe": tarfile.FIFOTYPE,
    "a symbolic link": tarfile.SYMTYPE,
    "a hard link": tarfile.LNKTYPE,
    "a device": tarfile.CHRTYPE,
    "a folder": tarfile.DIRTYPE,
    "a sparse file": tarfile.GNUTYPE_SPARSE,
    "a long name": tarfile.GNUTYPE_LONGNAME,
    "a pax header": tarfile.XHDTYPE,
}


@pytest.mark.parametrize("kind", KINDS)
def test_only_regular_members_are_accepted_also_after_the_last_location(
    root: Path, kind: str
) -> None:
    rewrite(root, [member("000000009.late.npy.zst", KINDS[kind])])
    assert f"{SHARD}: broken tar: member '000000009.late.npy.zst" in problems(root)
    assert "is not a regular file" in problems(root)


@pytest.mark.parametrize(
    "name",
    ["../x", "/etc/passwd", "000000009.json/../../x", "x.json", "000000009.late.py", "9.json"],
)
def test_only_names_of_the_format_are_accepted_also_after_the_last_location(
    root: Path, name: str
) -> None:
    rewrite(root, [member(name)])
    assert f"{SHARD}: broken tar: " in problems(root)
    assert name in problems(root)


@pytest.mark.parametrize(
    ("extra", "found"),
    [
        (["000000000.json"], "not in order"),
        (["000000009.early60.npy.zst"], "location 9 has no json member"),
        (["000000009.early60.npy.zst", "000000009.early60.npy.zst"], "not in order"),
        (["000000009.early60.npy.zst", "000000008.json"], "not in order"),
        (["000000009.json"], "location 9: not in index.parquet"),
    ],
)
def test_members_are_in_order_and_complete(root: Path, extra: list[str], found: str) -> None:
    rewrite(root, [member(name) for name in extra])
    assert found in problems(root)


def test_data_after_the_end_is_a_problem(root: Path) -> None:
    with (root / SHARD).open("ab") as file:
        file.write(b"hidden" + bytes(506))
    accept(root)
    assert "data after the end of the tar" in problems(root)


@given(
    kind=st.sampled_from([*map(bytes, zip(range(256), strict=True)), *KINDS.values()]),
    name=st.text(st.characters(max_codepoint=255), max_size=99)
    | st.from_regex(r"\A[0-9]{9}\.(json|(early|late)(_scl|60|20)?\.npy(\.zst)?)\Z"),
    size=st.integers(0, 2**40),
    flip=st.none() | st.tuples(st.integers(0, 511), st.integers(0, 255)),
)
def test_no_header_makes_the_reader_fail_otherwise_or_take_much_memory(
    kind: bytes, name: str, size: int, flip: tuple[int, int] | None
) -> None:
    info = member("x", kind, size)
    info.name = name
    try:
        header = bytearray(info.tobuf(tarfile.GNU_FORMAT, "latin-1"))
    except ValueError:
        return
    if flip is not None:
        header[flip[0] % len(header)] = flip[1]
    tracemalloc.start()
    try:
        list(scan_shard(io.BytesIO(bytes(header) + bytes(4096)), FORMATS))
    except (tarfile.TarError, ValueError):
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 4 << 20


@given(st.sampled_from([FORM, COMPRESSED]), st.binary(max_size=200), st.integers(0, 400))
def test_damaged_arrays_are_value_errors(form: ArrayFormat, noise: bytes, at: int) -> None:
    good = form.encode(ARRAY)
    assert np.array_equal(form.decode(good), ARRAY)
    bad = good[:at] + noise + good[at + len(noise) :]
    for data in (bad, good[:at], good + noise):
        try:
            found = form.decode(data)
        except ValueError:
            continue
        assert (found.shape, found.dtype) == (form.shape, form.dtype)


def npy(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize(
    "array",
    [
        np.array([print], dtype=object),
        ARRAY.astype(">u2"),
        np.asfortranarray(ARRAY),
        ARRAY[:4],
        ARRAY.astype(np.uint8),
        np.zeros(FORM.shape, dtype=[("a", "u1"), ("b", "u1")]),
    ],
    ids=["pickle", "big-endian", "fortran", "shape", "dtype", "record"],
)
def test_other_arrays_are_refused(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
    with pytest.raises(ValueError, match="not a uint16 array"):
        FORM.decode(npy(array))
    with pytest.raises(ValueError, match=r"declares|not a uint16 array"):
        COMPRESSED.decode(zstandard.compress(npy(array)))


def zeros(nbytes: int, declared: bool) -> bytes:
    """Compress zeros, with or without their size in the header."""
    chunk = bytes(1 << 24)
    out = io.BytesIO()
    size = nbytes if declared else -1
    with zstandard.ZstdCompressor(level=1).stream_writer(out, size=size, closefd=False) as writer:
        for _ in range(nbytes // len(chunk)):
            writer.write(chunk)
    return out.getvalue()


@pytest.mark.parametrize("declared", [True, False])
def test_a_compressed_member_is_not_expanded_beyond_its_shape(declared: bool) -> None:
    bomb = zeros(1 << 28, declared)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"declares|Data|size"):
        COMPRESSED.decode(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_verify_of_bombs_takes_little_memory(root: Path) -> None:
    name = "early60.npy.zst"
    bomb = zeros(1 << 28, declared=True)
    change = {"b60_nbytes": len(bomb), "b60_sha256": hashlib.sha256(bomb).hexdigest()}
    index = []
    for shard in ("000000.tar", "000001.tar"):
        with (root / "shards" / shard).open("rb") as file:
            records = [Record.of(entry) for entry in scan_shard(file, FORMATS)]
        changed = [
            Record(
                record.location_id,
                record.arrays | {name: bomb},
                tuple(row | change if row["period"] == "early" else row for row in record.rows),
            )
            for record in records
        ]
        with (root / "shards" / shard).open("wb") as file:
            index += write_shard(file, shard, changed)
    pq.write_table(rows_table(index), root / "index.parquet")
    sparse = member("000000009.late60.npy.zst", tarfile.GNUTYPE_SPARSE, 512)
    data = (root / SHARD).read_bytes().rstrip(b"\0")
    data += bytes(-len(data) % 512) + sparse.tobuf(tarfile.GNU_FORMAT) + bytes(512)
    (root / SHARD).write_bytes(data)
    accept(root)
    tracemalloc.start()
    found = problems(root)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert f"location 2: member '{name}': the compressed member declares {1 << 28} bytes" in found
    assert f"{SHARD}: broken tar: member '000000009.late60.npy.zst' is not a regular" in found
    assert peak < 32 << 20
