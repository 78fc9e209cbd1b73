"""The decision curve: what acting on a model is worth against acting on all or on none."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Truth = NDArray[np.bool_]

PROBABILITIES = np.round(np.arange(0.01, 1.0, 0.01), 2)


@dataclass(frozen=True)
class DecisionCurve:
    """Net benefit an image at each threshold probability; that of treating none is 0."""

    probability: tuple[float, ...]
    model: tuple[float, ...]
    treat_all: tuple[float, ...]


def decision_curve(y_true: Truth, score: Floats, at: Floats = PROBABILITIES) -> DecisionCurve:
    """Net benefit TP/n - FP/n x p/(1 - p) (Vickers and Elkin, Med. Decis. Making 2006).

    The scores are taken as probabilities: read it beside the calibration.
    """
    images, prevalence = len(y_true), float(y_true.mean())
    odds = at / (1 - at)
    malignant, benign = np.sort(score[y_true]), np.sort(score[~y_true])
    found = len(malignant) - np.searchsorted(malignant, at, "left")
    wrong = len(benign) - np.searchsorted(benign, at, "left")
    return DecisionCurve(
        tuple(at.tolist()),
        tuple((found / images - wrong / images * odds).tolist()),
        tuple((prevalence - (1 - prevalence) * odds).tolist()),
    )
