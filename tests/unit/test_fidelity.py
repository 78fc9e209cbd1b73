"""Distances between sets of images equal plain references, and say what they should."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from backend.evaluation.errors import EvaluationError
from backend.evaluation.fidelity import (
    compare_sets,
    frechet_distance,
    kernel_distance,
    neighbourhood,
    two_sample_test,
    vendi_score,
)


def drawn(seed: int, count: int = 60, width: int = 12, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, width)) * np.linspace(0.5, 2, width) + shift).astype(np.float32)


def test_the_frechet_distance_is_that_of_scipys_matrix_root() -> None:
    one, two = drawn(0).astype(np.float64), drawn(1, shift=0.3).astype(np.float64)
    c1, c2 = np.cov(one.T), np.cov(two.T)
    gap = one.mean(0) - two.mean(0)
    wanted = gap @ gap + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real)
    assert frechet_distance(one, two) == pytest.approx(wanted, rel=1e-9)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-9)


def test_it_is_finite_with_fewer_images_than_features() -> None:
    assert 0 < frechet_distance(drawn(0, 20, 50), drawn(1, 20, 50)) < np.inf


def test_the_kernel_distance_is_the_mean_over_pairs() -> None:
    one, two = drawn(0, 14, 5).astype(np.float64), drawn(1, 11, 5, 0.5).astype(np.float64)

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return float((x @ y / 5 + 1) ** 3)

    within = [
        np.mean([kernel(x, y) for i, x in enumerate(s) for j, y in enumerate(s) if i != j])
        for s in (one, two)
    ]
    between = np.mean([kernel(x, y) for x in one for y in two])
    value, low, high = kernel_distance(one, two)
    assert value == pytest.approx(sum(within) - 2 * between, rel=1e-6)
    assert low < high


def test_precision_recall_density_and_coverage_count_as_in_the_papers() -> None:
    made, real, k = drawn(0, 30, 4, 0.4), drawn(1, 25, 4), 3

    def radius(s: np.ndarray) -> list[float]:
        return [sorted(float(np.linalg.norm(x - y)) for y in s)[k] for x in s]

    real_radius, made_radius = radius(real), radius(made)
    inside = np.array(
        [[np.linalg.norm(x - y) < r for y, r in zip(real, real_radius, strict=True)] for x in made]
    )
    back = np.array(
        [[np.linalg.norm(x - y) < r for y in real] for x, r in zip(made, made_radius, strict=True)]
    )
    found = neighbourhood(made, real, k=k)
    assert found.precision == pytest.approx(inside.any(1).mean())
    assert found.recall == pytest.approx(back.any(0).mean())
    assert found.density == pytest.approx(inside.sum() / (k * len(made)))
    assert found.coverage == pytest.approx(inside.any(0).mean())


def test_the_vendi_score_counts_what_is_wholly_different() -> None:
    assert vendi_score(np.eye(7, dtype=np.float32)) == pytest.approx(7)
    assert vendi_score(np.ones((9, 4), dtype=np.float32)) == pytest.approx(1)
    repeated = np.repeat(np.eye(3, dtype=np.float32), 5, axis=0)
    assert vendi_score(repeated) == pytest.approx(3)


def test_sets_of_one_source_are_not_told_apart_and_others_are() -> None:
    alike, p_alike = two_sample_test(drawn(0, 120), drawn(1, 120))
    apart, p_apart = two_sample_test(drawn(0, 120), drawn(1, 120, shift=1.5))
    assert alike < 0.62
    assert p_alike > 0.001
    assert apart > 0.9
    assert p_apart < 1e-6


def test_sets_that_cannot_carry_a_figure_get_a_sentence() -> None:
    with pytest.raises(EvaluationError, match="real set has 3 images"):
        compare_sets(drawn(0), drawn(1, 3), network="none")
    with pytest.raises(EvaluationError, match="different networks"):
        compare_sets(drawn(0), drawn(1, width=9), network="none")


def test_the_nearer_set_has_the_smaller_distance() -> None:
    real = drawn(0, 100)
    near = compare_sets(drawn(1, 100, shift=0.1), real, network="none")
    far = compare_sets(drawn(1, 100, shift=1.0), real, network="none")
    assert near.frechet < far.frechet
    assert near.kernel < far.kernel
    assert near.coverage > far.coverage
