"""A figure with its interval, and intervals of proportions; small samples are marked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

CONFIDENCE = 0.95
SMALL_GROUP = 30
"""Images of a group below which it is greyed."""
SMALL_CLASS = 10
"""Images of either class below which a group is greyed."""

Floats = NDArray[np.float64]


class Method(StrEnum):
    """How an interval was made."""

    DELONG = "DeLong"
    CLUSTERED_DELONG = "DeLong, clustered (Obuchowski)"
    BOOTSTRAP = "bootstrap"
    CLUSTERED_BOOTSTRAP = "bootstrap, clustered"
    WILSON = "Wilson"
    CLUSTERED_WILSON = "Wilson, clustered (Rao-Scott)"
    RUNS = "t over runs"
    RUNS_MEAN = "mean of the runs' intervals"
    RUNS_BOOTSTRAP = "bootstrap of images and runs"
    NONE = ""


@dataclass(frozen=True)
class Estimate:
    """A figure and its interval; None with the reason where the data cannot carry it."""

    value: float | None
    low: float | None = None
    high: float | None = None
    method: Method = Method.NONE
    reason: str = ""


NO_INTERVAL_RUNS = "One run: the spread between runs is not known."
NO_CASES = "No image to compute it from."


def quantile(confidence: float) -> float:
    """Standard deviations to either side of a normal interval."""
    return float(norm.ppf(0.5 + confidence / 2))


def normal(value: float, variance: float, method: Method, confidence: float) -> Estimate:
    """A symmetric interval of a figure within 0 to 1, cut off there as pROC does."""
    reach = quantile(confidence) * math.sqrt(max(variance, 0.0))
    return Estimate(value, max(0.0, value - reach), min(1.0, value + reach), method)


def wilson(count: float, total: float, confidence: float = CONFIDENCE) -> Estimate:
    """A proportion with the score interval of Wilson (J. Am. Stat. Assoc. 1927)."""
    if total <= 0:
        return Estimate(None, reason=NO_CASES)
    share = count / total
    low, high = _score_interval(share, total, confidence)
    return Estimate(share, low, high, Method.WILSON)


def clustered_wilson(
    hits: NDArray[np.bool_], clusters: NDArray[np.int64], confidence: float = CONFIDENCE
) -> Estimate:
    """Wilson's interval with the number of images divided by the design effect of the clusters.

    The design effect compares the variance of the ratio over clusters with the binomial one (Rao
    and Scott, Biometrics 1992) and is at least 1. Where all images are alike it cannot be seen:
    the clusters are then counted instead of the images.
    """
    total = len(hits)
    if not total:
        return Estimate(None, reason=NO_CASES)
    codes = np.unique(clusters, return_inverse=True)[1]
    sizes = np.bincount(codes).astype(np.float64)
    count = len(sizes)
    if count == total:
        return wilson(float(hits.sum()), total, confidence)
    sums = np.bincount(codes, weights=hits)
    share = float(sums.sum() / total)
    binomial = share * (1 - share) / total
    effective = float(count)
    if binomial > 0 and count > 1:
        variance = count / (count - 1) * float(((sums - share * sizes) ** 2).sum()) / total**2
        effective = total / max(1.0, variance / binomial)
    low, high = _score_interval(share, effective, confidence)
    return Estimate(share, low, high, Method.CLUSTERED_WILSON)


def over_runs(values: Floats, confidence: float = CONFIDENCE) -> Estimate:
    """The mean of a figure within 0 to 1 over runs, with Student's interval cut off there.

    Runs are what varies: the images are the same in all of them.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return Estimate(None, reason="No run has this figure.")
    mean = float(known.mean())
    if len(known) < 2:
        return Estimate(mean, reason=NO_INTERVAL_RUNS)
    reach = float(t.ppf(0.5 + confidence / 2, len(known) - 1) * known.std(ddof=1))
    reach /= math.sqrt(len(known))
    return Estimate(mean, max(0.0, mean - reach), min(1.0, mean + reach), Method.RUNS)


def mean_interval(runs: Sequence[Estimate]) -> Estimate:
    """The mean of a figure over runs, and the means of the ends of their intervals.

    Each run's interval holds the chance of the images, which the runs share: their mean is wider
    than an interval of the mean, if anything. What one run cannot carry, none can.
    """
    lacking = next((one for one in runs if one.value is None), None)
    if lacking is not None or len(runs) == 1:
        return lacking or runs[0]
    value = float(np.mean([one.value for one in runs]))
    lows = [one.low for one in runs if one.low is not None]
    highs = [one.high for one in runs if one.high is not None]
    if min(len(lows), len(highs)) < len(runs):
        return Estimate(value, reason=next(one.reason for one in runs if one.low is None))
    return Estimate(value, float(np.mean(lows)), float(np.mean(highs)), Method.RUNS_MEAN)


def percentile(
    value: float | None, drawn: Floats, method: Method, confidence: float = CONFIDENCE
) -> Estimate:
    """The percentile interval of bootstrap replicates; those without the figure are left out."""
    if value is None or not math.isfinite(value):
        return Estimate(None, reason=NO_CASES)
    known = drawn[np.isfinite(drawn)]
    if not len(drawn) or len(known) < len(drawn) / 2:
        return Estimate(value, reason="Too few images for an interval.")
    low, high = np.quantile(known, [0.5 - confidence / 2, 0.5 + confidence / 2])
    if high - low < 1e-12:
        return Estimate(value, reason="Every replicate is the same: too little for an interval.")
    return Estimate(value, float(low), float(high), method)


def is_small(benign: int, malignant: int) -> bool:
    """Whether a group is too small to be read without doubt."""
    return benign + malignant < SMALL_GROUP or min(benign, malignant) < SMALL_CLASS


def _score_interval(share: float, total: float, confidence: float) -> tuple[float, float]:
    z2 = quantile(confidence) ** 2
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    reach = math.sqrt(z2 * (share * (1 - share) / total + z2 / (4 * total**2))) / (1 + z2 / total)
    return max(0.0, centre - reach), min(1.0, centre + reach)
