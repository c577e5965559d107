from __future__ import annotations

import hashlib
import io
from pathlib import Path

from caco_data.dataset.hashing import HashingReader, HashingWriter, file_fault
from caco_data.storage import LocalStorage, write_bytes

DATA = bytes(range(256)) * 20_000
SHA256 = hashlib.sha256(DATA).hexdigest()


def test_reader_and_writer_count_and_hash_all_bytes() -> None:
    reader = HashingReader(io.BytesIO(DATA))
    assert reader.read(1000) == DATA[:1000]
    assert reader.nbytes == 1000
    reader.read_to_end()
    target = io.BytesIO()
    writer = HashingWriter(target)
    assert writer.write(DATA[:7]) == 7
    assert writer.tell() == 7
    writer.write(DATA[7:])
    assert target.getvalue() == DATA
    for file in (reader, writer):
        assert (file.nbytes, file.sha256) == (len(DATA), SHA256)


def test_file_faults(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    write_bytes(storage, "a", DATA)
    assert file_fault(storage, "a", SHA256, len(DATA)) is None
    assert file_fault(storage, "a") is None
    assert file_fault(storage, "b") == "missing file"
    assert file_fault(storage, "a", SHA256, 3) == f"{len(DATA)} bytes instead of 3"
    assert "SHA-256" in str(file_fault(storage, "a", "0" * 64))
