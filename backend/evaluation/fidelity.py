"""How like a set of real images a generated one is, in the features of one named network.

Frechet distance (Heusel et al. 2017), kernel distance (Binkowski et al. 2018), precision and recall
(Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020), Vendi score (Friedman & Dieng
2023), classifier two-sample test (Lopez-Paz & Oquab 2017). All but the kernel distance depend on
how many images there are: compare sets of equal size.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from backend.evaluation.errors import EvaluationError
from backend.evaluation.features import Features

NEIGHBOURS = 5
SUBSETS = 100
SUBSET_SIZE = 1_000
FOLDS = 5
FEWEST = 2 * NEIGHBOURS
ROWS = 512


@dataclass(frozen=True)
class Fidelity:
    """What two sets of features say; `kernel_low` to `kernel_high` hold 95 % of the subsets.

    `told_apart` is the share of images that a linear classifier puts into the right set when it
    has not seen them, one half where it cannot; `p_value` is against one half. `diversity` is the
    Vendi score: how many wholly different images would be as diverse.
    """

    network: str
    generated: int
    real: int
    frechet: float
    kernel: float
    kernel_low: float
    kernel_high: float
    precision: float
    recall: float
    density: float
    coverage: float
    diversity: float
    diversity_real: float
    told_apart: float
    p_value: float


@dataclass(frozen=True)
class Neighbourhood:
    """Precision, recall, density and coverage; the first three and last are shares, 0 to 1, but
    for density, which may be above 1."""

    precision: float
    recall: float
    density: float
    coverage: float


def compare_sets(generated: Features, real: Features, *, network: str, seed: int = 0) -> Fidelity:
    """Everything that is measured between two sets (N, D) and (M, D).

    Raises:
        EvaluationError: a set is too small, or the features are of different networks.
    """
    for name, features in (("generated", generated), ("real", real)):
        if len(features) < FEWEST:
            raise EvaluationError(
                f"The {name} set has {len(features)} images, and its quality needs at least "
                f"{FEWEST}: add images."
            )
    if generated.shape[1] != real.shape[1]:
        raise EvaluationError("The features are of different networks: use one for both sets.")
    kernel, low, high = kernel_distance(generated, real, seed=seed)
    near = neighbourhood(generated, real)
    told_apart, p_value = two_sample_test(generated, real, seed=seed)
    return Fidelity(
        network=network,
        generated=len(generated),
        real=len(real),
        frechet=frechet_distance(generated, real),
        kernel=kernel,
        kernel_low=low,
        kernel_high=high,
        precision=near.precision,
        recall=near.recall,
        density=near.density,
        coverage=near.coverage,
        diversity=vendi_score(generated),
        diversity_real=vendi_score(real),
        told_apart=told_apart,
        p_value=p_value,
    )


def frechet_distance(first: Features, second: Features) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), of features (N, D) and (M, D).

    The trace of the root is that of the symmetric C1^(1/2) C2 C1^(1/2), which stays real where
    there are fewer images than features.
    """
    one, two = first.astype(np.float64), second.astype(np.float64)
    gap = one.mean(axis=0) - two.mean(axis=0)
    c1, c2 = np.cov(one, rowvar=False), np.cov(two, rowvar=False)
    values, vectors = np.linalg.eigh(c1)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    shared = np.sqrt(np.linalg.eigvalsh(root @ c2 @ root).clip(0)).sum()
    return float(max(0.0, gap @ gap + np.trace(c1) + np.trace(c2) - 2 * shared))


def kernel_distance(
    first: Features, second: Features, *, subsets: int = SUBSETS, seed: int = 0
) -> tuple[float, float, float]:
    """Unbiased squared MMD with the kernel (x.y / D + 1)^3, and where 95 % of its subsets lie.

    Subsets hold half of the smaller set, at most SUBSET_SIZE. It may be a little below 0.
    """
    size = min(SUBSET_SIZE, len(first) // 2, len(second) // 2)
    rng = np.random.default_rng(seed)
    draws = [
        _mmd(
            first[rng.choice(len(first), size, replace=False)],
            second[rng.choice(len(second), size, replace=False)],
        )
        for _ in range(subsets)
    ]
    whole = _mmd(first, second)
    low, high = np.percentile(draws, [2.5, 97.5])
    return whole, float(low), float(high)


def neighbourhood(generated: Features, real: Features, *, k: int = NEIGHBOURS) -> Neighbourhood:
    """Who lies within the distance of whose k-th neighbour; see the papers above."""
    real_radius = _kth_distance(real, k)
    generated_radius = _kth_distance(generated, k)
    covered = np.zeros(len(real), dtype=bool)
    reached = np.zeros(len(real), dtype=bool)
    within = np.zeros(len(generated), dtype=np.int64)
    for first in range(0, len(generated), ROWS):
        rows = slice(first, first + ROWS)
        distances = cdist(generated[rows], real)
        inside = distances < real_radius
        within[rows] = inside.sum(axis=1)
        covered |= inside.any(axis=0)
        reached |= (distances < generated_radius[rows, None]).any(axis=0)
    return Neighbourhood(
        precision=float((within > 0).mean()),
        recall=float(reached.mean()),
        density=float(within.mean() / k),
        coverage=float(covered.mean()),
    )


def vendi_score(features: Features) -> float:
    """exp of the entropy of the eigenvalues of the cosine likenesses over N; 1 to N."""
    unit = features.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True).clip(1e-12)
    gram = unit @ unit.T if len(unit) <= unit.shape[1] else unit.T @ unit
    values = np.linalg.eigvalsh(gram / len(unit)).clip(0)
    values = values[values > 0]
    return float(np.exp(-(values * np.log(values)).sum()))


def two_sample_test(first: Features, second: Features, *, seed: int = 0) -> tuple[float, float]:
    """How often a linear classifier tells the sets apart on images it has not seen, and p.

    The larger set is thinned to the size of the smaller, so that one half is chance.
    """
    rng = np.random.default_rng(seed)
    size = min(len(first), len(second))
    drawn = [features[rng.permutation(len(features))[:size]] for features in (first, second)]
    truth = np.repeat([0, 1], size)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    told = cross_val_predict(model, np.concatenate(drawn), truth, cv=folds)
    right = int((told == truth).sum())
    return right / len(truth), float(binomtest(right, len(truth), alternative="greater").pvalue)


def _mmd(first: Features, second: Features) -> float:
    """Unbiased, each pair of different images once; kernels are summed by rows, never held."""
    within = sum(
        (_cubic_sum(one, one) - _cubic_own(one).sum()) / (len(one) * (len(one) - 1))
        for one in (first, second)
    )
    return float(within - 2 * _cubic_sum(first, second) / (len(first) * len(second)))


def _cubic_sum(first: Features, second: Features) -> float:
    other = second.astype(np.float64).T
    return sum(
        float(((first[start : start + ROWS] @ other / len(other) + 1) ** 3).sum())
        for start in range(0, len(first), ROWS)
    )


def _cubic_own(features: Features) -> NDArray[np.float64]:
    """The kernel of each with itself (N,)."""
    squares = np.square(features, dtype=np.float64).mean(axis=1)
    kernel: NDArray[np.float64] = (squares + 1) ** 3
    return kernel


def _kth_distance(features: Features, k: int) -> NDArray[np.float64]:
    """The distance of each to its k-th neighbour, itself left out."""
    found = np.empty(len(features))
    for first in range(0, len(features), ROWS):
        rows = slice(first, first + ROWS)
        found[rows] = np.partition(cdist(features[rows], features), k, axis=1)[:, k]
    return found
