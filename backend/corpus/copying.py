"""Standard copies of a handful of images at a time: what a process of an import does."""

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from backend.corpus.errors import CorpusError
from backend.corpus.exclusions import LeftOut
from backend.corpus.places import Item, open_item
from backend.corpus.recipe import Encoding, Recipe
from backend.corpus.standard import (
    byte_hash,
    reason_of,
    standard_copy,
)
from backend.files import explained_files, temporary_name
from backend.images import MAX_FILE_BYTES, ImageError

WRITERS = 2
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
    """Where images come from and where copies go.

    `folder` is relative to the workspace; half-written files lie in `scratch`.
    """

    base: Path
    workspace: Path
    folder: str
    scratch: Path
    recipe: Recipe


Written = dict[str, Future[None]]
"""Files that are on their way to the disk."""


def copy_images(bench: Bench, originals: Sequence[Original]) -> list[Copied | LeftOut | None]:
    """Copy images; None for one that has not changed since it was copied.

    Files are written, each whole or not at all, while the next images are decoded; all are on the
    disk at the end.

    Raises:
        FileError: the disk is full, or the workspace cannot be written.
    """
    with ThreadPoolExecutor(WRITERS) as disk:
        written: Written = {}
        results = [_copied(bench, original, disk, written) for original in originals]
        for done in written.values():
            done.result()
    return results


def _copied(
    bench: Bench, original: Original, disk: ThreadPoolExecutor, written: Written
) -> Copied | LeftOut | None:
    place = original.item.place
    try:
        data = _read(bench.base, original.item)
        found = byte_hash(data)
        file, thumbnail = _names(bench, found)
        if found == original.known_hash and _exist(bench, file, thumbnail):
            return None
        made = standard_copy(data, place, bench.recipe)
    except (ImageError, CorpusError) as error:
        return LeftOut(place, reason_of(error), str(error))
    for name, content in ((file, made.copy), (thumbnail, made.thumbnail)):
        if content and name not in written and not _exist(bench, name):
            written[name] = disk.submit(_write, bench, name, content)
    return Copied(
        width=made.width,
        height=made.height,
        bytes=len(data),
        byte_hash=found,
        pixel_hash=made.pixel_hash,
        file=file,
        thumbnail=thumbnail,
    )


def _read(base: Path, item: Item) -> bytes:
    """One byte beyond the limit is read, by which it is seen that there are too many."""
    with open_item(base, item) as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        return stream.read(min(size, MAX_FILE_BYTES + 1))


def _names(bench: Bench, found: str) -> tuple[str, str]:
    """The copy and its thumbnail in the workspace; one name where the copy is small enough."""
    recipe = bench.recipe
    file = f"{bench.folder}/{recipe.name}/{found[:2]}/{found}{SUFFIX[recipe.encoding]}"
    if not recipe.has_thumbnail:
        return file, file
    return file, f"{bench.folder}/{recipe.name}-thumbnails/{found[:2]}/{found}.jpg"


def _exist(bench: Bench, *names: str) -> bool:
    return all((bench.workspace / name).exists() for name in names)


def _write(bench: Bench, name: str, content: bytes) -> None:
    """Bring a file to the disk under another name, then give it its own.

    Raises:
        FileError: the disk is full, or the workspace cannot be written.
    """
    path = bench.workspace / name
    aside = bench.scratch / temporary_name(name.replace("/", "-"))
    with explained_files(path):
        with aside.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            aside.replace(path)
        except FileNotFoundError:  # its folder is made when the first file comes
            path.parent.mkdir(parents=True, exist_ok=True)
            aside.replace(path)
