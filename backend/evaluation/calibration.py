"""Whether a score of 0.3 means three in ten: reliability and the expected calibration error."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.estimates import CONFIDENCE, Estimate, clustered_wilson

Floats = NDArray[np.float64]
Truth = NDArray[np.bool_]
Codes = NDArray[np.int64]

BINS = 10


@dataclass(frozen=True)
class ReliabilityBin:
    """Images whose score lies from `low` to below `high`; the last bin includes 1."""

    low: float
    high: float
    images: int
    mean_score: float | None
    malignant: Estimate


@dataclass(frozen=True)
class Calibration:
    """The reliability curve and its mean distance from the diagonal, weighted by images."""

    bins: tuple[ReliabilityBin, ...]
    expected_error: Estimate


def bins_of(score: Floats, bins: int = BINS) -> Codes:
    """The bin of each score, all equally wide."""
    return np.minimum((score * bins).astype(np.int64), bins - 1)


def expected_error(y_true: Truth, score: Floats, bins: int = BINS) -> float:
    """ECE (Naeini et al., AAAI 2015) of the malignant probability, with bins of equal width."""
    gaps = np.bincount(bins_of(score, bins), weights=score - y_true, minlength=bins)
    return float(np.abs(gaps).sum() / len(score))


def reliability(
    y_true: Truth,
    score: Floats,
    clusters: Codes,
    *,
    bins: int = BINS,
    confidence: float = CONFIDENCE,
) -> tuple[ReliabilityBin, ...]:
    """Mean score and share of malignant images of each bin; empty bins have neither."""
    codes = bins_of(score, bins)
    found = []
    for number in range(bins):
        inside = codes == number
        images = int(inside.sum())
        found.append(
            ReliabilityBin(
                low=number / bins,
                high=(number + 1) / bins,
                images=images,
                mean_score=float(score[inside].mean()) if images else None,
                malignant=clustered_wilson(y_true[inside], clusters[inside], confidence),
            )
        )
    return tuple(found)
