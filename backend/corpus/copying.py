"""Standard copies of a handful of images at a time: what a process of an import does."""

import os
from collections.abc import Sequence
from contextlib import suppress
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

    All files are written aside, then all are brought to the disk, then all get their names.

    Raises:
        FileError: the disk is full, or the workspace cannot be written.
    """
    written: list[tuple[Path, Path]] = []
    results = [_copied(bench, original, written) for original in originals]
    for temporary, path in written:
        with explained_files(path):
            _sync(temporary)
    for temporary, path in written:
        with explained_files(path):
            temporary.replace(path)
    return results


def _copied(
    bench: Bench, original: Original, written: list[tuple[Path, Path]]
) -> Copied | LeftOut | None:
    place = original.item.place
    try:
        data = _read(bench.base, original.item)
        found = byte_hash(data)
        file, thumbnail = _names(bench, found)
        if found == original.known_hash and file.exists() and thumbnail.exists():
            return None
        made = standard_copy(data, original.item.inner.name, bench.recipe)
    except (ImageError, CorpusError) as error:
        return LeftOut(place, reason_of(error), str(error))
    for path, content in ((file, made.copy), (thumbnail, made.thumbnail)):
        if content:
            _write_aside(bench, path, content, written)
    return _facts(bench, made, found, len(data), file, thumbnail)


def _read(base: Path, item: Item) -> bytes:
    with open_item(base, item) as stream:
        return stream.read(MAX_FILE_BYTES + 1)


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


def _write_aside(
    bench: Bench, path: Path, content: bytes, written: list[tuple[Path, Path]]
) -> None:
    if path.exists() or any(path == other for _, other in written):
        return
    temporary = bench.scratch / f"{path.parent.parent.name}-{path.name}.{os.getpid()}"
    temporary = temporary.with_name(temporary.name + TEMPORARY_SUFFIX)
    with explained_files(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
    written.append((temporary, path))


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
