"""Hashes and a thumbnail of every image, kept in one file so that a second run reads only new ones.

A file counts as known while its path, size and time of change are the same.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from backend.corpus.errors import CorpusError
from backend.corpus.pictures import Picture
from backend.corpus.signatures import THUMBNAIL_SIDE, Thumbnails
from backend.images import ImageError, pixel_hash, read_image

BATCH = 256
_SHAPE = (THUMBNAIL_SIDE, THUMBNAIL_SIDE, 3)
_TABLE = f"""
CREATE TABLE IF NOT EXISTS fingerprint_{THUMBNAIL_SIDE} (
    path TEXT PRIMARY KEY, size INTEGER, changed_ns INTEGER,
    bytes_hash BLOB, pixel_hash BLOB, thumbnail BLOB
) WITHOUT ROWID
"""


@dataclass(frozen=True)
class Fingerprint:
    """What is kept of an image; the thumbnail (side, side, 3) is bytes."""

    bytes_hash: bytes
    pixel_hash: bytes
    thumbnail: bytes


@dataclass(frozen=True)
class Fingerprints:
    """The pictures that could be read, in their order, and the sentences of those that could not.

    `computed` counts those that were not known before.
    """

    pictures: tuple[Picture, ...]
    values: tuple[Fingerprint, ...]
    unreadable: dict[str, str]
    computed: int

    @property
    def thumbnails(self) -> Thumbnails:
        """(N, side, side, 3) in the order of the pictures."""
        data = b"".join(value.thumbnail for value in self.values)
        return np.frombuffer(data, dtype=np.uint8).reshape(-1, *_SHAPE)


def read_fingerprints(
    pictures: Sequence[Picture],
    cache: Path,
    *,
    threads: int = 2,
    step: Callable[[int], None] = lambda _done: None,
) -> Fingerprints:
    """The fingerprints of pictures, from the cache file where it knows them, and kept there.

    `step` hears how many are done and may raise to stop; what was computed stays.

    Raises:
        CorpusError: the cache cannot be written.
    """
    known: dict[str, Fingerprint] = {}
    unreadable: dict[str, str] = {}
    computed = 0
    with _opened(cache) as connection, ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(pictures), BATCH):
            step(start)
            batch = pictures[start : start + BATCH]
            stamps = {picture.path: _stamp(picture.path) for picture in batch}
            for picture in batch:
                kept = _kept(connection, picture.path, stamps[picture.path])
                if kept is not None:
                    known[picture.image_id] = kept
            missing = [picture for picture in batch if picture.image_id not in known]
            for picture, result in zip(missing, pool.map(_fingerprint, missing), strict=True):
                if isinstance(result, str):
                    unreadable[picture.image_id] = result
                    continue
                known[picture.image_id] = result
                _keep(connection, picture.path, stamps[picture.path], result)
                computed += 1
            connection.commit()
    step(len(pictures))
    readable = tuple(picture for picture in pictures if picture.image_id in known)
    values = tuple(known[picture.image_id] for picture in readable)
    return Fingerprints(readable, values, unreadable, computed)


def _fingerprint(picture: Picture) -> Fingerprint | str:
    """The fingerprint of an image file, or the sentence that says why there is none."""
    try:
        data = picture.path.read_bytes()
        pixels = read_image(data, name=picture.path.name)
    except ImageError as error:
        return str(error)
    except OSError as error:
        return f"{picture.path.name} cannot be opened: {error.strerror or 'unknown reason'}."
    return Fingerprint(
        bytes_hash=hashlib.sha256(data).digest(),
        pixel_hash=bytes.fromhex(pixel_hash(pixels)),
        thumbnail=cv2.resize(pixels, _SHAPE[:2], interpolation=cv2.INTER_AREA).tobytes(),
    )


@contextmanager
def _opened(cache: Path) -> Iterator[sqlite3.Connection]:
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(cache, timeout=30)
    except (OSError, sqlite3.Error) as error:
        raise CorpusError(_unusable(cache, error)) from error
    try:
        connection.execute(_TABLE)
        yield connection
    except sqlite3.Error as error:
        raise CorpusError(_unusable(cache, error)) from error
    finally:
        connection.close()


def _unusable(cache: Path, error: Exception) -> str:
    return (
        f"The fingerprints in {cache} cannot be used ({error}): free space on the disk, or remove "
        "the file; it is made again."
    )


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of change; zeros for a file that cannot be asked, which no row has."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def _kept(connection: sqlite3.Connection, path: Path, stamp: tuple[int, int]) -> Fingerprint | None:
    row = connection.execute(
        f"SELECT bytes_hash, pixel_hash, thumbnail FROM fingerprint_{THUMBNAIL_SIDE} "  # noqa: S608
        "WHERE path = ? AND size = ? AND changed_ns = ?",
        (str(path), *stamp),
    ).fetchone()
    return None if row is None else Fingerprint(*row)


def _keep(
    connection: sqlite3.Connection, path: Path, stamp: tuple[int, int], value: Fingerprint
) -> None:
    connection.execute(
        f"INSERT OR REPLACE INTO fingerprint_{THUMBNAIL_SIDE} VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608
        (str(path), *stamp, value.bytes_hash, value.pixel_hash, value.thumbnail),
    )
