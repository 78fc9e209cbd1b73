"""How well measured attributes answer requested ones, and how near that comes to the ceiling.

Colours by micro-averaged F1, asymmetry, border and edge by balanced accuracy, skin tone by the
share within one Fitzpatrick type, all as in scikit-learn's metrics. The ceiling is the same score
of the meter on phantoms, whose attributes are known exactly. Intervals are percentiles of a seeded
bootstrap (Efron, Ann Stat 1979;7:1-26).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from backend.abc.attributes import Asymmetry, Border, Colour, Edge, LesionAttributes, SkinTone

Pair = tuple[LesionAttributes, LesionAttributes]
Score = Callable[[NDArray[np.int64], NDArray[np.int64]], float]


@dataclass(frozen=True)
class AttributeScore:
    """A score in 0..1 beside the best that the meter itself could see."""

    score: float
    ceiling: float

    @property
    def ratio(self) -> float:
        """Score over ceiling; zero where the ceiling is zero."""
        return self.score / self.ceiling if self.ceiling > 0 else 0.0


@dataclass(frozen=True)
class Interval:
    """The bounds of a percentile bootstrap interval."""

    low: float
    high: float


def score_attributes(pairs: Sequence[Pair]) -> dict[str, float]:
    """Scores in 0..1 by attribute for pairs of (requested, measured).

    A lesion that was not found is wrong in every attribute. A pair whose request leaves an
    attribute open does not count for it; an attribute nobody requested is left out.
    """
    return _scores(_answers(pairs), np.arange(len(pairs)))


def compare_scores(
    scores: Mapping[str, float], ceilings: Mapping[str, float]
) -> dict[str, AttributeScore]:
    """Each score beside its ceiling, for the attributes that both have."""
    return {
        name: AttributeScore(score, ceilings[name])
        for name, score in scores.items()
        if name in ceilings
    }


def bootstrap_intervals(
    pairs: Sequence[Pair], *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> dict[str, Interval]:
    """Percentile intervals of `score_attributes`, pairs drawn with replacement."""
    rng = np.random.default_rng(seed)
    answers = _answers(pairs)
    drawn: dict[str, list[float]] = {}
    for _ in range(resamples if pairs else 0):
        chosen = rng.integers(0, len(pairs), len(pairs))
        for name, score in _scores(answers, chosen).items():
            drawn.setdefault(name, []).append(score)
    return {name: _percentiles(values, level) for name, values in drawn.items()}


def bootstrap_gains(
    before: Sequence[Pair],
    after: Sequence[Pair],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """Percentile intervals of what `score_attributes` gains from `before` to `after`.

    Pair `i` of both answers the same request: they are drawn together, with replacement.
    """
    if len(before) != len(after):
        raise ValueError("before and after must answer the same requests")
    rng = np.random.default_rng(seed)
    answers = _answers(before), _answers(after)
    drawn: dict[str, list[float]] = {}
    for _ in range(resamples if before else 0):
        chosen = rng.integers(0, len(before), len(before))
        old, new = (_scores(answer, chosen) for answer in answers)
        for name in old.keys() & new.keys():
            drawn.setdefault(name, []).append(new[name] - old[name])
    return {name: _percentiles(values, level) for name, values in drawn.items()}


def mean_interval(
    values: Sequence[float], *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> Interval:
    """The percentile interval of a mean, values drawn with replacement; there is at least one."""
    rng = np.random.default_rng(seed)
    numbers = np.asarray(values)
    chosen = (rng.integers(0, len(numbers), len(numbers)) for _ in range(resamples))
    return _percentiles([float(numbers[drawn].mean()) for drawn in chosen], level)


def _percentiles(values: Sequence[float], level: float) -> Interval:
    tail = (1 - level) / 2
    low, high = np.quantile(values, (tail, 1 - tail))
    return Interval(float(low), float(high))


@dataclass(frozen=True)
class _Answers:
    """One attribute over all pairs: rows of `asked` are wanted in place of `told`."""

    counted: NDArray[np.bool_]
    asked: NDArray[np.int64]
    told: NDArray[np.int64]
    score: Score


def _scores(answers: Mapping[str, _Answers], chosen: NDArray[np.int64]) -> dict[str, float]:
    scores = {}
    for name, answer in answers.items():
        rows = chosen[answer.counted[chosen]]
        if rows.size:
            scores[name] = answer.score(answer.asked[rows], answer.told[rows])
    return scores


def _answers(pairs: Sequence[Pair]) -> dict[str, _Answers]:
    asked = np.array([_colour_row(requested) for requested, _ in pairs]).reshape(-1, len(Colour))
    told = np.array([_colour_row(measured) for _, measured in pairs]).reshape(-1, len(Colour))
    return {
        "colours": _Answers(asked.sum(axis=1) > 0, asked, told, _micro_f1),
        "border": _chosen(pairs, "border", Border, _balanced_accuracy),
        "asymmetry": _chosen(pairs, "asymmetry", Asymmetry, _balanced_accuracy),
        "skin_tone": _chosen(pairs, "skin_tone", SkinTone, _within_one),
        "edge": _chosen(pairs, "edge", Edge, _balanced_accuracy),
    }


def _chosen(pairs: Sequence[Pair], field: str, kind: type[Enum], score: Score) -> _Answers:
    """Categories by their place in `kind`; what is not said is -1."""
    places = {None: -1} | {category: place for place, category in enumerate(kind)}
    asked = np.array([places[getattr(requested, field)] for requested, _ in pairs], dtype=np.int64)
    told = np.array([places[getattr(measured, field)] for _, measured in pairs], dtype=np.int64)
    return _Answers(asked >= 0, asked, told, score)


def _colour_row(attributes: LesionAttributes) -> list[int]:
    return [int(colour in attributes.colours) for colour in Colour]


def _micro_f1(asked: NDArray[np.int64], told: NDArray[np.int64]) -> float:
    """2 TP / (2 TP + FP + FN) over all colours of all lesions."""
    return float(2 * (asked & told).sum() / (asked.sum() + told.sum()))


def _balanced_accuracy(asked: NDArray[np.int64], told: NDArray[np.int64]) -> float:
    """Mean recall over the categories that were asked for."""
    return float(np.mean([(told[asked == c] == c).mean() for c in np.unique(asked)]))


def _within_one(asked: NDArray[np.int64], told: NDArray[np.int64]) -> float:
    return float(((told >= 0) & (np.abs(asked - told) <= 1)).mean())
