from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caco_data.dataset.layout import (
    is_shard_name,
    member_name,
    shard_file,
    shard_name,
    split_member_name,
)
from caco_data.errors import DatasetError
from caco_data.printable import printable
from caco_data.storage import LocalStorage, open_storage, write_bytes

BAD_NAMES = ["/etc/passwd", "../x", "a/../../x", "a//x", "./x", "a/.", "..", "a\\..\\x", "x\0.tar"]


@pytest.mark.parametrize("url", ["folder", "memory://hostile"])
@pytest.mark.parametrize("name", BAD_NAMES)
def test_storage_refuses_names_that_lead_out_of_the_folder(
    tmp_path: Path, url: str, name: str
) -> None:
    storage = open_storage(tmp_path / url if url == "folder" else url)
    for use in (storage.exists, storage.size, storage.read, storage.open, storage.remove):
        with pytest.raises(DatasetError, match="leads out"):
            use(name)
    for use_folder in (storage.names, storage.temporaries, storage.remove_folder):
        if url == "folder" or use_folder == storage.remove_folder:
            with pytest.raises(DatasetError, match="leads out"):
                use_folder(name)
    with pytest.raises(DatasetError, match="leads out"), storage.writing(name):
        pass
    assert list(tmp_path.iterdir()) == []


@given(st.text(st.sampled_from("a./\\\0.."), max_size=8))
def test_an_accepted_name_denotes_a_file_below_the_root(name: str) -> None:
    root = "/root/data"
    try:
        path = str(LocalStorage(root).path(name))
    except DatasetError:
        return
    assert os.path.normpath(path) == path.rstrip("/")
    assert path == root or path.startswith(f"{root}/")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "victim").write_text("private")
    return folder


def test_links_below_the_root_are_refused(tmp_path: Path, outside: Path) -> None:
    root = tmp_path / "set"
    root.mkdir()
    (root / "folder").symlink_to(outside)
    (root / "file").symlink_to(outside / "victim")
    storage = LocalStorage(root)
    for name in ("folder/victim", "file"):
        for use in (storage.exists, storage.size, storage.read, storage.open):
            with pytest.raises(DatasetError, match="symbolic link"):
                use(name)
    for use_folder in (storage.names, storage.temporaries, storage.remove_folder):
        with pytest.raises(DatasetError, match="symbolic link"):
            use_folder("folder")
    with pytest.raises(DatasetError, match="symbolic link"), storage.writing("folder/victim"):
        pass
    with pytest.raises(DatasetError, match="symbolic link"):
        storage.remove("folder/victim")
    assert storage.names() == []
    assert storage.irregular() == {"file": "a symbolic link", "folder": "a symbolic link"}
    # The link itself is replaced or removed, never what it links to.
    write_bytes(storage, "file", b"new")
    assert storage.read("file") == b"new"
    (root / "folder").unlink()
    (root / "folder").symlink_to(outside / "victim")
    storage.remove("folder")
    assert (outside / "victim").read_text() == "private"
    assert sorted(p.name for p in root.iterdir()) == ["file"]


def test_the_root_itself_may_be_a_link(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "link").symlink_to(outside)
    assert LocalStorage(tmp_path / "link").read("victim") == b"private"


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    storage = LocalStorage(tmp_path)
    assert not storage.exists("pipe")
    assert storage.irregular() == {"pipe": "a pipe"}
    with pytest.raises(DatasetError, match="regular file"):
        storage.read("pipe")


@given(st.integers(0, 999_999), st.integers(0, 10**18 - 1), st.sampled_from(["json", "early.npy"]))
def test_names_of_the_format_are_accepted(shard: int, location_id: int, member: str) -> None:
    assert is_shard_name(shard_name(shard))
    assert shard_file(shard_name(shard)) == f"shards/{shard_name(shard)}"
    assert split_member_name(member_name(location_id, member)) == (location_id, member)


@given(st.text() | st.from_regex(r"[0-9]{5,7}[./]+tar\s?") | st.integers() | st.none())
def test_other_names_are_not_those_of_shards(name: object) -> None:
    if is_shard_name(name):
        assert isinstance(name, str)
        assert name == shard_name(int(name[:6]))
    else:
        with pytest.raises(DatasetError):
            shard_file(name)  # type: ignore[arg-type]


@given(st.text() | st.from_regex(r"\A[./0-9]{8,12}[a-z./]{0,6}\Z"))
def test_a_member_name_is_accepted_in_one_spelling_only(name: str) -> None:
    try:
        location_id, member = split_member_name(name)
    except ValueError:
        return
    assert member_name(location_id, member) == name
    assert "/" not in name


@given(st.text() | st.text(st.characters(categories=["Cs", "Cc", "Cf", "Zl"])))
def test_printable_text_contains_no_control_characters(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    shown.encode()
    assert shown == text or not text.isprintable()


def test_escapes_of_printable_text() -> None:
    assert printable("Zürich, 東京 $x$") == "Zürich, 東京 $x$"
    assert printable("a\x1b[31m\nb\u202e\udcff") == r"a\x1b[31m\nb\u202e\udcff"
