"""Exact and near-duplicates among images: hashes, then candidates, then their pixels.

Only the first image of those with equal pixels is compared with others: copies of one picture do
not crowd out its neighbours.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.corpus.candidates import Candidates, find_candidates
from backend.corpus.fingerprints import Fingerprints
from backend.corpus.groups import connected
from backend.corpus.registration import Match, compare, detail_pixels, register
from backend.corpus.signatures import SYMMETRIES, THUMBNAIL_SIDE, spectra_of
from backend.images import ImageError, read_image

MIN_SCORE = 0.6
"""Midway between different lesions and copies: `python -m benchmarks.duplicates` prints both."""
HELD_IMAGES = 4096
"""Decoded images held in memory, 48 KB each."""

Sides = tuple[Collection[str], Collection[str]]
"""The image ids of two collections; sets, for speed."""
Step = Callable[[str, int, int], None]
"""Hears what is done, how many are done and of how many; may raise to stop."""


class Likeness(StrEnum):
    """What two images share."""

    BYTES = "bytes"
    PIXELS = "pixels"
    NEAR = "near"


@dataclass(frozen=True)
class DuplicatePair:
    """Two image ids in order, and what makes the second of the first; `score` is at most 1."""

    first: str
    second: str
    likeness: Likeness
    score: float
    transform: str

    @property
    def ids(self) -> tuple[str, str]:
        """The two image ids in order."""
        return self.first, self.second


def find_duplicates(
    prints: Fingerprints,
    between: Sides | None = None,
    *,
    threads: int = 0,
    step: Step = lambda _what, _done, _total: None,
) -> list[DuplicatePair]:
    """The pairs that hold the same picture, exact ones first, then by falling score.

    `between` asks only for pairs of an image of one collection of ids and one of the other.
    """
    groups = _equal_pixels(prints)
    exact = [pair for group in groups for pair in _exact_pairs(prints, group, between)]
    first = np.array([group[0] for group in groups], dtype=np.int64)
    queries, targets = _sides(prints, groups, between)
    spectra = spectra_of(prints.thumbnails[first])
    candidates = find_candidates(
        spectra,
        queries,
        targets,
        threads=threads,
        step=lambda done, total: step("compare", done, total),
    )
    found = _verified(prints, first, candidates, step)
    near = [
        pair
        for one, other, match in found
        for pair in _near_pairs(prints, groups[one], groups[other], match, between)
    ]
    return exact + sorted(near, key=lambda pair: (-pair.score, pair.ids))


def duplicate_groups(pairs: Iterable[DuplicatePair]) -> list[list[str]]:
    """Image ids that pairs join, at least two a group, ids and groups in order."""
    pairs = list(pairs)
    ids = sorted({image_id for pair in pairs for image_id in pair.ids})
    return connected(ids, (pair.ids for pair in pairs))


def _equal_pixels(prints: Fingerprints) -> list[list[int]]:
    groups: dict[bytes, list[int]] = {}
    for position, value in enumerate(prints.values):
        groups.setdefault(value.pixel_hash, []).append(position)
    return list(groups.values())


def _exact_pairs(
    prints: Fingerprints, group: Sequence[int], between: Sides | None
) -> Iterator[DuplicatePair]:
    for first, second in _partners(prints, group, group, between):
        same = prints.values[first].bytes_hash == prints.values[second].bytes_hash
        likeness = Likeness.BYTES if same else Likeness.PIXELS
        low, high = sorted((_id(prints, first), _id(prints, second)))
        yield DuplicatePair(low, high, likeness, 1.0, SYMMETRIES[0])


def _near_pairs(
    prints: Fingerprints,
    one: Sequence[int],
    other: Sequence[int],
    match: Match,
    between: Sides | None,
) -> Iterator[DuplicatePair]:
    """The pairs of two groups of equal pixels; one is enough where all are asked for."""
    if between is None:
        one, other = one[:1], other[:1]
    for first, second in _partners(prints, one, other, between):
        ids = _id(prints, first), _id(prints, second)
        forward = (first in one) == (ids[0] < ids[1])
        transform = match.transform if forward else match.transform.inverse
        score = round(match.score, 4)
        yield DuplicatePair(min(ids), max(ids), Likeness.NEAR, score, transform.words)


def _partners(
    prints: Fingerprints, one: Sequence[int], other: Sequence[int], between: Sides | None
) -> list[tuple[int, int]]:
    """Every image of two groups with the first of the other group that it is asked about."""
    found = set()
    for here, there in ((one, other), (other, one)):
        for position in here:
            partner = next((p for p in there if _asked(prints, position, p, between)), None)
            if partner is not None:
                found.add((min(position, partner), max(position, partner)))
    return sorted(found)


def _sides(
    prints: Fingerprints,
    groups: Sequence[Sequence[int]],
    between: Sides | None,
) -> tuple[NDArray[np.int64] | None, NDArray[np.int64] | None]:
    """Numbers of the groups to seek neighbours of, and of those to seek them among."""
    if between is None:
        return None, None
    ids = [{prints.pictures[position].image_id for position in group} for group in groups]
    queries, targets = (
        np.array([n for n, names in enumerate(ids) if not names.isdisjoint(side)], dtype=np.int64)
        for side in between
    )
    return queries, targets


def _verified(
    prints: Fingerprints, first: NDArray[np.int64], candidates: Candidates, step: Step
) -> Iterator[tuple[int, int, Match]]:
    """The candidates, as numbers of groups, whose pixels agree; each pair once."""
    thumbnails = prints.thumbnails
    detail = lru_cache(HELD_IMAGES)(_detail_of)
    seen: set[tuple[int, int]] = set()
    for number in range(len(candidates)):
        if number % 256 == 0:
            step("check", number, len(candidates))
        one, other = int(candidates.first[number]), int(candidates.second[number])
        symmetry = int(candidates.symmetry[number])
        if (one, other) in seen:
            continue
        here, there = int(first[one]), int(first[other])
        motion = register(thumbnails[here], thumbnails[there], symmetry)
        if motion is None:
            continue
        pixels = detail(prints.pictures[here].path), detail(prints.pictures[there].path)
        if pixels[0] is None or pixels[1] is None:
            continue
        match = compare(pixels[0], pixels[1], symmetry, motion, THUMBNAIL_SIDE)
        if match is not None and match.score >= MIN_SCORE:
            seen.add((one, other))
            yield one, other, match
    step("check", len(candidates), len(candidates))


def _detail_of(path: Path) -> NDArray[np.uint8] | None:
    """The image as the check sees it; None where it has gone since its fingerprint was taken."""
    try:
        return detail_pixels(read_image(path))
    except ImageError:
        return None


def _asked(prints: Fingerprints, first: int, second: int, between: Sides | None) -> bool:
    if first == second:
        return False
    if between is None:
        return True
    one, other = _id(prints, first), _id(prints, second)
    left, right = between
    return (one in left and other in right) or (one in right and other in left)


def _id(prints: Fingerprints, position: int) -> str:
    return prints.pictures[position].image_id
