"""Coefficients of agreement: those of statsmodels and krippendorff, and what cannot be said."""

import warnings

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from statsmodels.stats.inter_rater import cohens_kappa, fleiss_kappa

from backend.review.agreement import (
    MISSING,
    NO_PAIRS,
    NOT_TWO,
    ONE_CATEGORY,
    TOO_FEW_RATERS,
    agreement,
    counts_of,
)
from backend.review.reports import exact_share


def tables(raters: st.SearchStrategy[int], *, missing: bool) -> st.SearchStrategy[NDArray]:
    """Random tables of 2 to 30 items and 1 to 4 categories."""
    lowest = MISSING if missing else 0
    shapes = st.tuples(st.integers(2, 30), raters)
    return shapes.flatmap(
        lambda shape: arrays.arrays(np.int64, shape, elements=st.integers(lowest, 3))
    )


@settings(deadline=None, max_examples=150)
@given(tables(st.integers(2, 6), missing=True))
def test_alpha_is_that_of_the_krippendorff_package(table: NDArray) -> None:
    ours = agreement(table, bootstraps=0).krippendorff
    data = np.where(table == MISSING, np.nan, table.astype(float)).T
    pairable = counts_of(table)[counts_of(table).sum(axis=1) >= 2]
    if not len(pairable):
        assert (ours.value, ours.reason) == (None, NO_PAIRS)
    elif np.count_nonzero(pairable.sum(axis=0)) < 2:
        assert (ours.value, ours.reason) == (None, ONE_CATEGORY)
    else:
        theirs = krippendorff.alpha(reliability_data=data, level_of_measurement="nominal")
        assert ours.value == pytest.approx(theirs, abs=1e-9)


@settings(deadline=None, max_examples=100)
@given(tables(st.just(2), missing=False))
def test_cohens_kappa_is_that_of_statsmodels(table: NDArray) -> None:
    ours = agreement(table, bootstraps=0).cohen
    joint = np.zeros((4, 4))
    np.add.at(joint, (table[:, 0], table[:, 1]), 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = cohens_kappa(joint, return_results=False)
    if np.isnan(theirs):
        assert (ours.value, ours.reason) == (None, ONE_CATEGORY)
    else:
        assert ours.value == pytest.approx(theirs, abs=1e-9)


@settings(deadline=None, max_examples=100)
@given(tables(st.integers(3, 6), missing=False))
def test_fleiss_kappa_is_that_of_statsmodels(table: NDArray) -> None:
    ours = agreement(table, bootstraps=0).fleiss
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = fleiss_kappa(counts_of(table))
    if np.isnan(theirs):
        assert (ours.value, ours.reason) == (None, ONE_CATEGORY)
    else:
        assert ours.value == pytest.approx(theirs, abs=1e-9)


@settings(deadline=None, max_examples=50)
@given(tables(st.integers(2, 5), missing=True), st.integers(0, 5))
def test_neither_the_order_of_items_nor_the_names_of_reviewers_matter(
    table: NDArray, seed: int
) -> None:
    chance = np.random.default_rng(seed)
    other = table[chance.permutation(len(table))][:, chance.permutation(table.shape[1])]
    for name in ("raw", "cohen", "fleiss", "krippendorff"):
        first = getattr(agreement(table, bootstraps=0), name)
        second = getattr(agreement(other, bootstraps=0), name)
        assert (first.value is None) == (second.value is None)
        if first.value is not None:
            assert first.value == pytest.approx(second.value)


def test_raw_agreement_is_the_share_of_pairs_that_agree() -> None:
    table = np.array([[0, 0], [0, 1], [1, 1], [1, MISSING]])
    found = agreement(table)
    assert (found.items, found.raters) == (3, 2)
    assert found.raw.value == pytest.approx(2 / 3)


def test_the_interval_holds_the_value_and_the_same_seed_gives_the_same_one() -> None:
    chance = np.random.default_rng(1)
    first = chance.integers(0, 3, 200)
    table = np.stack([first, np.where(chance.random(200) < 0.8, first, 0)], axis=1)
    found, again = agreement(table, seed=5), agreement(table, seed=5)
    assert found == again
    assert found != agreement(table, seed=6)
    for one in (found.raw, found.cohen, found.krippendorff):
        assert one.low is not None
        assert one.high is not None
        assert one.value is not None
        assert one.low < one.value < one.high
        assert one.high - one.low < 0.25


def test_the_bootstrap_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    chance, covered, tries = np.random.default_rng(3), 0, 200
    for number in range(tries):
        truth = chance.integers(0, 2, 100)
        agrees = chance.random(100) < 0.8
        table = np.stack([truth, np.where(agrees, truth, 1 - truth)], axis=1)
        raw = agreement(table, bootstraps=300, seed=number).raw
        assert raw.low is not None
        assert raw.high is not None
        covered += raw.low <= 0.8 <= raw.high
    assert 0.88 < covered / tries <= 1


def test_what_cannot_be_said_is_none_with_a_reason() -> None:
    nothing = agreement(np.zeros((0, 0), dtype=np.int64))
    assert (nothing.items, nothing.raw.value, nothing.raw.reason) == (0, None, NO_PAIRS)
    alone = agreement(np.array([[0, MISSING], [MISSING, 1]]))
    assert (alone.krippendorff.value, alone.cohen.reason) == (None, NO_PAIRS)
    same = agreement(np.ones((5, 2), dtype=np.int64))
    assert (same.raw.value, same.cohen.value, same.cohen.reason) == (1.0, None, ONE_CATEGORY)
    assert same.fleiss.reason == TOO_FEW_RATERS
    assert agreement(np.array([[0, 1, 0], [1, 1, 1]])).cohen.reason == NOT_TWO


def test_half_a_million_items_take_seconds() -> None:
    chance = np.random.default_rng(2)
    table = np.full((500_000, 20), MISSING)
    for _ in range(2):
        rater = chance.integers(0, 20, 500_000)
        table[np.arange(500_000), rater] = chance.integers(0, 3, 500_000)
    found = agreement(table, bootstraps=200)
    assert found.krippendorff.low is not None


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [
        (0, 10, 0.0, 0.3085),
        (5, 10, 0.1871, 0.8129),
        (10, 10, 0.6915, 1.0),
        (60, 100, 0.4972, 0.6967),
    ],
)
def test_exact_intervals_are_those_of_the_tables(
    count: int, total: int, low: float, high: float
) -> None:
    share = exact_share(count, total)
    assert share.low == pytest.approx(low, abs=1e-4)
    assert share.high == pytest.approx(high, abs=1e-4)


def test_a_share_of_nothing_has_no_value() -> None:
    assert exact_share(0, 0).value is None
