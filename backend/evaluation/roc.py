"""ROC and precision-recall curves as a page draws them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.estimates import CONFIDENCE
from backend.evaluation.operating_points import curve_of

Floats = NDArray[np.float64]
Truth = NDArray[np.bool_]

MAX_POINTS = 512
"""Points of a curve that are kept; those in between lie within a pixel."""
BAND_SPECIFICITIES = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class Band:
    """Pointwise interval of sensitivity at fixed specificities."""

    specificity: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class RocCurve:
    """Corners of the curve from (specificity 1, sensitivity 0) on, with their thresholds."""

    threshold: tuple[float, ...]
    sensitivity: tuple[float, ...]
    specificity: tuple[float, ...]
    band: Band | None


@dataclass(frozen=True)
class PrecisionRecallCurve:
    """Precision at each recall from the highest threshold on; `prevalence` is chance."""

    threshold: tuple[float, ...]
    recall: tuple[float, ...]
    precision: tuple[float, ...]
    prevalence: float


def roc_curve(y_true: Truth, score: Floats, band: Band | None = None) -> RocCurve:
    """The empirical curve, without points that lie on a straight line between others.

    Raises:
        EvaluationError: one class only.
    """
    thresholds, sensitivity, specificity = curve_of(y_true, score)
    corners = np.ones(len(thresholds), dtype=bool)
    rises, falls = np.diff(sensitivity), np.diff(specificity)
    corners[1:-1] = ~np.isclose(rises[1:] * falls[:-1], rises[:-1] * falls[1:], rtol=1e-9, atol=0)
    corners[1:-1] &= ~((rises[1:] == 0) & (rises[:-1] == 0))
    corners[1:-1] &= ~((falls[1:] == 0) & (falls[:-1] == 0))
    kept = np.flatnonzero(corners)
    kept = kept[_thinned(sensitivity[kept], specificity[kept])]
    return RocCurve(
        _plain(thresholds[kept]), _plain(sensitivity[kept]), _plain(specificity[kept]), band
    )


def precision_recall_curve(y_true: Truth, score: Floats) -> PrecisionRecallCurve:
    """Of images of both classes."""
    thresholds, sensitivity, specificity = curve_of(y_true, score)
    positives = int(y_true.sum())
    found = sensitivity[1:] * positives
    called = found + (1 - specificity[1:]) * (len(y_true) - positives)
    recall, precision = sensitivity[1:], found / called
    kept = _thinned(recall, precision)
    return PrecisionRecallCurve(
        _plain(thresholds[1:][kept]),
        _plain(recall[kept]),
        _plain(precision[kept]),
        positives / len(y_true),
    )


def band_of(replicates: Floats, confidence: float = CONFIDENCE) -> Band | None:
    """The band of sensitivities (replicates, BAND_SPECIFICITIES), where most of them are known."""
    known = replicates[np.isfinite(replicates).all(axis=1)]
    if len(known) < len(replicates) / 2 or not len(known):
        return None
    low, high = np.quantile(known, [0.5 - confidence / 2, 0.5 + confidence / 2], axis=0)
    return Band(_plain(BAND_SPECIFICITIES), _plain(low), _plain(high))


def _thinned(first: Floats, second: Floats) -> NDArray[np.int64]:
    """At most MAX_POINTS places, evenly along the length of the curve, both ends among them."""
    if len(first) <= MAX_POINTS:
        return np.arange(len(first))
    lengths = np.append(0.0, np.cumsum(np.abs(np.diff(first)) + np.abs(np.diff(second))))
    wanted = np.linspace(0, lengths[-1], MAX_POINTS)
    places = np.searchsorted(lengths, wanted).clip(0, len(first) - 1)
    return np.unique(np.append(places, [0, len(first) - 1]))


def _plain(values: Floats) -> tuple[float, ...]:
    return tuple(values.tolist())
