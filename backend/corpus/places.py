"""Where a download lies: a folder, with zips and HDF5 files read in place, never unpacked."""

import io
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from backend.corpus.errors import CorpusError
from backend.corpus.hdf5 import is_hdf5, list_members, read_member

ZIP_SUFFIX = ".zip"
INSIDE = "!/"
MAX_OPEN_ZIPS = 4
MAX_MEMBER_BYTES = 2 * 2**30
"""The largest file read out of a zip; a table of 1 GB is one."""
MAX_RATIO = 200
"""A member that unpacks to more than so many times its packed size is a bomb..."""
MIN_SUSPECT_BYTES = 64 * 2**20
"""...if it is at least as large as this; small ones do no harm."""
REFUSAL = (
    (lambda name: name.startswith(("/", "\\")) or name[1:2] == ":", "an absolute name"),
    (lambda name: ".." in PurePosixPath(name.replace("\\", "/")).parts, "'..' in its name"),
)


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """A file of a download: its path below the root, and inside an archive where it is in one."""

    path: str
    member: str = ""

    @property
    def place(self) -> str:
        """The path as it is shown and stored."""
        return f"{self.path}{INSIDE}{self.member}" if self.member else self.path

    @property
    def inner(self) -> PurePosixPath:
        """The path that its folders and its name are read from."""
        path = PurePosixPath(self.path)
        if not self.member:
            return path
        return path.with_suffix("") / (f"{self.member}.jpg" if is_hdf5(path) else self.member)


@dataclass(frozen=True)
class Refused:
    """A file that is not opened, and why."""

    place: str
    why: str


def scan(root: Path) -> tuple[list[Item], list[Refused]]:
    """All files below a folder, or in one zip, in the order of their paths; no link is followed.

    Raises:
        CorpusError: there is no such folder or zip, or it cannot be read.
    """
    items: list[Item] = []
    refused: list[Refused] = []
    if root.is_file():
        files = [root]
        root = root.parent
    elif root.is_dir():
        files = _walk(root, refused)
    else:
        raise CorpusError(f"There is no folder {root}: check the path.")
    for file in sorted(files):
        path = file.relative_to(root).as_posix()
        if not _is_hidden(PurePosixPath(path)):
            _scan_file(file, path, items, refused)
    return items, refused


def require_root(root: Path) -> None:
    """Refuse, before a job is queued, what is no folder and no archive that can be read.

    Raises:
        CorpusError: saying what is there instead.
    """
    try:
        if root.is_dir():
            return
        if not root.exists():
            raise CorpusError(f"There is no folder {root}: check the path.")
        if root.suffix.casefold() != ZIP_SUFFIX and not is_hdf5(root):
            raise CorpusError(f"{root.name} is neither a folder nor a zip: give one of these.")
        if root.suffix.casefold() == ZIP_SUFFIX and not zipfile.is_zipfile(root):
            raise CorpusError(f"The zip {root.name} is damaged: get a fresh copy.")
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise CorpusError(f"The path {root} cannot be looked at: {reason}.") from error


def _walk(root: Path, refused: list[Refused]) -> list[Path]:
    """Files, and links to folders; a folder below `root` that cannot be read is refused."""

    def unread(error: OSError) -> None:
        reason = (error.strerror or "unknown reason").lower()
        folder = Path(error.filename or root)
        if folder == root:
            raise CorpusError(f"The folder {root} cannot be read: {reason}.") from error
        refused.append(
            Refused(folder.relative_to(root).as_posix(), f"this folder cannot be read: {reason}")
        )

    files = []
    for folder, folders, names in os.walk(root, onerror=unread):
        here = Path(folder)
        files += [here / name for name in names]
        files += [here / name for name in folders if (here / name).is_symlink()]
    return files


def _scan_file(file: Path, path: str, items: list[Item], refused: list[Refused]) -> None:
    if not _is_text(path):
        shown = path.encode("utf-8", "backslashreplace").decode()
        refused.append(Refused(shown, "its name is not valid text: rename it"))
    elif file.is_symlink():
        refused.append(Refused(path, "it is a link: links are not followed"))
    elif not file.is_file():
        refused.append(Refused(path, "it is no ordinary file: it would never end"))
    elif file.suffix.casefold() == ZIP_SUFFIX:
        _scan_zip(file, path, items, refused)
    elif is_hdf5(PurePosixPath(path)):
        members, broken = list_members(file)
        items += [Item(path, member) for member in members]
        refused += [Refused(f"{path}{INSIDE}{name}" if name else path, why) for name, why in broken]
    else:
        items.append(Item(path))


def base_of(root: Path) -> Path:
    """The folder that the paths of items are relative to."""
    return root.parent if root.is_file() else root


@contextmanager
def open_item(base: Path, item: Item) -> Iterator[BinaryIO]:
    """The bytes of a file; one in a zip is unpacked in memory, never beyond its stated size.

    Raises:
        CorpusError: it cannot be read, or holds more than it says.
    """
    try:
        if not item.member:
            with (base / item.path).open("rb") as stream:
                yield stream
            return
        if is_hdf5(PurePosixPath(item.path)):
            yield io.BytesIO(read_member(base / item.path, item.member))
            return
        yield io.BytesIO(_member(_archive(base / item.path), item))
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, RuntimeError) as error:
        raise CorpusError(f"{item.place} cannot be unpacked: get a fresh copy.") from error
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise CorpusError(f"{item.place} cannot be read: {reason}.") from error


@lru_cache(maxsize=MAX_OPEN_ZIPS)
def _archive(file: Path) -> zipfile.ZipFile:
    """Kept open: the list of a zip of 400,000 images takes seconds to read."""
    return zipfile.ZipFile(file)


def _member(archive: zipfile.ZipFile, item: Item) -> bytes:
    info = archive.getinfo(item.member)
    with archive.open(info) as stream:
        data = stream.read(info.file_size + 1)
    if len(data) > info.file_size:
        raise CorpusError(f"{item.place} holds more than its zip says: get a fresh copy.")
    return data


def _scan_zip(file: Path, path: str, items: list[Item], refused: list[Refused]) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        refused.append(Refused(path, "this zip is damaged: get a fresh copy"))
        return
    seen: set[str] = set()
    for info in sorted(members, key=lambda info: info.filename):
        if info.is_dir() or _is_hidden(PurePosixPath(info.filename.replace("\\", "/"))):
            continue
        why = _refusal(info) or ("its name is there twice" if info.filename in seen else "")
        seen.add(info.filename)
        if why:
            refused.append(Refused(f"{path}{INSIDE}{info.filename}", why))
        else:
            items.append(Item(path, info.filename))


def _refusal(info: zipfile.ZipInfo) -> str:
    for is_bad, words in REFUSAL:
        if is_bad(info.filename):
            return f"{words} in a zip"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "a link in a zip"
    if info.flag_bits & 1:
        return "it is locked with a password"
    if info.file_size > MAX_MEMBER_BYTES:
        return f"it unpacks to more than {MAX_MEMBER_BYTES >> 30} GB"
    if info.file_size > max(MIN_SUSPECT_BYTES, MAX_RATIO * info.compress_size):
        return "a zip bomb"
    return ""


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_hidden(path: PurePosixPath) -> bool:
    return any((part.startswith(".") and part != "..") or part == "__MACOSX" for part in path.parts)
