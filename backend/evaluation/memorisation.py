"""Whether generated images repeat training images: nearest neighbours, and an alarm.

The alarm looks for the picture itself, however it was recompressed, cropped, turned or mirrored:
the search for duplicates of the corpus, whose threshold was set on pairs of real images of
different lesions. Likeness of features alone cannot say it, as lesions of one kind are alike; the
nearest neighbour in them is shown for a person to judge, with how near real ones are to each other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backend.corpus.duplicates import find_duplicates
from backend.corpus.fingerprints import read_fingerprints
from backend.corpus.pictures import Picture
from backend.evaluation.errors import EvaluationError
from backend.evaluation.features import Features

ROWS = 512
USUAL = 0.01
Step = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Neighbour:
    """The nearest real image of a generated one; `likeness` is the cosine of their features.

    `usual` says that real images of different lesions are as near in more than one of a hundred.
    """

    generated: Path
    real: Path
    likeness: float
    usual: bool


@dataclass(frozen=True)
class Copy:
    """A generated image that holds the picture of a real one; `transform` says how it was made."""

    generated: Path
    real: Path
    score: float
    transform: str


def find_copies(
    generated: Sequence[Picture],
    real: Sequence[Picture],
    cache: Path,
    *,
    threads: int = 2,
    step: Step = lambda _what, _done, _total: None,
) -> list[Copy]:
    """Generated images that repeat a training image, the surest first; each named once.

    `cache` keeps fingerprints between two calls.

    Raises:
        EvaluationError: a set is empty, or none of its images can be read.
        CorpusError: the cache cannot be written.
    """
    prints = read_fingerprints(
        [*generated, *real],
        cache,
        threads=threads,
        step=lambda done: step("read", done, len(generated) + len(real)),
    )
    readable = {picture.image_id for picture in prints.pictures}
    sides = (
        {one.image_id for one in generated} & readable,
        {one.image_id for one in real} & readable,
    )
    for name, side in zip(("generated", "real"), sides, strict=True):
        if not side:
            raise EvaluationError(f"No {name} image can be read: choose a folder that has some.")
    paths = {picture.image_id: picture.path for picture in prints.pictures}
    copies: dict[str, Copy] = {}
    for pair in find_duplicates(prints, sides, threads=threads, step=step):
        made, source = pair.ids if pair.first in sides[0] else pair.ids[::-1]
        copies.setdefault(made, Copy(paths[made], paths[source], float(pair.score), pair.transform))
    return sorted(copies.values(), key=lambda copy: (-copy.score, copy.generated))


def nearest_real(
    generated: Features,
    real: Features,
    generated_files: Sequence[Path],
    real_files: Sequence[Path],
    *,
    lesions: Sequence[str] | None = None,
) -> list[Neighbour]:
    """The nearest real image of each generated one, in the order of the generated ones.

    `lesions` names that of each real image: images of one lesion are no measure of how near
    different ones are.
    """
    made, theirs = _unit(generated), _unit(real)
    usual = float(np.quantile(_nearest_among(theirs, lesions), 1 - USUAL))
    found: list[Neighbour] = []
    for first in range(0, len(made), ROWS):
        likeness = made[first : first + ROWS] @ theirs.T
        best = likeness.argmax(axis=1)
        for row, place in enumerate(best):
            value = float(likeness[row, place])
            found.append(
                Neighbour(
                    generated_files[first + row], real_files[place], value, usual=value <= usual
                )
            )
    return found


def _nearest_among(unit: Features, lesions: Sequence[str] | None) -> Features:
    """For each real image the likeness of the nearest one of another lesion (N,)."""
    names = np.array(lesions if lesions is not None else range(len(unit)))
    nearest = np.empty(len(unit), dtype=np.float32)
    for first in range(0, len(unit), ROWS):
        rows = slice(first, first + ROWS)
        likeness = unit[rows] @ unit.T
        likeness[names[rows, None] == names[None, :]] = -1
        nearest[rows] = likeness.max(axis=1)
    return nearest


def _unit(features: Features) -> Features:
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    unit: Features = features / norms.clip(1e-12)
    return unit
