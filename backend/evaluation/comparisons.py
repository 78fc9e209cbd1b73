"""Whether one model is better than another on the same images: DeLong, McNemar, bootstrap, Holm."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, chi2

from backend.evaluation.delong import Areas, Difference, contrast
from backend.evaluation.estimates import CONFIDENCE, Estimate, Method, percentile

Floats = NDArray[np.float64]
Truth = NDArray[np.bool_]


@dataclass(frozen=True)
class McNemar:
    """Images that only one of two models called rightly, and the tests of their difference.

    `exact_p` is the binomial test (McNemar, Psychometrika 1947); `statistic` and `p` are the chi
    squared form with Edwards' correction (Psychometrika 1948).
    """

    only_first: int
    only_second: int
    exact_p: float
    statistic: float
    p: float


@dataclass(frozen=True)
class Comparison:
    """First minus second in mean AUC over runs.

    `delong` varies the images alone, `bootstrap` images and runs. `holm_p` is DeLong's p among
    all comparisons of the table. McNemar's test compares decisions at the first operating point,
    for models with one run each; else it is None with the reason.
    """

    first: str
    second: str
    delong: Difference
    holm_p: float | None
    bootstrap: Estimate
    bootstrap_p: float | None
    mcnemar: McNemar | None
    mcnemar_holm_p: float | None
    mcnemar_reason: str


@dataclass(frozen=True)
class Compared:
    """A model as comparisons need it: places of its runs in areas and replicates, and seeds.

    `right` says of each image whether the run called it rightly; None where there are more runs.
    """

    model: str
    places: tuple[int, ...]
    seeds: tuple[int | None, ...]
    right: Truth | None


def mcnemar(first_right: Truth, second_right: Truth) -> McNemar:
    """Of two models on the same images, by whether each called them rightly."""
    first = int((first_right & ~second_right).sum())
    second = int((~first_right & second_right).sum())
    differing = first + second
    if not differing:
        return McNemar(0, 0, 1.0, 0.0, 1.0)
    statistic = max(0, abs(first - second) - 1) ** 2 / differing
    exact = float(binomtest(first, differing).pvalue)
    return McNemar(first, second, exact, statistic, float(chi2.sf(statistic, 1)))


def holm(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Adjusted p-values (Holm, Scand. J. Stat. 1979); those that are not known are not counted."""
    known = [place for place, p in enumerate(p_values) if p is not None]
    ordered = sorted(known, key=lambda place: p_values[place] or 0.0)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(ordered):
        highest = max(highest, (len(known) - rank) * (p_values[place] or 0.0))
        adjusted[place] = min(1.0, highest)
    return tuple(adjusted)


def run_means(replicates: Floats, picks: NDArray[np.int64]) -> Floats:
    """Means (replicates,) of the runs picked for each replicate: (replicates, runs) both."""
    return np.asarray(np.take_along_axis(replicates, picks, axis=1).mean(axis=1))


def draw_runs(replicates: int, runs: int, chance: np.random.Generator) -> NDArray[np.int64]:
    """Runs drawn with replacement for each replicate; the one run where there is one."""
    return chance.integers(0, runs, (replicates, runs))


def bootstrap_difference(
    first: Floats,
    second: Floats,
    *,
    value: float,
    paired: bool,
    clustered: bool,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> tuple[Estimate, float | None]:
    """Difference in mean AUC with images and runs drawn, and its two-sided p-value.

    `first` and `second` are (replicates, runs) on the same draws of images. `paired` runs, those
    that share a seed, are drawn together. The p-value is twice the smaller share of replicates on
    either side of 0, of which no side is empty (Davison and Hinkley 1997, section 4.4).
    """
    chance = np.random.default_rng(seed)
    picks = draw_runs(len(first), first.shape[1], chance)
    others = picks if paired else draw_runs(len(second), second.shape[1], chance)
    differences = run_means(first, picks) - run_means(second, others)
    several = max(first.shape[1], second.shape[1]) > 1
    method = Method.CLUSTERED_BOOTSTRAP if clustered else Method.BOOTSTRAP
    found = percentile(value, differences, Method.RUNS_BOOTSTRAP if several else method, confidence)
    if found.low is None:
        return found, None
    known = differences[np.isfinite(differences)]
    tail = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return found, min(1.0, 2 * (tail + 1) / (len(known) + 1))


def compare(
    models: Sequence[Compared],
    areas: Areas,
    replicates: Floats,
    *,
    clustered: bool,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> tuple[Comparison, ...]:
    """Every pair of models of the same images; `replicates` are AUCs (replicates, runs)."""
    pairs = list(combinations(models, 2))
    delong = [contrast(areas, _shares(a, b, len(areas.auc)), confidence) for a, b in pairs]
    decisions = [
        None if a.right is None or b.right is None else mcnemar(a.right, b.right) for a, b in pairs
    ]
    holm_p = holm([one.p for one in delong])
    mcnemar_p = holm([None if one is None else one.exact_p for one in decisions])
    found = []
    for place, (first, second) in enumerate(pairs):
        estimate, p = bootstrap_difference(
            replicates[:, first.places],
            replicates[:, second.places],
            value=delong[place].difference.value or 0.0,
            paired=None not in first.seeds and first.seeds == second.seeds,
            clustered=clustered,
            seed=seed,
            confidence=confidence,
        )
        found.append(
            Comparison(
                first=first.model,
                second=second.model,
                delong=delong[place],
                holm_p=holm_p[place],
                bootstrap=estimate,
                bootstrap_p=p,
                mcnemar=decisions[place],
                mcnemar_holm_p=mcnemar_p[place],
                mcnemar_reason=""
                if decisions[place]
                else "McNemar's test compares models with one run each.",
            )
        )
    return tuple(found)


def _shares(first: Compared, second: Compared, count: int) -> Floats:
    weights = np.zeros(count)
    weights[list(first.places)] = 1 / len(first.places)
    weights[list(second.places)] -= 1 / len(second.places)
    return weights
