"""Files are whole or not there."""

import errno
import os
from pathlib import Path

import pytest

from backend.files import FileError, copy_file, remove_file, temporary_name, write_file


def full_disk(_descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_appears_under_its_name_only_with_nothing_beside_it(tmp_path: Path):
    path = tmp_path / "folder" / "file.bin"
    write_file(path, b"first")
    write_file(path, b"second")
    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("action", ["write", "copy"])
def test_a_full_disk_is_said_and_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str
):
    path, source = tmp_path / "image.png", tmp_path / "source.png"
    path.write_bytes(b"old")
    source.write_bytes(b"new")
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(FileError, match=r"The disk is full: image\.png was not written"):
        write_file(path, b"new") if action == "write" else copy_file(source, path)
    assert path.read_bytes() == b"old"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["image.png", "source.png"]


def test_a_disk_that_is_full_in_earnest_is_said(tmp_path: Path):
    """/dev/full answers every write as a full disk does."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    path = tmp_path / "image.png"
    partial = path.with_name(temporary_name("image.png"))
    partial.symlink_to("/dev/full")
    with pytest.raises(FileError, match="The disk is full"):
        write_file(path, bytes(1_000_000))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_gets_a_sentence(tmp_path: Path):
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(FileError, match=r"image\.png"):
        write_file(tmp_path / "taken" / "image.png", b"x")


def test_a_copy_of_a_file_that_is_gone_gets_a_sentence(tmp_path: Path):
    with pytest.raises(FileError, match="no longer in the workspace"):
        copy_file(tmp_path / "gone.png", tmp_path / "copy.png")


def test_removing_twice_is_no_error(tmp_path: Path):
    (tmp_path / "x").write_bytes(b"")
    remove_file(tmp_path / "x")
    remove_file(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []
