"""What a threshold makes of scores, and figures of the scores themselves."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.estimates import (
    CONFIDENCE,
    Estimate,
    clustered_wilson,
)

Floats = NDArray[np.float64]
Truth = NDArray[np.bool_]
Codes = NDArray[np.int64]

RATES = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "ppv", "npv")
"""Figures of a confusion matrix, in the order of `rates_of`."""


@dataclass(frozen=True)
class Confusion:
    """Images by what they are and what they were called."""

    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int


@dataclass(frozen=True)
class Rates:
    """Shares of a confusion matrix, each with its interval."""

    accuracy: Estimate
    balanced_accuracy: Estimate
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate
    npv: Estimate


def confusion_of(y_true: Truth, score: Floats, threshold: float) -> Confusion:
    """An image whose score is the threshold or more is called malignant."""
    called = score >= threshold
    return Confusion(
        true_positives=int((called & y_true).sum()),
        false_positives=int((called & ~y_true).sum()),
        true_negatives=int((~called & ~y_true).sum()),
        false_negatives=int((~called & y_true).sum()),
    )


def rates_of(cells: Floats) -> Floats:
    """RATES (..., 6) of confusions (..., 4) in the order of `Confusion`; NaN where none."""
    tp, fp, tn, fn = np.moveaxis(np.asarray(cells, dtype=np.float64), -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        sensitivity, specificity = tp / (tp + fn), tn / (tn + fp)
        shares = (
            (tp + tn) / (tp + fp + tn + fn),
            (sensitivity + specificity) / 2,
            sensitivity,
            specificity,
            tp / (tp + fp),
            tn / (tn + fn),
        )
    return np.stack(shares, axis=-1)


def share_of(
    name: str,
    y_true: Truth,
    score: Floats,
    threshold: float,
    clusters: Codes,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """One of RATES that is a plain proportion, with Wilson's interval."""
    called = score >= threshold
    right = called == y_true
    among = {
        "accuracy": np.ones(len(y_true), dtype=bool),
        "sensitivity": y_true,
        "specificity": ~y_true,
        "ppv": called,
        "npv": ~called,
    }[name]
    return clustered_wilson(right[among], clusters[among], confidence)


def average_precision(y_true: Truth, score: Floats) -> float:
    """Area under the precision-recall steps; NaN without a malignant image.

    Precision is summed over the rises of recall and not interpolated (Davis and Goadrich, ICML
    2006, say why).
    """
    if not y_true.any():
        return float("nan")
    order = np.argsort(-score)
    ordered = score[order]
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(score) - 1)
    found = np.cumsum(y_true[order])[ends]
    return float((np.diff(found, prepend=0) * found / (ends + 1)).sum() / found[-1])


def brier(y_true: Truth, score: Floats) -> float:
    """Mean squared distance of score and truth (Brier, Monthly Weather Review 1950)."""
    return float(np.mean((score - y_true) ** 2))
