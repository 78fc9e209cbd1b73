"""Agreement of two raters: kappa as elsewhere, and intervals that know who was drawn together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from backend.captioning.kappa import agreement_of

RATINGS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=60)


@settings(max_examples=60, deadline=None)
@given(RATINGS)
def test_kappa_is_that_of_scikit_learn(ratings: list[tuple[int, int]]) -> None:
    first, second = (list(column) for column in zip(*ratings, strict=True))
    found = agreement_of(first, second, 3, [str(at) for at in range(len(first))], resamples=50)
    assert found.raw == pytest.approx(np.mean(np.equal(first, second)))
    if len({*first, *second}) == 1:
        assert found.kappa is None
    else:
        expected = cohen_kappa_score(first, second, labels=[0, 1, 2])
        assert found.kappa == pytest.approx(expected)


def test_the_interval_is_wider_where_images_are_of_few_patients() -> None:
    rng = np.random.default_rng(3)
    first = np.repeat(rng.integers(0, 2, 40), 5)
    second = np.where(np.repeat(rng.random(40) < 0.8, 5), first, 1 - first)
    alone = agreement_of(first.tolist(), second.tolist(), 2, [str(at) for at in range(200)])
    together = agreement_of(first.tolist(), second.tolist(), 2, [str(at // 5) for at in range(200)])
    assert alone.kappa == together.kappa
    assert alone.kappa_interval is not None
    assert together.kappa_interval is not None
    assert np.ptp(together.kappa_interval) > 1.8 * np.ptp(alone.kappa_interval)
    assert together.kappa_interval[0] < together.kappa < together.kappa_interval[1]


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(4)
    covered = 0
    for run in range(200):
        first = rng.integers(0, 2, 120)
        second = np.where(rng.random(120) < 0.85, first, 1 - first)  # kappa is 0.7
        names = [str(at) for at in range(120)]
        found = agreement_of(first.tolist(), second.tolist(), 2, names, resamples=400, seed=run)
        assert found.kappa_interval is not None
        covered += found.kappa_interval[0] <= 0.7 <= found.kappa_interval[1]
    assert covered >= 180


def test_nothing_in_common_and_nothing_but_one_value_have_no_kappa() -> None:
    assert agreement_of([], [], 2, []).images == 0
    same = agreement_of([1, 1], [1, 1], 2, ["a", "b"])
    assert (same.raw, same.kappa, same.kappa_interval) == (1.0, None, None)
