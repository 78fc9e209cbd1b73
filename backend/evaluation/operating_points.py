"""Thresholds: fixed beforehand, or chosen on validation images by a rule.

Where a model has no validation images, a rule can only be read off the test curve. Such a point
describes the curve; it says `chosen_on` test, and its figures are too good for new images.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.delong import require_two_classes
from backend.evaluation.errors import EvaluationError
from backend.evaluation.predictions import Split

Floats = NDArray[np.float64]
Truth = NDArray[np.bool_]

HALF = 0.5
TARGET_SENSITIVITY = 0.95
TARGET_SPECIFICITY = 0.90


class Rule(StrEnum):
    """How a threshold is found."""

    FIXED = "fixed"
    YOUDEN = "youden"
    SENSITIVITY = "sensitivity"
    SPECIFICITY = "specificity"


@dataclass(frozen=True)
class Wanted:
    """A rule with what it aims at: a threshold, a sensitivity or a specificity."""

    rule: Rule
    target: float | None = None

    def __post_init__(self) -> None:
        if (
            self.rule is not Rule.YOUDEN
            and not 0 <= (-1 if self.target is None else self.target) <= 1
        ):
            raise EvaluationError(
                f"An operating point of the rule {self.rule} needs a target from 0 to 1."
            )

    @property
    def words(self) -> str:
        """How a table names it."""
        if self.rule is Rule.YOUDEN:
            return "Youden"
        name = "threshold" if self.rule is Rule.FIXED else self.rule.value
        return f"{name} {self.target:g}"


WANTED = (
    Wanted(Rule.FIXED, HALF),
    Wanted(Rule.YOUDEN),
    Wanted(Rule.SENSITIVITY, TARGET_SENSITIVITY),
    Wanted(Rule.SPECIFICITY, TARGET_SPECIFICITY),
)


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold, and on which images it was chosen; None where it was fixed beforehand."""

    rule: Rule
    target: float | None
    threshold: float
    chosen_on: Split | None


def choose_threshold(wanted: Wanted, y_true: Truth, score: Floats) -> float:
    """The threshold that a rule picks: images that score as much or more are called malignant.

    Youden (Cancer 1950) maximises sensitivity + specificity, at the highest such threshold. A
    sensitivity takes the highest threshold that reaches it, a specificity the lowest.

    Raises:
        EvaluationError: one class only.
    """
    if wanted.rule is Rule.FIXED:
        return float(wanted.target or 0.0)
    require_two_classes(y_true)
    thresholds, sensitivity, specificity = curve_of(y_true, score)
    if wanted.rule is Rule.YOUDEN:
        return float(thresholds[np.argmax(sensitivity + specificity)])
    target = float(wanted.target or 0.0) - 1e-12
    if wanted.rule is Rule.SENSITIVITY:
        return float(thresholds[np.argmax(sensitivity >= target)])
    return float(thresholds[np.flatnonzero(specificity >= target)[-1]])


def curve_of(y_true: Truth, score: Floats) -> tuple[Floats, Floats, Floats]:
    """Thresholds falling from just above the highest score, sensitivities, specificities."""
    order = np.argsort(-score)
    ordered = score[order]
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(score) - 1)
    found = np.cumsum(y_true[order])[ends]
    called = ends + 1
    sensitivity = np.append(0.0, found / found[-1])
    specificity = np.append(1.0, 1 - (called - found) / (len(score) - found[-1]))
    thresholds = np.append(np.nextafter(ordered[0], np.inf), ordered[ends])
    return thresholds, sensitivity, specificity


def find_points(
    wanted: tuple[Wanted, ...],
    test: tuple[Truth, Floats],
    validation: tuple[Truth, Floats] | None,
) -> tuple[OperatingPoint, ...]:
    """Each wanted point, on validation where it has both classes; those that cannot be are out."""
    found = []
    for one in wanted:
        if one.rule is Rule.FIXED:
            found.append(OperatingPoint(one.rule, one.target, float(one.target or 0.0), None))
            continue
        for split, images in ((Split.VALIDATION, validation), (Split.TEST, test)):
            if images is not None and images[0].any() and not images[0].all():
                threshold = choose_threshold(one, *images)
                found.append(OperatingPoint(one.rule, one.target, threshold, split))
                break
    return tuple(found)
