"""DeLong against pROC of R, against counting all pairs, and with clusters."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from backend.evaluation.delong import (
    ALL_TIED,
    NO_ERROR,
    SAME_CURVES,
    TOO_FEW,
    _clustered,
    areas,
    auc_estimate,
    auc_with_interval,
    contrast,
    placements,
)
from backend.evaluation.errors import EvaluationError
from backend.evaluation.estimates import Method

PROBLEMS = 50
PROC = """
suppressPackageStartupMessages(library(pROC))
arguments <- commandArgs(trailingOnly = TRUE)
rows <- read.csv(arguments[1])
found <- do.call(rbind, lapply(split(rows, rows$problem), function(one) {
  first <- roc(one$truth, one$first, levels = c(0, 1), direction = "<", quiet = TRUE)
  second <- roc(one$truth, one$second, levels = c(0, 1), direction = "<", quiet = TRUE)
  ends <- as.numeric(ci.auc(first, method = "delong"))
  test <- roc.test(first, second, method = "delong", paired = TRUE)
  data.frame(problem = one$problem[1], auc = as.numeric(auc(first)), low = ends[1], high = ends[3],
             z = unname(test$statistic), p = test$p.value,
             covariance = cov(first, second, method = "delong"))
}))
write.csv(format(found, digits = 15), arguments[2], row.names = FALSE)
"""


def has_proc() -> bool:
    """Whether R and its package pROC are on this machine."""
    if shutil.which("Rscript") is None:
        return False
    asked = subprocess.run(["Rscript", "-e", "library(pROC)"], capture_output=True)
    return asked.returncode == 0


def problem(number: int) -> pd.DataFrame:
    """Two models that judge 20 to 400 images, with ties in most problems."""
    chance = np.random.default_rng(number)
    images = int(chance.integers(20, 400))
    truth = chance.random(images) < chance.uniform(0.15, 0.85)
    truth[:6] = [True, False] * 3
    shared = chance.normal(truth * chance.uniform(0, 1.5), 1)
    digits = (0, 1, 1, 2, 6)[number % 5]
    scores = [np.round(shared + chance.normal(0, 0.8, images), digits) for _ in range(2)]
    columns = {"problem": number, "truth": truth.astype(int)}
    return pd.DataFrame({**columns, "first": scores[0], "second": scores[1]})


def test_delong_equals_proc_on_fifty_random_problems_with_ties(tmp_path: Path) -> None:
    if not has_proc():
        pytest.skip("R with its package pROC is not installed (r-base-core, r-cran-proc)")
    problems = [problem(number) for number in range(PROBLEMS)]
    pd.concat(problems).to_csv(tmp_path / "problems.csv", index=False)
    (tmp_path / "proc.R").write_text(PROC)
    files = [str(tmp_path / name) for name in ("proc.R", "problems.csv", "found.csv")]
    subprocess.run(["Rscript", "--vanilla", *files], check=True, timeout=120)
    theirs = pd.read_csv(tmp_path / "found.csv").set_index("problem").astype(float)
    assert len(theirs) == PROBLEMS
    for number, one in enumerate(problems):
        scores = [one["first"].to_numpy(), one["second"].to_numpy()]
        found = areas(one["truth"].to_numpy() == 1, scores)
        interval = auc_estimate(found)
        test = contrast(found, np.array([1.0, -1.0]))
        ours = {
            "auc": interval.value,
            "low": interval.low,
            "high": interval.high,
            "z": test.z,
            "p": test.p,
            "covariance": found.covariance[0, 1],
        }
        assert ours == pytest.approx(theirs.loc[number].to_dict(), abs=1e-6), number


def by_pairs(truth: NDArray, score: NDArray) -> tuple[float, float]:
    """Area and DeLong's variance from the matrix of all pairs, as the paper writes them."""
    gaps = score[truth][:, None] - score[~truth][None, :]
    wins = (gaps > 0) + 0.5 * (gaps == 0)
    variance = wins.mean(axis=1).var(ddof=1) / truth.sum()
    return wins.mean(), variance + wins.mean(axis=0).var(ddof=1) / (~truth).sum()


tied_scores = st.lists(
    st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 4)), min_size=4, max_size=60
).filter(lambda rows: 2 <= sum(row[0] for row in rows) <= len(rows) - 2)


