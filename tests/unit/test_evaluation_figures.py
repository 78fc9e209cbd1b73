"""Figures, intervals and tests against scikit-learn, statsmodels and slow plain computations."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    roc_auc_score,
)  # fmt: skip
from sklearn.metrics import (
    precision_recall_curve as sklearn_precision_recall,
)
from sklearn.metrics import (
    roc_curve as sklearn_roc,
)
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from backend.evaluation.bootstrap import (
    Ranking,
    affordable,
    auc_replicates,
    cluster_counts,
    image_weights,
    running_sum,
)
from backend.evaluation.calibration import expected_error, reliability
from backend.evaluation.comparisons import bootstrap_difference, holm, mcnemar
from backend.evaluation.decision import decision_curve
from backend.evaluation.delong import areas
from backend.evaluation.estimates import Method, clustered_wilson, over_runs, wilson
from backend.evaluation.metrics import (
    average_precision,
    brier,
    confusion_of,
    rates_of,
    share_of,
)
from backend.evaluation.operating_points import (
    OperatingPoint,
    Rule,
    Wanted,
    choose_threshold,
    find_points,
)
from backend.evaluation.predictions import Series, Split
from backend.evaluation.replicates import replicate
from backend.evaluation.roc import MAX_POINTS, precision_recall_curve, roc_curve

rows = st.lists(
    st.tuples(st.booleans(), st.integers(0, 20)), min_size=2, max_size=80
).filter(lambda rows: 0 < sum(row[0] for row in rows) < len(rows))  # fmt: skip
Rows = list[tuple[bool, int]]


def arrays(drawn: Rows) -> tuple[NDArray, NDArray]:
    """Truth and scores, with ties."""
    return np.array([row[0] for row in drawn]), np.array([row[1] / 20 for row in drawn])


def images(count: int, seed: int = 0, digits: int = 2) -> tuple[NDArray, NDArray, NDArray]:
    """Truth, scores with ties, and patients with one to four images each."""
    chance = np.random.default_rng(seed)
    patients = np.sort(chance.integers(0, count // 2, count))
    patients = np.unique(patients, return_inverse=True)[1]
    truth = chance.random(count) < 0.4
    score = 1 / (1 + np.exp(-chance.normal(truth * 1.5 - 0.8, 1)))
    return truth, np.round(score, digits), patients


@settings(deadline=None, max_examples=100)
@given(rows)
def test_scores_give_the_figures_of_scikit_learn(drawn: Rows) -> None:
    truth, score = arrays(drawn)
    assert average_precision(truth, score) == pytest.approx(average_precision_score(truth, score))
    assert brier(truth, score) == pytest.approx(brier_score_loss(truth, score))
    tn, fp, fn, tp = confusion_matrix(truth, score >= 0.5, labels=[False, True]).ravel()
    cells = confusion_of(truth, score, 0.5)
    assert (cells.true_positives, cells.false_positives) == (tp, fp)
    assert (cells.true_negatives, cells.false_negatives) == (tn, fn)


@settings(deadline=None, max_examples=100)
@given(rows)
def test_curves_are_those_of_scikit_learn(drawn: Rows) -> None:
    truth, score = arrays(drawn)
    ours = roc_curve(truth, score)
    fpr, tpr, _ = sklearn_roc(truth, score)
    ends = sorted(set(zip(fpr.round(9), tpr.round(9), strict=True)))
    corners = zip(1 - np.array(ours.specificity), ours.sensitivity, strict=True)
    for x, y in corners:
        assert np.interp(x, fpr, tpr, left=0) >= y - 1e-9 or (round(x, 9), round(y, 9)) in ends
    area = np.trapezoid(ours.sensitivity, 1 - np.array(ours.specificity))
    assert area == pytest.approx(roc_auc_score(truth, score))
    precision, recall, _ = sklearn_precision_recall(truth, score)
    found = precision_recall_curve(truth, score)
    assert found.precision == pytest.approx(precision[:-1][::-1])
    assert found.recall == pytest.approx(recall[:-1][::-1])


def test_a_curve_of_many_images_is_drawn_with_few_points() -> None:
    truth, score, _ = images(50_000, digits=9)
    curve = roc_curve(truth, score)
    assert len(curve.threshold) <= MAX_POINTS + 2
    area = np.trapezoid(curve.sensitivity, 1 - np.array(curve.specificity))
    assert area == pytest.approx(roc_auc_score(truth, score), abs=1e-4)


@settings(deadline=None, max_examples=100)
@given(rows)
def test_thresholds_are_the_best_of_all_that_could_be(drawn: Rows) -> None:
    truth, score = arrays(drawn)
    candidates = [*np.unique(score), 1.5]

    def rates(threshold: float) -> tuple[float, float]:
        called = score >= threshold
        return called[truth].mean(), (~called)[~truth].mean()

    youden = choose_threshold(Wanted(Rule.YOUDEN), truth, score)
    assert sum(rates(youden)) == pytest.approx(max(sum(rates(one)) for one in candidates))
    reaching = [one for one in candidates if rates(one)[0] >= 0.95]
    assert choose_threshold(Wanted(Rule.SENSITIVITY, 0.95), truth, score) == max(reaching)
    specific = choose_threshold(Wanted(Rule.SPECIFICITY, 0.8), truth, score)
    assert rates(specific)[1] >= 0.8
    assert all(rates(one)[1] < 0.8 for one in candidates if one < specific)


def test_a_threshold_is_chosen_on_validation_and_the_test_images_do_not_move_it() -> None:
    truth, score, _ = images(400)
    other, seen, _ = images(300, seed=1)
    wanted = (Wanted(Rule.YOUDEN), Wanted(Rule.SENSITIVITY, 0.95), Wanted(Rule.FIXED, 0.5))
    chosen = find_points(wanted, (truth, score), (other, seen))
    turned = find_points(wanted, (~truth, score), (other, seen))
    assert chosen == turned
    assert [point.chosen_on for point in chosen] == [Split.VALIDATION, Split.VALIDATION, None]
    assert find_points(wanted, (truth, score), None)[0].chosen_on is Split.TEST
    one_class = (np.ones(3, dtype=bool), np.array([0.2, 0.4, 0.6]))
    assert [point.rule for point in find_points(wanted, one_class, None)] == [Rule.FIXED]


@settings(deadline=None, max_examples=100)
@given(rows, st.integers(1, 15))
def test_calibration_error_is_that_of_a_plain_loop(drawn: Rows, bins: int) -> None:
    truth, score = arrays(drawn)
    total = 0.0
    for number in range(bins):
        low, high = number / bins, (number + 1) / bins
        inside = [
            place
            for place, value in enumerate(score)
            if int(value * bins) == number or (value == 1 and number == bins - 1)
        ]
        if inside:
            assert all(low - 1e-9 <= score[place] <= high + 1e-9 for place in inside)
            gap = np.mean([truth[place] for place in inside]) - np.mean(score[inside])
            total += len(inside) / len(score) * abs(gap)
    assert expected_error(truth, score, bins) == pytest.approx(total)


def test_reliability_is_that_of_scikit_learn() -> None:
    truth, score, _ = images(2_000, digits=7)
    found = [one for one in reliability(truth, score, np.arange(2_000)) if one.images]
    frequency, mean = calibration_curve(truth, score, n_bins=10)
    assert [one.malignant.value for one in found] == pytest.approx(frequency)
    assert [one.mean_score for one in found] == pytest.approx(mean)


def test_net_benefit_is_that_of_its_definition() -> None:
    truth, score, _ = images(300)
    curve = decision_curve(truth, score)
    for place in (0, 9, 49, 98):
        p = curve.probability[place]
        called = score >= p
        benefit = (called & truth).sum() / 300 - (called & ~truth).sum() / 300 * p / (1 - p)
        assert curve.model[place] == pytest.approx(benefit)
        everyone = truth.mean() - (~truth).mean() * p / (1 - p)
        assert curve.treat_all[place] == pytest.approx(everyone)


@settings(deadline=None, max_examples=60)
@given(rows, st.integers(0, 2**31))
def test_weighted_areas_are_those_of_images_repeated(given_rows: Rows, seed: int) -> None:
    truth, score = arrays(given_rows)
    weights = np.random.default_rng(seed).integers(0, 4, (len(truth), 5))
    ranking = Ranking(truth, score)
    drawn = ranking.ordered(weights.astype(np.float32))
    found = ranking.areas(drawn)
    precisions = ranking.average_precisions(drawn, running_sum(drawn.of_positives))
    for place in range(5):
        again = np.repeat(np.arange(len(truth)), weights[:, place])
        if 0 < truth[again].sum() < len(again):
            expected = roc_auc_score(truth[again], score[again])
            assert found[place] == pytest.approx(expected, abs=1e-6)
            expected = average_precision_score(truth[again], score[again])
            assert precisions[place] == pytest.approx(expected, abs=1e-5)
        else:
            assert np.isnan(found[place])


def test_sums_are_the_same_in_long_rows_and_short() -> None:
    values = np.random.default_rng(0).integers(0, 4, (50, 200)).astype(np.float32)
    expected = np.cumsum(values, axis=0)
    assert (running_sum(values)[1:] == expected).all()
    assert (running_sum(values[:, :3])[1:] == expected[:, :3]).all()


def test_replicates_draw_whole_patients_and_keep_both_classes() -> None:
    truth, _, patients = images(300)
    counts = np.concatenate(list(cluster_counts(truth, patients, 50, seed=3)))
    malignant = np.bincount(patients, weights=truth) > 0
    assert (counts[:, malignant].sum(axis=1) == malignant.sum()).all()
    assert (counts[:, ~malignant].sum(axis=1) == (~malignant).sum()).all()
    weights = image_weights(counts, patients)
    assert (weights == counts.T[patients]).all()


def test_replicates_of_every_figure_are_those_of_a_plain_loop() -> None:
    truth, score, patients = images(240)
    other = np.round(np.random.default_rng(5).random(240), 2)
    series = [
        Series("m", str(n), None, np.arange(240), truth, s) for n, s in enumerate((score, other))
    ]
    point = (OperatingPoint(Rule.FIXED, 0.4, 0.4, None),)
    found = replicate(series, [point, point], patients, replicates=20, seed=9)
    counts = np.concatenate(list(cluster_counts(truth, patients, 20, seed=9)))
    for drawn, one in zip(found, series, strict=True):
        for place, times in enumerate(counts[:, patients]):
            again = np.repeat(np.arange(240), times)
            y, s = truth[again], one.score[again]
            assert drawn.auc[place] == pytest.approx(roc_auc_score(y, s), abs=1e-6)
            expected = average_precision_score(y, s)
            assert drawn.average_precision[place] == pytest.approx(expected, abs=1e-5)
            assert drawn.brier[place] == pytest.approx(brier_score_loss(y, s), abs=1e-5)
            assert drawn.expected_error[place] == pytest.approx(expected_error(y, s), abs=1e-5)
            tn, fp, fn, tp = confusion_matrix(y, s >= 0.4).ravel()
            rates = rates_of(np.array([tp, fp, tn, fn]))
            assert drawn.rates[place, 0] == pytest.approx(rates, abs=1e-6)
            for column in (0, 50, 80, 90, 100):
                thresholds = [*np.unique(s), 2.0]
                lowest = min(t for t in thresholds if (s < t)[~y].mean() >= column / 100 - 1e-9)
                # Thresholds are taken just above a benign score, not at the next malignant one.
                below = max((v for v in s[~y] if v < lowest), default=-1.0)
                expected = (s > below)[y].mean()
                assert drawn.sensitivity[place, column] == pytest.approx(expected, abs=1e-6)


def test_bootstrap_and_delong_agree_on_the_width_of_an_interval() -> None:
    truth, score, _ = images(1_500, digits=6)
    drawn = auc_replicates(truth, [score], np.arange(1_500), replicates=1_500)
    error = np.sqrt(areas(truth, [score]).covariance[0, 0])
    assert drawn.std() == pytest.approx(error, rel=0.08)


def test_millions_of_images_get_fewer_replicates() -> None:
    assert affordable(2_000, 9_191, 6) == 2_000
    assert affordable(2_000, 1_000_000, 6) == 200


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 30))
def test_mcnemar_is_that_of_statsmodels(first: int, second: int, both: int) -> None:
    right = np.repeat([True, True, False], [first, both, second])
    other = np.repeat([False, True, True], [first, both, second])
    found = mcnemar(right, other)
    table = [[both, first], [second, 0]]
    assert found.exact_p == pytest.approx(statsmodels_mcnemar(table, exact=True).pvalue)
    if first != second:  # statsmodels corrects a difference of 0 to 1
        theirs = statsmodels_mcnemar(table, exact=False, correction=True)
        assert (found.statistic, found.p) == pytest.approx((theirs.statistic, theirs.pvalue))


@settings(deadline=None, max_examples=12)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_that_of_statsmodels_and_passes_over_what_is_not_known(p: list[float]) -> None:
    found = holm([*p, None])
    assert found[-1] is None
    assert found[:-1] == pytest.approx(multipletests(p, method="holm")[1])


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 500), st.data())
def test_wilson_is_that_of_statsmodels(total: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, total))
    found = wilson(count, total)
    expected = proportion_confint(count, total, method="wilson")
    assert (found.low, found.high) == pytest.approx(expected)


def test_images_of_one_patient_count_as_fewer() -> None:
    hits = np.repeat(np.arange(40) % 3 > 0, 5)
    found = clustered_wilson(hits, np.repeat(np.arange(40), 5))
    patients = wilson(hits.sum() / 5, 40)
    assert found.method is Method.CLUSTERED_WILSON
    assert found.low == pytest.approx(patients.low, abs=0.005)
    assert clustered_wilson(hits, np.arange(200)) == wilson(hits.sum(), 200)
    certain = clustered_wilson(np.ones(50, dtype=bool), np.repeat(np.arange(10), 5))
    assert certain.low == wilson(10, 10).low


def test_the_mean_of_five_runs_has_students_interval() -> None:
    values = np.array([0.80, 0.82, 0.79, 0.83, 0.81])
    found = over_runs(values)
    reach = 2.7764451 * values.std(ddof=1) / np.sqrt(5)
    assert (found.low, found.high) == pytest.approx((0.81 - reach, 0.81 + reach))
    assert over_runs(values[:1]).low is None


def test_a_difference_over_runs_is_wider_than_over_images_alone() -> None:
    chance = np.random.default_rng(0)
    noise = chance.normal(0, 0.01, (2_000, 1))
    first = 0.85 + noise + np.linspace(-0.03, 0.03, 5)
    second = 0.80 + noise + np.linspace(-0.03, 0.03, 5)
    shared, p = bootstrap_difference(first, second, value=0.05, paired=True, clustered=False)
    assert shared.low is None  # the same seeds make both better alike, so that nothing varies
    assert p is None
    free, p = bootstrap_difference(first, second, value=0.05, paired=False, clustered=False)
    assert free.method is Method.RUNS_BOOTSTRAP
    assert free.low is not None
    assert free.low < 0.03
    assert p is not None
    assert 0 < p < 0.05


def test_shares_of_a_threshold_are_those_of_its_confusion() -> None:
    truth, score, patients = images(500)
    cells = confusion_of(truth, score, 0.4)
    counts = [cells.true_positives, cells.false_positives, cells.true_negatives,
              cells.false_negatives]  # fmt: skip
    expected = dict(zip(
        ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "ppv", "npv"),
        rates_of(np.array(counts)), strict=True,
    ))  # fmt: skip
    for name in ("accuracy", "sensitivity", "specificity", "ppv", "npv"):
        found = share_of(name, truth, score, 0.4, patients)
        assert found.value == pytest.approx(expected[name])
    assert pd.isna(rates_of(np.zeros(4))).all()
