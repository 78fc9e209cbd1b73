"""Labelled pictures of a set, and their pixels decoded once for every classifier.

A pool is a folder `<hash>` with `pixels.npy`, uint8 (N, side, side, 3), and `pool.json`, which is
written last. Its digest is over pixels and labels: equal exactly where a classifier sees the same.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from sqlalchemy import select

from backend.abc.attributes import Label
from backend.corpus.picture_sets import SetKind, SetName, pictures_of, read_set_name
from backend.corpus.pictures import Picture
from backend.evaluation.errors import EvaluationError
from backend.files import write_file
from backend.images import ImageError, open_image
from backend.settings import Settings
from backend.store.database import Database
from backend.store.tables import CorpusImage, Image

POOL, PIXELS = "pool.json", "pixels.npy"
CHUNK = 64
FORMAT = 1

Step = Callable[[int], None]


@dataclass(frozen=True)
class LabelledPicture:
    """A picture and whether its lesion is malignant."""

    picture: Picture
    malignant: bool


@dataclass(frozen=True)
class Pool:
    """Decoded pictures: `labels` are 1 for malignant; row i of the pixels is `image_ids[i]`."""

    folder: Path
    side: int
    digest: str
    image_ids: tuple[str, ...]
    labels: tuple[int, ...]

    def pixels(self) -> NDArray[np.uint8]:
        """(N, side, side, 3), memory-mapped."""
        mapped: NDArray[np.uint8] = np.load(self.folder / PIXELS, mmap_mode="r", allow_pickle=False)
        return mapped


def labelled_pictures(db: Database, settings: Settings, name: str) -> list[LabelledPicture]:
    """The pictures of a set that have a label, by id.

    A folder holds `benign` and `malignant` folders, in any case and at any depth.

    Raises:
        CorpusError: the set is unknown, gone or empty.
        EvaluationError: none of its pictures has a label, or all have the same.
    """
    found = read_set_name(name)
    pictures = pictures_of(db, settings, found)
    labels = _labels(db, found, pictures)
    labelled = [
        LabelledPicture(one, labels[one.image_id] is Label.MALIGNANT)
        for one in sorted(pictures, key=lambda one: one.image_id)
        if one.image_id in labels
    ]
    if len({one.malignant for one in labelled}) < 2:
        raise EvaluationError(
            f"The set '{name}' does not hold benign and malignant pictures: label its images, or "
            "put those of a folder into folders called benign and malignant."
        )
    return labelled


def open_pool(
    root: Path,
    labelled: Sequence[LabelledPicture],
    side: int,
    *,
    threads: int = 2,
    step: Step | None = None,
) -> Pool:
    """The pool of these pictures, read from the cache or decoded now.

    Raises:
        ImageError: a picture cannot be read.
        FileError: the cache cannot be written.
        Whatever `step` raises; it gets the number of decoded pictures.
    """
    folder = root / _cache_key(labelled, side)
    if not (folder / POOL).exists():
        _decode(folder, labelled, side, threads, step)
    return read_pool(folder)


def read_pool(folder: Path) -> Pool:
    """The pool that lies in a folder.

    Raises:
        EvaluationError: it is gone or damaged.
    """
    try:
        values = json.loads((folder / POOL).read_text())
        return Pool(
            folder,
            int(values["side"]),
            str(values["digest"]),
            tuple(values["image_ids"]),
            tuple(values["labels"]),
        )
    except (OSError, ValueError, KeyError) as error:
        raise EvaluationError(
            f"The decoded images {folder.name} are gone: run the experiment once more."
        ) from error


def square(image: PillowImage.Image, side: int) -> NDArray[np.uint8]:
    """The middle square of a picture at `side` pixels (side, side, 3)."""
    width, height = image.size
    edge = min(width, height)
    left, top = (width - edge) // 2, (height - edge) // 2
    box = (left, top, left + edge, top + edge)
    resized = image.resize((side, side), PillowImage.Resampling.BICUBIC, box=box)
    return np.asarray(resized, dtype=np.uint8)


def _decode(
    folder: Path, labelled: Sequence[LabelledPicture], side: int, threads: int, step: Step | None
) -> None:
    def read(one: LabelledPicture) -> NDArray[np.uint8]:
        return square(open_image(one.picture.path), side)

    pixels = np.empty((len(labelled), side, side, 3), np.uint8)
    with ThreadPoolExecutor(threads) as executor:
        for first in range(0, len(labelled), CHUNK):
            part = labelled[first : first + CHUNK]
            pixels[first : first + len(part)] = list(executor.map(read, part))
            if step:
                step(first + len(part))
    labels = [int(one.malignant) for one in labelled]
    digest = hashlib.sha256(f"{FORMAT}:{pixels.shape}:{labels}".encode())
    digest.update(pixels.data)
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f"{PIXELS}.partial.npy"
    np.save(aside, pixels, allow_pickle=False)
    aside.replace(folder / PIXELS)
    values = {
        "side": side,
        "digest": digest.hexdigest(),
        "image_ids": [one.picture.image_id for one in labelled],
        "labels": labels,
    }
    write_file(folder / POOL, json.dumps(values).encode())


def _cache_key(labelled: Sequence[LabelledPicture], side: int) -> str:
    """Changes with the pictures, their files and their labels."""
    digest = hashlib.sha256(f"{FORMAT}:{side}".encode())
    for one in labelled:
        try:
            state = one.picture.path.stat()
        except OSError as error:
            raise ImageError(
                f"The image {one.picture.path.name} is gone: import or make it once more."
            ) from error
        facts = (one.picture.image_id, one.malignant, state.st_size, state.st_mtime_ns)
        digest.update(json.dumps(facts).encode())
    return digest.hexdigest()[:32]


def _labels(db: Database, name: SetName, pictures: Sequence[Picture]) -> dict[str, Label]:
    if name.kind is SetKind.FOLDER:
        found = {one.image_id: _folder_label(one.path, Path(name.name)) for one in pictures}
        return {image_id: label for image_id, label in found.items() if label}
    real = name.kind in (SetKind.CATALOGUE, SetKind.DATASET, SetKind.SUBSET)
    ids = {one.image_id for one in pictures}
    statement = select(CorpusImage.id, CorpusImage.label) if real else select(Image.id, Image.label)
    with db.session() as session:
        return {
            image_id: label
            for image_id, label in session.execute(statement)
            if image_id in ids
            if label is not None
        }


def _folder_label(path: Path, root: Path) -> Label | None:
    """The nearest folder above a picture that is called like a label."""
    for part in reversed(path.relative_to(root).parts[:-1]):
        if part.lower() in set(Label):
            return Label(part.lower())
    return None
