"""Bootstrap replicates of every figure of several runs that scored the same images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.bootstrap import Ranking, cluster_counts, image_weights, running_sum
from backend.evaluation.calibration import BINS, bins_of
from backend.evaluation.metrics import rates_of
from backend.evaluation.operating_points import OperatingPoint
from backend.evaluation.predictions import Series
from backend.evaluation.roc import BAND_SPECIFICITIES

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
_CELLS = 4
"""Of a confusion matrix."""


@dataclass(frozen=True)
class Replicates:
    """Figures of one run; the replicates of all runs of the same images are the same draws.

    `auc`, `average_precision`, `brier` and `expected_error` are (replicates,), `sensitivity` is
    (replicates, BAND_SPECIFICITIES) and `rates` (replicates, points, RATES).
    """

    auc: Floats
    average_precision: Floats
    brier: Floats
    expected_error: Floats
    sensitivity: Floats
    rates: Floats


def replicate(
    series: Sequence[Series],
    points: Sequence[tuple[OperatingPoint, ...]],
    clusters: Codes,
    *,
    replicates: int,
    seed: int,
) -> list[Replicates]:
    """For runs of the same images, each with its operating points; thresholds stay as they are."""
    y_true = series[0].y_true
    ranked = y_true.any() and not y_true.all()
    rankings = [Ranking(y_true, one.score) if ranked else None for one in series]
    tables = [
        _summed(_additive(one, chosen), clusters)
        for one, chosen in zip(series, points, strict=True)
    ]
    blocks: list[list[Replicates]] = [[] for _ in series]
    for counts in cluster_counts(y_true, clusters, replicates, seed):
        weights = image_weights(counts, clusters)
        multiples = counts.astype(np.float32)
        for place, (ranking, table) in enumerate(zip(rankings, tables, strict=True)):
            sums = (multiples @ table).astype(np.float64)
            blocks[place].append(_figures(ranking, weights, sums))
    return [_joined(each) for each in blocks]


def _additive(series: Series, points: tuple[OperatingPoint, ...]) -> Floats:
    """Columns whose sums over images give every figure that no order is needed for.

    One for the image itself, its squared error, the gap between score and truth by bin, and the
    four cells of each operating point: (images, 2 + BINS + 4 x points).
    """
    truth, score = series.y_true, series.score
    columns = np.zeros((len(truth), 2 + BINS + _CELLS * len(points)), dtype=np.float64)
    columns[:, 0] = 1
    columns[:, 1] = (score - truth) ** 2
    columns[np.arange(len(truth)), 2 + bins_of(score)] = score - truth
    for place, point in enumerate(points):
        called = score >= point.threshold
        first = 2 + BINS + _CELLS * place
        cells = (called & truth, called & ~truth, ~called & ~truth, ~called & truth)
        columns[:, first : first + _CELLS] = np.stack(cells, axis=1)
    return columns


def _summed(columns: Floats, clusters: Codes) -> NDArray[np.float32]:
    """Sums of the rows of each cluster, which a replicate takes or leaves together."""
    sums = np.stack([np.bincount(clusters, column) for column in columns.T], axis=1)
    return sums.astype(np.float32)


def _figures(ranking: Ranking | None, weights: NDArray[np.float32], sums: Floats) -> Replicates:
    many = len(sums)
    images = sums[:, 0]
    if ranking is None:
        areas = precisions = np.full(many, np.nan)
        sensitivity = np.full((many, len(BAND_SPECIFICITIES)), np.nan)
    else:
        drawn = ranking.ordered(weights)
        malignant = running_sum(drawn.of_positives)
        areas, precisions = ranking.areas(drawn), ranking.average_precisions(drawn, malignant)
        sensitivity = ranking.sensitivities(drawn, malignant, BAND_SPECIFICITIES)
    cells = sums[:, 2 + BINS :].reshape(many, -1, _CELLS)
    return Replicates(
        auc=areas,
        average_precision=precisions,
        brier=sums[:, 1] / images,
        expected_error=np.abs(sums[:, 2 : 2 + BINS]).sum(axis=1) / images,
        sensitivity=sensitivity,
        rates=rates_of(cells),
    )


def _joined(blocks: Sequence[Replicates]) -> Replicates:
    names = ("auc", "average_precision", "brier", "expected_error", "sensitivity", "rates")
    return Replicates(
        **{name: np.concatenate([getattr(one, name) for one in blocks]) for name in names}
    )
