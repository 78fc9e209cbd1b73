"""How far two raters agree, with intervals that allow for images of the same patient.

Cohen's kappa (Educational and Psychological Measurement 20, 1960, eq. 1) of two raters over k
categories; its interval is that of the percentile bootstrap over clusters (Field and Welsh, Journal
of the Royal Statistical Society B 69, 2007): all images of a drawn patient are drawn together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.review.agreement import Estimate, alike_of, cohen_of, estimate

Interval = tuple[float, float]


@dataclass(frozen=True)
class Agreement:
    """Of `images` that both raters rated; kappa is None where chance alone explains everything.

    raw: the share that is rated alike, 0..1; intervals: 95 %.
    """

    images: int
    raw: float | None
    raw_interval: Interval | None
    kappa: float | None
    kappa_interval: Interval | None


def agreement_of(
    first: Sequence[int],
    second: Sequence[int],
    categories: int,
    clusters: Sequence[str],
    *,
    resamples: int = 2_000,
    seed: int = 0,
) -> Agreement:
    """Agreement of ratings in 0..categories-1, image by image, each image of a cluster."""
    if not first:
        return Agreement(0, None, None, None, None)
    tables = _tables(first, second, categories, clusters)
    raw = estimate(tables, alike_of, bootstraps=resamples, seed=seed)
    kappa = estimate(tables, cohen_of, bootstraps=resamples, seed=seed)
    return Agreement(len(first), raw.value, _interval(raw), kappa.value, _interval(kappa))


def _tables(
    first: Sequence[int], second: Sequence[int], categories: int, clusters: Sequence[str]
) -> NDArray[np.float64]:
    """Contingency tables (clusters, categories ** 2), first rater by second."""
    _, cluster = np.unique(np.asarray(clusters), return_inverse=True)
    cell = np.asarray(first) * categories + np.asarray(second)
    tables = np.zeros((int(cluster.max()) + 1, categories**2))
    np.add.at(tables, (cluster, cell), 1)
    return tables


def _interval(found: Estimate) -> Interval | None:
    return None if found.low is None or found.high is None else (found.low, found.high)
