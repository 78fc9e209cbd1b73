"""Bootstrap replicates of figures: stratified by class, whole patients drawn together.

A replicate is the number of times that each cluster is in it. Clusters with a malignant image and
those without are drawn among themselves, so that a replicate keeps both classes. All models that
scored the same images share the replicates: their differences are paired.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Weights = NDArray[np.float32]
Truth = NDArray[np.bool_]
Codes = NDArray[np.int64]

REPLICATES = 2_000
LEAST_REPLICATES = 200
_BLOCK_CELLS = 4_000_000
"""Images times replicates in work at once: what stays near the processor."""
_LONG_ROW = 64
_MAX_CELLS = 400_000_000
"""Images times models times replicates that a person would wait for."""


def affordable(replicates: int, images: int, models: int) -> int:
    """How many replicates so many images allow: fewer than asked for where there are millions."""
    return min(replicates, max(LEAST_REPLICATES, _MAX_CELLS // max(1, images * models)))


def cluster_counts(
    y_true: Truth, clusters: Codes, replicates: int, seed: int
) -> Iterator[NDArray[np.int32]]:
    """Blocks (replicates, clusters) of how often each cluster is drawn."""
    malignant = np.bincount(clusters, weights=y_true) > 0
    strata = [members for members in (~malignant, malignant) if members.any()]
    places = [np.flatnonzero(members) for members in strata]
    chance = np.random.default_rng(seed)
    step = max(1, _BLOCK_CELLS // len(y_true))
    for first in range(0, replicates, step):
        many = min(step, replicates - first)
        block = np.empty((many, len(malignant)), dtype=np.int32)
        for members in places:
            size = len(members)
            drawn = chance.integers(0, size, (many, size), dtype=np.int32)
            drawn += (np.arange(many, dtype=np.int32) * size)[:, None]
            counts = np.bincount(drawn.ravel(), minlength=many * size)
            block[:, members] = counts.reshape(many, size)
        yield block


def image_weights(counts: NDArray[np.int32], clusters: Codes) -> Weights:
    """(images, replicates): how often each image is in each replicate of a block."""
    by_cluster = np.ascontiguousarray(counts.T, dtype=np.float32)
    if len(by_cluster) == len(clusters) and (clusters == np.arange(len(clusters))).all():
        return by_cluster
    return by_cluster[clusters]


class Ranking:
    """The order of one model's scores, made once: figures of any number of replicates follow.

    An area is the share of pairs ordered rightly, ties counted half: for each malignant image the
    weight of the benign images below it, found in the running sum over the benign ones by score.
    """

    def __init__(self, y_true: Truth, score: Floats) -> None:
        positives, negatives = np.flatnonzero(y_true), np.flatnonzero(~y_true)
        self.negatives = negatives[np.argsort(score[negatives])]
        self.positives = positives[np.argsort(score[positives])]
        benign, malignant = score[self.negatives], score[self.positives]
        self.below = np.searchsorted(benign, malignant, "left")
        self.up_to = np.searchsorted(benign, malignant, "right")
        self.level = np.searchsorted(malignant, malignant, "left")
        self.above_benign = np.append(0, np.searchsorted(malignant, benign, "right"))
        self.tied = bool((self.below != self.up_to).any())

    def ordered(self, weights: Weights) -> "Ordered":
        """The weights (images, replicates) of a block in this order, for all figures of it."""
        of_positives = weights[self.positives]
        benign = running_sum(weights[self.negatives])
        return Ordered(of_positives, benign, of_positives.sum(axis=0, dtype=np.float64))

    def areas(self, drawn: "Ordered") -> Floats:
        """Weighted areas (replicates,), NaN where a class is missing."""
        positives, benign = drawn.of_positives, drawn.benign
        before = np.einsum("ij,ij->j", positives, benign[self.below], dtype=np.float64)
        if self.tied:
            up_to = np.einsum("ij,ij->j", positives, benign[self.up_to], dtype=np.float64)
            before = (before + up_to) / 2
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(before / (drawn.malignant * benign[-1]))

    def average_precisions(self, drawn: "Ordered", malignant: Weights) -> Floats:
        """Weighted average precisions (replicates,): precision at each malignant image's score.

        `malignant` are the running sums of the malignant images.
        """
        found = malignant[-1] - malignant[self.level]
        called = drawn.benign[-1] - drawn.benign[self.below]
        called += found
        with np.errstate(invalid="ignore", divide="ignore"):
            # An image that is not in a replicate may stand where nothing is called malignant.
            precision = np.divide(found, called, out=np.zeros_like(found), where=called > 0)
            total = np.einsum("ij,ij->j", drawn.of_positives, precision, dtype=np.float64)
            return np.asarray(total / drawn.malignant)

    def sensitivities(self, drawn: "Ordered", malignant: Weights, specificities: Floats) -> Floats:
        """Sensitivities (replicates, specificities) at the lowest threshold that reaches each."""
        benign, missed = np.ascontiguousarray(drawn.benign.T), malignant.T
        found = np.empty((len(benign), len(specificities)))
        with np.errstate(invalid="ignore", divide="ignore"):
            for row, (below, sums) in enumerate(zip(benign, missed, strict=True)):
                # A little less than wanted: 0.9 of 10 images is 9 of them, whatever rounding says.
                wanted = np.maximum(specificities * below[-1] - 1e-3, 0).astype(np.float32)
                places = np.searchsorted(below, wanted, "left")
                found[row] = 1 - sums[self.above_benign[places]] / sums[-1]
        return found


@dataclass(frozen=True)
class Ordered:
    """A block of replicates in the order of one model's scores, lowest first.

    `of_positives` are weights (malignant images, replicates), `benign` running sums over the benign
    images (benign images + 1, replicates), `malignant` sums of all malignant ones (replicates,).
    """

    of_positives: Weights
    benign: Weights
    malignant: Floats


def running_sum(values: Weights) -> Weights:
    """Sums (n + 1, replicates) of the first 0, 1, ... n rows.

    Row by row where rows are long: adding two of them uses the whole processor, `cumsum` does not.
    """
    sums = np.empty((len(values) + 1, values.shape[1]), dtype=np.float32)
    sums[0] = 0
    if values.shape[1] < _LONG_ROW:
        np.cumsum(values, axis=0, out=sums[1:])
        return sums
    for row, value in enumerate(values):
        np.add(sums[row], value, out=sums[row + 1])
    return sums


def auc_replicates(
    y_true: Truth,
    scores: Sequence[Floats],
    clusters: Codes,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Floats:
    """Areas (replicates, models) of models that scored the same images, on shared replicates.

    `clusters` are codes from 0, one an image. Weights are whole numbers below 2^24 in sum, which
    float32 holds exactly.
    """
    rankings = [Ranking(y_true, score) for score in scores]
    blocks = []
    for counts in cluster_counts(y_true, clusters, replicates, seed):
        weights = image_weights(counts, clusters)
        blocks.append(np.stack([one.areas(one.ordered(weights)) for one in rankings], axis=1))
    return np.concatenate(blocks)
