"""How far the meter and experts agree on asymmetry, colours and, where they drew one, the outline.

Asymmetry by Cohen's kappa with quadratic weights (Psychol Bull 1968;70:213-220), colours by
precision, recall and F1, all as in scikit-learn; intervals are percentiles of a seeded bootstrap
over images. Once for what the meter is sure of, once for all its best guesses.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from backend.abc.adherence import Interval
from backend.abc.attributes import Asymmetry, Colour

RESAMPLES = 500
_AXES = tuple(Asymmetry)
Statistic = Callable[[NDArray[np.int64]], float | None]


@dataclass(frozen=True)
class Comparison:
    """One image: what experts say, what the meter says, and what it is sure of.

    `measured` and `colours` are best guesses, None where no lesion was found; `overlap` is the
    intersection over union with the expert's mask, None where there is none.
    """

    image: str
    expert: Asymmetry | None
    expert_colours: frozenset[Colour] | None
    measured: Asymmetry | None
    colours: frozenset[Colour] | None
    sure: bool
    sure_colours: frozenset[Colour]
    overlap: float | None = None


@dataclass(frozen=True)
class Figure:
    """A statistic with its 95 % interval; None where the images do not allow it."""

    value: float | None
    interval: Interval | None
    count: int


@dataclass(frozen=True)
class ColourFigures:
    """One colour over all images: how often experts and meter name it, and how they agree."""

    precision: float
    recall: float
    f1: float
    named_by_experts: int
    named_by_meter: int
    unsure: float


@dataclass(frozen=True)
class Agreement:
    """`confusion` has the expert's asymmetry in rows, the meter's in columns, best guesses."""

    images: int
    not_found: int
    kappa_sure: Figure
    kappa_all: Figure
    confusion: tuple[tuple[int, ...], ...]
    asymmetry_unsure: float | None
    micro_f1: Figure
    macro_f1: Figure
    micro_f1_sure: Figure
    colours: Mapping[Colour, ColourFigures]
    colours_unsure: float | None
    overlap: Figure
    dice: Figure


def agreement_of(
    comparisons: Sequence[Comparison], *, resamples: int = RESAMPLES, seed: int = 0
) -> Agreement:
    """All figures; every image counts for what experts said of it."""

    def figure(statistic: Statistic, count: int) -> Figure:
        return _figure(statistic, count, resamples, seed)

    judged = [one for one in comparisons if one.expert is not None]
    guessed = [one for one in judged if one.measured is not None]
    sure = [one for one in guessed if one.sure]
    coloured = [one for one in comparisons if one.expert_colours is not None]
    asked = _rows([one.expert_colours or frozenset() for one in coloured])
    told = _rows([one.colours or frozenset() for one in coloured])
    certain = _rows([one.sure_colours for one in coloured])
    overlaps = np.array([one.overlap for one in comparisons if one.overlap is not None])
    return Agreement(
        images=len(comparisons),
        not_found=sum(one.colours is None for one in comparisons),
        kappa_sure=figure(_kappa(sure), len(sure)),
        kappa_all=figure(_kappa(guessed), len(guessed)),
        confusion=_confusion(guessed),
        asymmetry_unsure=1 - len(sure) / len(judged) if judged else None,
        micro_f1=figure(_f1(asked, told, "micro"), len(coloured)),
        macro_f1=figure(_f1(asked, told, "macro"), len(coloured)),
        micro_f1_sure=figure(_f1(asked & certain, told & certain, "micro"), len(coloured)),
        colours=_colour_figures(asked, told, certain),
        colours_unsure=float(1 - certain.mean()) if coloured else None,
        overlap=figure(_mean(overlaps), len(overlaps)),
        dice=figure(_mean(2 * overlaps / (1 + overlaps)), len(overlaps)),
    )


def _figure(statistic: Statistic, count: int, resamples: int, seed: int) -> Figure:
    value = statistic(np.arange(count)) if count else None
    if value is None:
        return Figure(None, None, count)
    rng = np.random.default_rng(seed)
    drawn = [statistic(rng.integers(0, count, count)) for _ in range(resamples)]
    kept = [one for one in drawn if one is not None]
    low, high = np.quantile(kept or [value], (0.025, 0.975))
    return Figure(value, Interval(float(low), float(high)), count)


def _kappa(pairs: Sequence[Comparison]) -> Statistic:
    """The same as scikit-learn's cohen_kappa_score, which takes too long for a bootstrap."""
    expert, meter = (
        np.array([_AXES.index(axis) for one in pairs if (axis := getattr(one, side)) is not None])
        for side in ("expert", "measured")
    )

    weights = (np.arange(len(_AXES))[:, None] - np.arange(len(_AXES))) ** 2

    def statistic(chosen: NDArray[np.int64]) -> float | None:
        pairs = expert[chosen] * len(_AXES) + meter[chosen]
        counts = np.bincount(pairs, minlength=weights.size).reshape(weights.shape)
        by_chance = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
        if not (weights * by_chance).any():
            return None  # one category on both sides: chance alone agrees
        return float(1 - (weights * counts).sum() / (weights * by_chance).sum())

    return statistic


def _confusion(pairs: Sequence[Comparison]) -> tuple[tuple[int, ...], ...]:
    if not pairs:
        return tuple((0,) * len(_AXES) for _ in _AXES)
    expert, meter = [one.expert for one in pairs], [one.measured for one in pairs]
    counts = confusion_matrix(expert, meter, labels=list(_AXES))
    return tuple(tuple(int(cell) for cell in row) for row in counts)


def _rows(sets: Sequence[frozenset[Colour]]) -> NDArray[np.int64]:
    rows = [[int(colour in named) for colour in Colour] for named in sets]
    return np.array(rows, dtype=np.int64).reshape(-1, len(Colour))


def _f1(asked: NDArray[np.int64], told: NDArray[np.int64], average: str) -> Statistic:
    """F1 over all colours together, or its mean over the colours that experts name.

    The same as scikit-learn's f1_score, which takes too long for a bootstrap.
    """

    def statistic(chosen: NDArray[np.int64]) -> float | None:
        first, second = asked[chosen], told[chosen]
        hits = 2 * (first & second).sum(axis=0)
        named = first.sum(axis=0)
        both = named + second.sum(axis=0)
        if not named.any():
            return None
        if average == "micro":
            return float(hits.sum() / both.sum())
        return float((hits[named > 0] / both[named > 0]).mean())

    return statistic


def _colour_figures(
    asked: NDArray[np.int64], told: NDArray[np.int64], certain: NDArray[np.int64]
) -> dict[Colour, ColourFigures]:
    if not len(asked):
        return {}
    precision, recall, f1, support = precision_recall_fscore_support(
        asked, told, average=None, zero_division=0.0
    )
    return {
        colour: ColourFigures(
            precision=float(precision[place]),
            recall=float(recall[place]),
            f1=float(f1[place]),
            named_by_experts=int(support[place]),
            named_by_meter=int(told[:, place].sum()),
            unsure=float(1 - certain[:, place].mean()),
        )
        for place, colour in enumerate(Colour)
    }


def _mean(values: NDArray[np.float64]) -> Statistic:
    return lambda chosen: fmean(values[chosen])
