"""What any threshold makes of a run, answered at once: scores are sorted and counted beforehand."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.estimates import Estimate, wilson
from backend.evaluation.metrics import Confusion
from backend.evaluation.predictions import Series

Floats = NDArray[np.float64]
PER = 1_000
CELLS = ("true_positives", "false_negatives", "false_positives", "true_negatives")


@dataclass(frozen=True)
class SortedScores:
    """Scores of the malignant and of the benign images of a run, each rising, and their images.

    `malignant_images[i]` is the place in `Predictions.facts` of the image that scored
    `malignant[i]`.
    """

    malignant: Floats
    benign: Floats
    malignant_images: NDArray[np.int64]
    benign_images: NDArray[np.int64]


@dataclass(frozen=True)
class AtThreshold:
    """A confusion with its shares; an image whose score is the threshold or more is called
    malignant. `missed_per_1000` counts malignant images called benign among 1,000 malignant."""

    threshold: float
    confusion: Confusion
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate
    npv: Estimate
    accuracy: Estimate

    @property
    def missed_per_1000(self) -> int | None:
        """None where no image is malignant."""
        value = self.sensitivity.value
        return None if value is None else round(PER * (1 - value))

    @property
    def net_benefit(self) -> float:
        """Of acting on it at this threshold as a probability (Vickers and Elkin 2006)."""
        cells = self.confusion
        images = sum(getattr(cells, name) for name in CELLS)
        share = min(self.threshold, 1 - 1e-9)
        wrong = cells.false_positives * share / (1 - share)
        return (cells.true_positives - wrong) / images if images else 0.0


def sort_scores(series: Series) -> SortedScores:
    """Sort the scores of a run once."""
    order = np.argsort(series.score, kind="stable")
    truth = series.y_true[order]
    score, images = series.score[order], series.images[order]
    return SortedScores(score[truth], score[~truth], images[truth], images[~truth])


def at_threshold(scores: SortedScores, threshold: float) -> AtThreshold:
    """Counts and shares by binary search; intervals are Wilson's and take images as independent."""
    missed = int(np.searchsorted(scores.malignant, threshold, "left"))
    right = int(np.searchsorted(scores.benign, threshold, "left"))
    found, wrong = len(scores.malignant) - missed, len(scores.benign) - right
    return AtThreshold(
        threshold=threshold,
        confusion=Confusion(found, wrong, right, missed),
        sensitivity=wilson(found, found + missed),
        specificity=wilson(right, right + wrong),
        ppv=wilson(found, found + wrong),
        npv=wilson(right, right + missed),
        accuracy=wilson(found + right, found + right + wrong + missed),
    )


def images_in(scores: SortedScores, threshold: float, cell: str) -> NDArray[np.int64]:
    """The images of one of CELLS, those that are furthest on the wrong side first.

    Missed malignant images begin with the lowest score, false alarms with the highest.
    """
    missed = int(np.searchsorted(scores.malignant, threshold, "left"))
    right = int(np.searchsorted(scores.benign, threshold, "left"))
    if cell == "false_negatives":
        return scores.malignant_images[:missed]
    if cell == "true_positives":
        return scores.malignant_images[missed:]
    if cell == "true_negatives":
        return scores.benign_images[:right][::-1]
    return scores.benign_images[right:][::-1]
