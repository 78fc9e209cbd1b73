"""Standard copies of a handful of images at a time: what a process of an import does."""

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from backend.corpus.errors import CorpusError
from backend.corpus.exclusions import LeftOut
from backend.corpus.places import Item, open_item
from backend.corpus.standard import (
    Encoding,
    Recipe,
    StandardCopy,
    byte_hash,
    reason_of,
    standard_copy,
)
from backend.files import TEMPORARY_SUFFIX, explained_files
from backend.images import MAX_FILE_BYTES, ImageError

SUFFIX = {Encoding.JPEG: ".jpg", Encoding.PNG: ".png"}


@dataclass(frozen=True, slots=True)
class Original:
    """An image to be copied; `known_hash` is that of its bytes when they were last copied."""

    item: Item
    known_hash: str = ""


@dataclass(frozen=True, slots=True)
class Copied:
    """Facts about an image and where its copies are, relative to the workspace."""

    width: int
    height: int
    bytes: int
    byte_hash: str
    pixel_hash: str
    file: str
    thumbnail: str


@dataclass(frozen=True)
class Bench:
    """Where images come from and where copies go; half-written files lie in `scratch`."""

    base: Path
    workspace: Path
    folder: Path
    scratch: Path
    recipe: Recipe


def copy_images(bench: Bench, originals: Sequence[Original]) -> list[Copied | LeftOut | None]:
    """Copy images; None for one that has not changed since it was copied.

    All files are written aside and brought to the disk, while the next image is decoded; then all
    get their names.

    Raises:
        FileError: the disk is full, or the workspace cannot be written.
    """
    with ThreadPoolExecutor(1) as disk:
        written: dict[Path, Future[Path]] = {}
        results = [_copied(bench, original, disk, written) for original in originals]
        asides = {path: aside.result() for path, aside in written.items()}
    for path, aside in asides.items():
        with explained_files(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            aside.replace(path)
    return results


def _copied(
    bench: Bench, original: Original, disk: ThreadPoolExecutor, written: dict[Path, Future[Path]]
) -> Copied | LeftOut | None:
    place = original.item.place
    name = original.item.inner.name
    try:
        data = _read(bench.base, original.item)
        found = byte_hash(data)
        file, thumbnail = _names(bench, found)
        if found == original.known_hash and file.exists() and thumbnail.exists():
            return None
        made = standard_copy(data, name, bench.recipe)
    except (ImageError, CorpusError) as error:
        return LeftOut(place, reason_of(error), str(error))
    for path, content in ((file, made.copy), (thumbnail, made.thumbnail)):
        if content and path not in written and not path.exists():
            written[path] = disk.submit(_write_aside, bench.scratch, path, content)
    return _facts(bench, made, found, len(data), file, thumbnail)


def _read(base: Path, item: Item) -> bytes:
    """One byte beyond the limit is read, by which it is seen that there are too many."""
    with open_item(base, item) as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        return stream.read(min(size, MAX_FILE_BYTES + 1))


def _facts(
    bench: Bench, made: StandardCopy, found: str, size: int, file: Path, thumbnail: Path
) -> Copied:
    shown = thumbnail if made.thumbnail else file
    return Copied(
        width=made.width,
        height=made.height,
        bytes=size,
        byte_hash=found,
        pixel_hash=made.pixel_hash,
        file=file.relative_to(bench.workspace).as_posix(),
        thumbnail=shown.relative_to(bench.workspace).as_posix(),
    )


def _names(bench: Bench, found: str) -> tuple[Path, Path]:
    """The copy and its thumbnail; one path where the copy is small enough to be both."""
    recipe = bench.recipe
    file = bench.folder / recipe.name / found[:2] / f"{found}{SUFFIX[recipe.encoding]}"
    if not recipe.has_thumbnail:
        return file, file
    return file, bench.folder / f"{recipe.name}-thumbnails" / found[:2] / f"{found}.jpg"


def _write_aside(scratch: Path, path: Path, content: bytes) -> Path:
    """Bring a file to the disk under another name, which is returned.

    Raises:
        FileError: the disk is full, or the folder cannot be written.
    """
    name = f"{path.parent.parent.name}-{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}"
    aside = scratch / name
    with explained_files(path), aside.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    return aside
