"""The area under the ROC curve with DeLong's variance, and DeLong's test of paired curves.

DeLong, DeLong and Clarke-Pearson (Biometrics 1988) in the O(n log n) form of Sun and Xu (IEEE
Signal Processing Letters 2014): placement values from one sort, ties counted half. Clusters
(several images of a patient) as in Obuchowski (Biometrics 1997).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from backend.evaluation.errors import EvaluationError
from backend.evaluation.estimates import CONFIDENCE, Estimate, Method, normal, quantile

Floats = NDArray[np.float64]
Truth = NDArray[np.bool_]

ONE_CLASS = "All images are {0}: a ROC curve needs benign and malignant ones."
ALL_TIED = "All scores are the same: the model tells no image from another."
NO_ERROR = "Every malignant image scores above every benign one, or below: DeLong has no interval."
TOO_FEW = "DeLong's interval needs two benign and two malignant images or more."
SAME_CURVES = "Both models order the images alike: there is no difference to test."


@dataclass(frozen=True)
class Areas:
    """Areas (models,) and their covariance (models, models), NaN where it cannot be known."""

    auc: Floats
    covariance: Floats
    clustered: bool


@dataclass(frozen=True)
class Difference:
    """First minus second, its interval and the two-sided normal test."""

    difference: Estimate
    z: float | None = None
    p: float | None = None


def areas(
    y_true: Truth, scores: Sequence[Floats], clusters: NDArray[np.int64] | None = None
) -> Areas:
    """Areas of models that scored the same images; `clusters` says which belong together.

    Raises:
        EvaluationError: one class only, or scores that do not fit the images.
    """
    y_true = np.asarray(y_true, dtype=bool)
    require_two_classes(y_true)
    if any(len(score) != len(y_true) for score in scores):
        raise EvaluationError("Models that are compared need a score for the same images each.")
    positives, negatives = int(y_true.sum()), int((~y_true).sum())
    count = len(scores)
    above = np.empty((count, positives))
    below = np.empty((count, negatives))
    for place, score in enumerate(scores):
        above[place], below[place] = placements(y_true, score)
    auc = above.mean(axis=1)
    if min(positives, negatives) < 2:
        return Areas(auc, np.full((count, count), np.nan), clustered=False)
    codes = None if clusters is None else np.unique(clusters, return_inverse=True)[1]
    if codes is None or int(codes.max()) + 1 == len(y_true):
        above -= auc[:, None]
        below -= auc[:, None]
        covariance = above @ above.T / ((positives - 1) * positives)
        covariance += below @ below.T / ((negatives - 1) * negatives)
        return Areas(auc, covariance, clustered=False)
    covariance = _clustered(auc, above, below, codes[y_true], codes[~y_true])
    return Areas(auc, covariance, clustered=True)


def placements(y_true: Truth, score: Floats) -> tuple[Floats, Floats]:
    """For each malignant image the share of benign ones below it, and for each benign image the
    share of malignant ones above it, ties counted half; both in the order of the table."""
    order = np.argsort(score)
    ordered = score[order]
    positive = y_true[order]
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(score) - 1)
    to_here = np.cumsum(positive)[ends]
    within = np.diff(ends, prepend=-1)
    positives_within = np.diff(to_here, prepend=0)
    negatives_within = within - positives_within
    total = int(to_here[-1])
    others = len(score) - total
    below = (np.cumsum(negatives_within) - negatives_within / 2) / others
    above = (total - to_here + positives_within / 2) / total
    values = np.empty(len(score))
    values[order] = np.where(positive, np.repeat(below, within), np.repeat(above, within))
    return values[y_true], values[~y_true]


def auc_estimate(found: Areas, place: int = 0, confidence: float = CONFIDENCE) -> Estimate:
    """One of the areas with its interval, or the reason why it has none."""
    value = float(found.auc[place])
    variance = float(found.covariance[place, place])
    if math.isnan(variance):
        return Estimate(value, reason=TOO_FEW)
    if variance <= 0:
        return Estimate(value, reason=ALL_TIED if value == 0.5 else NO_ERROR)
    method = Method.CLUSTERED_DELONG if found.clustered else Method.DELONG
    return normal(value, variance, method, confidence)


def auc_with_interval(
    y_true: Truth,
    score: Floats,
    clusters: NDArray[np.int64] | None = None,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """The area of one model; no value where one class only is there."""
    reason = missing_class(y_true)
    if reason:
        return Estimate(None, reason=reason)
    return auc_estimate(areas(y_true, [score], clusters), confidence=confidence)


def contrast(found: Areas, weights: Floats, confidence: float = CONFIDENCE) -> Difference:
    """DeLong's test of a sum of areas times `weights` (models,) against 0.

    (1, -1) compares two models; shares of runs compare the means of two models over runs.
    """
    value = float(weights @ found.auc)
    variance = float(weights @ found.covariance @ weights)
    if math.isnan(variance):
        return Difference(Estimate(value, reason=TOO_FEW))
    # Curves that order all images alike leave rounding errors only.
    if variance <= 1e-14 * float(np.abs(found.covariance).sum()):
        return Difference(Estimate(value, reason=SAME_CURVES))
    error = math.sqrt(variance)
    z = value / error
    reach = quantile(confidence) * error
    method = Method.CLUSTERED_DELONG if found.clustered else Method.DELONG
    interval = Estimate(value, value - reach, value + reach, method)
    return Difference(interval, z, float(2 * norm.sf(abs(z))))


def missing_class(y_true: Truth) -> str:
    """Why there can be no ROC curve; empty where there can."""
    if y_true.all():
        return ONE_CLASS.format("malignant")
    return "" if y_true.any() else ONE_CLASS.format("benign")


def require_two_classes(y_true: Truth) -> None:
    """Raises EvaluationError where all images are of one class, or there is none."""
    reason = missing_class(y_true)
    if reason:
        raise EvaluationError(reason)


def _clustered(
    auc: Floats,
    above: Floats,
    below: Floats,
    of_positives: NDArray[np.int64],
    of_negatives: NDArray[np.int64],
) -> Floats:
    """Obuchowski's covariance: placement values are summed within clusters."""
    total = int(max(of_positives.max(), of_negatives.max())) + 1
    positives, negatives = above.shape[1], below.shape[1]

    def summed(values: Floats, codes: NDArray[np.int64]) -> Floats:
        return np.stack([np.bincount(codes, row, minlength=total) for row in values])

    first = summed(above - auc[:, None], of_positives)
    second = summed(below - auc[:, None], of_negatives)
    with_positives = len(np.unique(of_positives))
    with_negatives = len(np.unique(of_negatives))
    if min(with_positives, with_negatives) < 2:
        return np.full((len(auc), len(auc)), np.nan)
    covariance = first @ first.T * with_positives / (with_positives - 1) / positives**2
    covariance += second @ second.T * with_negatives / (with_negatives - 1) / negatives**2
    mixed = first @ second.T * total / (total - 1) / (positives * negatives)
    return np.asarray(covariance + mixed + mixed.T)
