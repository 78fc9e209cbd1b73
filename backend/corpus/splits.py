"""Splits that keep a patient, a lesion and a near-duplicate group on one side.

Images that share any of the three, also by way of others, form one group; groups are dealt to the
splits so that each label comes as near to its share as the groups allow.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from backend.corpus.errors import CorpusError
from backend.corpus.groups import connected
from backend.corpus.pictures import Picture


def split_pictures(
    pictures: Sequence[Picture],
    labels: Mapping[str, str],
    duplicates: Iterable[tuple[str, str]],
    ratios: Mapping[str, float],
    *,
    seed: int = 0,
) -> dict[str, str]:
    """The split of each image id; `ratios` are shares of the whole by name of split.

    The same pictures, in any order, and the same seed give the same splits. An image without a
    label counts as a label of its own.

    Raises:
        CorpusError: the ratios cannot be used, or an image id occurs twice.
    """
    return split_groups(leakproof_groups(pictures, duplicates), labels, ratios, seed=seed)


def split_groups(
    groups: Sequence[Sequence[str]],
    labels: Mapping[str, str],
    ratios: Mapping[str, float],
    *,
    seed: int = 0,
) -> dict[str, str]:
    """The split of each image id, every group of them whole in one; otherwise as `split_pictures`.

    Raises:
        CorpusError: the ratios cannot be used.
    """
    shares = _shares(ratios)
    order = np.random.default_rng(seed).permutation(len(groups))
    shuffled = [groups[number] for number in order]
    return _dealt(sorted(shuffled, key=len, reverse=True), labels, shares)


def leakproof_groups(
    pictures: Sequence[Picture], duplicates: Iterable[tuple[str, str]]
) -> list[list[str]]:
    """Image ids that one split must hold together, by patient, lesion and duplicates.

    Raises:
        CorpusError: an image id occurs twice.
    """
    ids = sorted(picture.image_id for picture in pictures)
    twice = next((a for a, b in pairwise(ids) if a == b), None)
    if twice is not None:
        raise CorpusError(f"The image {twice} occurs twice: give every image an id of its own.")
    links = list(duplicates)
    first: dict[tuple[str, str], str] = {}
    for picture in pictures:
        for kind, name in (("patient", picture.patient_id), ("lesion", picture.lesion_id)):
            if name:
                links.append((first.setdefault((kind, name), picture.image_id), picture.image_id))
    return connected(ids, links)


def _dealt(
    groups: Sequence[Sequence[str]], labels: Mapping[str, str], shares: Mapping[str, float]
) -> dict[str, str]:
    """Each group, largest first, to the split whose labels it brings nearest to their targets."""
    counts = [Counter(labels.get(image_id, "") for image_id in group) for group in groups]
    totals = sum(counts, Counter[str]())
    left = {
        split: {label: share * total for label, total in totals.items()}
        for split, share in shares.items()
    }
    chosen: dict[str, str] = {}
    for group, count in zip(groups, counts, strict=True):
        split = min(shares, key=lambda name: (_cost(left[name], count, totals), name))
        for label, number in count.items():
            left[split][label] -= number
        chosen.update(dict.fromkeys(group, split))
    return chosen


def _cost(left: Mapping[str, float], count: Counter[str], totals: Counter[str]) -> float:
    """By how much the squared distance to the targets grows, each label by its own size."""
    return sum(
        ((left[label] - number) ** 2 - left[label] ** 2) / totals[label]
        for label, number in count.items()
    )


def _shares(ratios: Mapping[str, float]) -> dict[str, float]:
    values = list(ratios.values())
    if len(values) < 2 or any(not math.isfinite(value) or value <= 0 for value in values):
        raise CorpusError("A split needs at least two names, each with a share above 0.")
    return {name: value / sum(values) for name, value in ratios.items()}