@settings(deadline=None, max_examples=150)
@given(tied_scores)
def test_area_and_variance_are_those_of_all_pairs(rows: list[tuple[bool, int, int]]) -> None:
    truth = np.array([row[0] for row in rows])
    scores = [np.array([row[place] for row in rows]) / 10 for place in (1, 2)]
    found = areas(truth, scores)
    for place, score in enumerate(scores):
        expected = by_pairs(truth, score)
        assert (found.auc[place], found.covariance[place, place]) == pytest.approx(expected)
    turned = areas(truth, [1 - score for score in scores])
    assert turned.auc == pytest.approx(1 - found.auc)
    assert turned.covariance == pytest.approx(found.covariance)


@settings(deadline=None, max_examples=50)
@given(tied_scores)
def test_clusters_of_one_image_change_nothing(rows: list[tuple[bool, int, int]]) -> None:
    truth = np.array([row[0] for row in rows])
    score = np.array([row[1] for row in rows]) / 10
    plain = areas(truth, [score])
    above, below = (values[None] for values in placements(truth, score))
    images = np.arange(len(truth))
    general = _clustered(plain.auc, above, below, images[truth], images[~truth])
    assert general == pytest.approx(plain.covariance)
    assert areas(truth, [score], images).covariance == pytest.approx(plain.covariance)


def test_clustered_variance_is_that_of_obuchowskis_formula() -> None:
    chance = np.random.default_rng(4)
    patients = np.repeat(np.arange(60), chance.integers(1, 5, 60))
    truth = chance.random(len(patients)) < 0.4
    score = np.round(chance.normal(truth + chance.normal(0, 1, 60)[patients], 1), 1)
    found = areas(truth, [score], patients)
    gaps = score[truth][:, None] - score[~truth][None, :]
    wins = (gaps > 0) + 0.5 * (gaps == 0)
    area, m, n = wins.mean(), int(truth.sum()), int((~truth).sum())
    first, second = np.zeros(60), np.zeros(60)
    for patient in range(60):
        of_m, of_n = patients[truth] == patient, patients[~truth] == patient
        first[patient] = (wins.mean(axis=1)[of_m] - area).sum()
        second[patient] = (wins.mean(axis=0)[of_n] - area).sum()
    with_m, with_n = len(set(patients[truth])), len(set(patients[~truth]))
    expected = with_m / (with_m - 1) * (first**2).sum() / m**2
    expected += with_n / (with_n - 1) * (second**2).sum() / n**2
    expected += 2 * 60 / 59 * (first * second).sum() / (m * n)
    assert found.clustered
    assert found.covariance[0, 0] == pytest.approx(expected)


def test_an_image_twice_does_not_make_the_interval_narrower() -> None:
    one = problem(3)
    truth, score = one["truth"].to_numpy() == 1, one["first"].to_numpy()
    twice = auc_with_interval(
        np.tile(truth, 2), np.tile(score, 2), np.tile(np.arange(len(truth)), 2)
    )
    once = auc_with_interval(truth, score)
    assert twice.method is Method.CLUSTERED_DELONG
    assert once.low is not None
    assert twice.low == pytest.approx(once.low, abs=1e-3)


def test_what_cannot_be_said_has_a_reason() -> None:
    truth = np.array([True, True, False, False])
    assert auc_with_interval(truth, np.full(4, 0.3)).reason == ALL_TIED
    assert auc_with_interval(truth, np.array([0.9, 0.8, 0.2, 0.1])).reason == NO_ERROR
    assert auc_with_interval(truth[1:3], np.array([0.2, 0.1])).reason == TOO_FEW
    none = auc_with_interval(truth[:2], np.array([0.2, 0.1]))
    assert none.value is None
    assert none.reason.startswith("All images are malignant")
    same = areas(truth, [np.array([0.9, 0.2, 0.4, 0.1]), np.array([0.8, 0.1, 0.3, 0.0])])
    assert contrast(same, np.array([1.0, -1.0])).difference.reason == SAME_CURVES
    with pytest.raises(EvaluationError, match="the same images"):
        areas(truth, [np.array([0.1, 0.2])])
