"""Combinations of levels: all of them, or a Latin hypercube, each label by itself.

A lesion type settles the label, so that the labels are strata: in each the plan runs over the
levels that are possible there. The hypercube is that of McKay, Beckman and Conover (Technometrics
1979;21:239-245) over level numbers: within a label the counts of two levels of one attribute
differ by at most one.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import cycle, islice, product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from backend.abc.attributes import Diagnosis, Label
from backend.generation.design.design import MAX_ROWS, Design, DesignError, Plan

Combination = dict[str, Any]
Stratum = tuple[Label | None, Mapping[str, tuple[Any, ...]]]


def count_rows(design: Design) -> int:
    """Exactly how many rows the design has, without writing them.

    Raises:
        DesignError: none is possible, or more than `MAX_ROWS`; says how many.
    """
    rows = sum(_sizes(design))
    if not rows:
        raise DesignError(
            "No combination of the chosen levels is possible: the lesion types and the labels "
            "contradict each other."
        )
    if rows > MAX_ROWS:
        raise DesignError(
            f"This design has {rows:,} rows, the most allowed is {MAX_ROWS:,}: choose fewer "
            "levels, or a hypercube with the count that you need."
        )
    return rows


def combine(design: Design) -> list[Combination]:
    """The levels of every row, labels taking turns; the same design gives the same rows.

    Raises:
        DesignError: as `count_rows`.
    """
    total = count_rows(design)
    rng = np.random.default_rng((design.seed, total))
    rows = [
        [_labelled(label, row) for row in _rows(design, levels, size, rng)]
        for (label, levels), size in zip(_strata(design), _sizes(design), strict=True)
    ]
    turns = [row for turn in _turns(rows) for row in turn]
    if design.plan is Plan.FACTORIAL and _draws_label(design):
        labels = [label for label, _ in zip(cycle(Label), range(total), strict=False)]
        rng.shuffle(labels)
        turns = [{**row, "label": Label(label)} for row, label in zip(turns, labels, strict=True)]
    return turns


def _strata(design: Design) -> list[Stratum]:
    """Each label that can occur, with the levels that can occur under it."""
    levels = {name: values for name, values in design.vary.chosen().items() if name != "label"}
    strata: list[Stratum] = []
    for label in _labels(design):
        possible = dict(levels)
        if label is not None and "diagnosis" in levels:
            types = tuple(kind for kind in levels["diagnosis"] if _label_of(kind) is label)
            possible["diagnosis"] = types
        if all(possible.values()):
            strata.append((label, possible))
    return strata


def _labels(design: Design) -> tuple[Label | None, ...]:
    if design.vary.label:
        labels: tuple[Label | None, ...] = design.vary.label
    elif design.fixed.label:
        labels = (design.fixed.label,)
    elif design.vary.diagnosis:
        labels = tuple(dict.fromkeys(_label_of(kind) for kind in design.vary.diagnosis))
    elif _draws_label(design) and design.plan is Plan.HYPERCUBE:
        labels = tuple(Label)
    else:
        return (design.fixed.diagnosis.label if design.fixed.diagnosis else None,)
    settled = design.fixed.diagnosis
    return tuple(label for label in labels if settled is None or settled.label is label)


def _draws_label(design: Design) -> bool:
    """Whether a label is said in every row, and nothing but chance settles which."""
    varied = design.vary.label or design.vary.diagnosis
    settled = design.fixed.label or design.fixed.diagnosis
    return not varied and not settled and bool({"label", "diagnosis"} & set(design.drawn))


def _sizes(design: Design) -> list[int]:
    """Rows of each stratum."""
    strata = _strata(design)
    if design.count is not None:
        share, more = divmod(design.count, max(1, len(strata)))
        return [share + (place < more) for place in range(len(strata))]
    sizes = [prod(len(values) for values in levels.values()) for _, levels in strata]
    if design.balanced:
        sizes = [max(sizes)] * len(sizes) if sizes else []
    return [size * design.repeats for size in sizes]


def _rows(
    design: Design, levels: Mapping[str, tuple[Any, ...]], size: int, rng: np.random.Generator
) -> Iterator[Combination]:
    if design.plan is Plan.FACTORIAL:
        combinations = list(product(*levels.values()))
        chosen: Iterable[tuple[Any, ...]] = islice(cycle(combinations), size)
    else:
        chosen = _hypercube(levels, size, rng)
    for values in chosen:
        yield dict(zip(levels, values, strict=True))


def _hypercube(
    levels: Mapping[str, tuple[Any, ...]], size: int, rng: np.random.Generator
) -> list[tuple[Any, ...]]:
    if not levels or not size:
        return [()] * size
    points: NDArray[np.float64] = qmc.LatinHypercube(d=len(levels), scramble=False, rng=rng).random(
        size
    )
    columns = []
    for values, column in zip(levels.values(), points.T, strict=True):
        order = rng.permutation(len(values))
        places = np.floor(column * len(values)).astype(int)
        columns.append([values[order[place]] for place in places])
    return list(zip(*columns, strict=True))


def _turns(rows: list[list[Combination]]) -> Iterator[list[Combination]]:
    """The first row of each label, the second of each, and so on."""
    for place in range(max(map(len, rows), default=0)):
        yield [column[place] for column in rows if place < len(column)]


def _labelled(label: Label | None, row: Combination) -> Combination:
    return row if label is None else {**row, "label": label}


def _label_of(kind: Diagnosis) -> Label:
    return kind.label
