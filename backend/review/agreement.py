"""Agreement between reviewers: raw, Cohen's and Fleiss' kappa, Krippendorff's alpha.

A table is an array (items, raters) of category numbers from 0, -1 where a rater said nothing.
Intervals are percentiles over bootstrap samples of items; a sample on which a coefficient is not
defined is left out of its interval.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.int64]
Counts = NDArray[np.float64]

MISSING = -1
CONFIDENCE = 0.95
BOOTSTRAPS = 1_000
MIN_DEFINED = 0.5
"""Of the bootstrap samples; an interval over fewer says nothing."""
_AT_ONCE = 20_000_000
"""Cells of counts that a batch of bootstrap samples may hold."""

NO_PAIRS = "No item has two verdicts to compare."
ONE_CATEGORY = "All verdicts are the same, so chance agrees as often as the reviewers."
NOT_TWO = "Cohen's kappa is for two reviewers."
TOO_FEW_RATERS = "Fleiss' kappa is for three reviewers an item or more."
NO_FULL_ITEMS = "No item has the verdicts of all its reviewers."


@dataclass(frozen=True)
class Estimate:
    """A coefficient and its interval; None with the reason where it is not defined."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Agreement:
    """All coefficients of one table; `items` have two verdicts or more."""

    items: int
    raters: int
    raw: Estimate
    cohen: Estimate
    fleiss: Estimate
    krippendorff: Estimate


def agreement(table: Table, *, bootstraps: int = BOOTSTRAPS, seed: int = 0) -> Agreement:
    """Raw agreement and every coefficient that the table allows.

    Cohen's kappa compares two columns where both are filled. Where the table has more columns
    but every item exactly two verdicts (twenty people share a set, two an item), it is not
    defined: Krippendorff's alpha is the one to read. Fleiss' kappa takes the items that have as
    many verdicts as most of them have, three at least.
    """
    values = np.asarray(table, dtype=np.int64)
    columns = np.flatnonzero((values != MISSING).any(axis=0)) if values.size else np.array([], int)
    values = values[:, columns] if values.size else values.reshape(0, 0)
    counts = counts_of(values)
    comparable = counts[counts.sum(axis=1) >= 2]
    raters = len(columns)
    chance = partial(estimate, bootstraps=bootstraps, seed=seed)
    if not len(comparable):
        none = Estimate(None, reason=NO_PAIRS)
        return Agreement(0, raters, none, none, none, none)
    return Agreement(
        items=len(comparable),
        raters=raters,
        raw=chance(comparable, raw_of),
        cohen=_cohen(values, chance),
        fleiss=_fleiss(comparable, chance),
        krippendorff=chance(comparable, krippendorff_of),
    )


def counts_of(table: Table) -> Counts:
    """How often each category was given to each item: (items, categories)."""
    categories = int(table.max(initial=-1)) + 1
    hits = [(table == category).sum(axis=1) for category in range(categories)]
    if not hits:
        return np.zeros((len(table), 0))
    return np.stack(hits, axis=1).astype(np.float64)


def raw_of(counts: Counts, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of pairs of verdicts on an item that agree, averaged over items, by sample.

    `weights` (samples, items) say how often each item is in a sample.
    """
    sizes = counts.sum(axis=1)
    agreeing = (counts * (counts - 1)).sum(axis=1) / (sizes * (sizes - 1))
    return np.asarray((weights @ agreeing) / weights.sum(axis=1))


def fleiss_of(counts: Counts, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fleiss (Psychol. Bull. 1971), for items of equally many verdicts; NaN if undefined."""
    observed = raw_of(counts, weights)
    shares = weights @ counts
    shares /= shares.sum(axis=1, keepdims=True)
    return _beyond_chance(observed, (shares**2).sum(axis=1))


def cohen_of(cells: Counts, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cohen (Educ. Psychol. Meas. 1960); NaN if undefined.

    `cells` (rows, categories^2) count the pairs of an item, or of items that are drawn together.
    """
    joint = _joint(cells, weights)
    expected = (joint.sum(axis=2) * joint.sum(axis=1)).sum(axis=1)
    return _beyond_chance(np.trace(joint, axis1=1, axis2=2), expected)


def alike_of(cells: Counts, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of pairs that are alike, of `cells` as `cohen_of` takes them."""
    return np.asarray(np.trace(_joint(cells, weights), axis1=1, axis2=2))


def krippendorff_of(counts: Counts, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Alpha for nominal data with missing values (Krippendorff, Computing Alpha, 2011)."""
    sizes = counts.sum(axis=1)
    agreeing = (counts * (counts - 1)).sum(axis=1) / (sizes - 1)
    totals = weights @ counts
    pairable = totals.sum(axis=1)
    observed = (weights @ agreeing) / pairable
    expected = (totals * (totals - 1)).sum(axis=1) / (pairable * (pairable - 1))
    return _beyond_chance(observed, expected)


def _joint(cells: Counts, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares (samples, categories, categories) of the pairs in each sample."""
    side = round(cells.shape[1] ** 0.5)
    joint = (weights @ cells).reshape(len(weights), side, side)
    return np.asarray(joint / joint.sum(axis=(1, 2), keepdims=True))


def _beyond_chance(
    observed: NDArray[np.float64], expected: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(observed - expected) / (1 - expected); NaN where chance alone agrees always."""
    room = 1 - expected
    defined = room > 1e-12
    return np.where(defined, (observed - expected) / np.where(defined, room, 1.0), np.nan)


Coefficient = Callable[[Counts, NDArray[np.float64]], NDArray[np.float64]]


def _cohen(values: Table, chance: Callable[..., Estimate]) -> Estimate:
    if values.shape[1] != 2:
        return Estimate(None, reason=NOT_TWO)
    both = values[(values != MISSING).all(axis=1)]
    if not len(both):
        return Estimate(None, reason=NO_PAIRS)
    categories = int(both.max()) + 1
    cells = np.zeros((len(both), categories**2))
    cells[np.arange(len(both)), both[:, 0] * categories + both[:, 1]] = 1
    return chance(cells, cohen_of)


def _fleiss(counts: Counts, chance: Callable[..., Estimate]) -> Estimate:
    sizes = counts.sum(axis=1).astype(np.int64)
    usual = int(np.bincount(sizes).argmax())
    if usual < 3:
        return Estimate(None, reason=TOO_FEW_RATERS)
    return chance(counts[sizes == usual], fleiss_of)


def estimate(rows: Counts, coefficient: Coefficient, *, bootstraps: int, seed: int) -> Estimate:
    """A coefficient over rows that are drawn with replacement, each as a whole."""
    value = float(coefficient(rows, np.ones((1, len(rows))))[0])
    if np.isnan(value):
        return Estimate(None, reason=ONE_CATEGORY)
    # Items of the same row are alike: how often each kind is drawn is all that a sample needs.
    kinds, sizes = np.unique(rows, axis=0, return_counts=True)
    chance = np.random.default_rng(seed)
    samples: list[NDArray[np.float64]] = []
    step = max(1, _AT_ONCE // max(1, len(kinds)))
    for first in range(0, bootstraps, step):
        many = min(step, bootstraps - first)
        weights = chance.multinomial(len(rows), sizes / len(rows), size=many).astype(np.float64)
        samples.append(coefficient(kinds, weights))
    drawn = np.concatenate(samples) if samples else np.array([])
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn) or len(drawn) < MIN_DEFINED * bootstraps:
        return Estimate(value, reason="Too few items for an interval.")
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Estimate(value, float(low), float(high))
