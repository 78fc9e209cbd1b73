"""Figures by skin tone, modality, dataset, site, age and sex; small groups are marked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backend.evaluation.delong import auc_with_interval
from backend.evaluation.estimates import CONFIDENCE, Estimate, is_small, mean_interval
from backend.evaluation.metrics import share_of
from backend.evaluation.operating_points import OperatingPoint
from backend.evaluation.predictions import Series

Codes = NDArray[np.int64]

SUBGROUP_FACTS = ("skin_tone", "modality", "dataset", "site", "age", "sex")
NOT_KNOWN = "not known"
AGE_EDGES = (30, 50, 70)
MAX_GROUPS = 40
"""Values of one fact; a column with more is no grouping."""


@dataclass(frozen=True)
class Subgroup:
    """Images that share a fact; `small` ones are greyed, their figures may mislead."""

    fact: str
    value: str
    images: int
    malignant: int
    small: bool
    auc: Estimate
    sensitivity: Estimate
    specificity: Estimate


def subgroups(
    series: Series,
    point: OperatingPoint,
    facts: pd.DataFrame,
    clusters: Codes,
    *,
    names: Sequence[str] = SUBGROUP_FACTS,
    confidence: float = CONFIDENCE,
) -> tuple[Subgroup, ...]:
    """One run by each fact that is known; `facts` as in `Predictions`.

    The threshold is that of the whole: a group does not get its own.
    """
    found = []
    for name in names:
        if name not in facts.columns:
            continue
        values = group_names(name, facts[name].to_numpy()[series.images])
        kinds = sorted(set(values) - {NOT_KNOWN})
        if not kinds or len(kinds) > MAX_GROUPS:
            continue
        if NOT_KNOWN in values:
            kinds.append(NOT_KNOWN)
        for kind in kinds:
            inside = values == kind
            found.append(_subgroup(name, kind, series, point, clusters, inside, confidence))
    return tuple(found)


def mean_subgroups(runs: Sequence[Sequence[Subgroup]]) -> tuple[Subgroup, ...]:
    """The groups of runs that scored the same images, each with its figures averaged over runs.

    Runs without an operating point have no groups and are left out.
    """
    grouped = [groups for groups in runs if groups]
    return tuple(_mean(same) for same in zip(*grouped, strict=True))


def _mean(runs: Sequence[Subgroup]) -> Subgroup:
    """One group in several runs."""
    return replace(
        runs[0],
        auc=mean_interval([one.auc for one in runs]),
        sensitivity=mean_interval([one.sensitivity for one in runs]),
        specificity=mean_interval([one.specificity for one in runs]),
    )


def group_names(fact: str, values: NDArray[np.object_]) -> NDArray[np.object_]:
    """The group of each image: ages in four spans, anything else by its own word."""
    codes, kinds = pd.factorize(values)
    words = [_age_span(str(kind)) if fact == "age" else str(kind) for kind in kinds]
    return np.array([word or NOT_KNOWN for word in words], dtype=object)[codes]


def _age_span(text: str) -> str:
    years = pd.to_numeric(text.strip().rstrip("+"), errors="coerce")
    if not np.isfinite(years) or years < 0:
        return ""
    place = int(np.searchsorted(AGE_EDGES, years, "right"))
    if place == 0:
        return f"0 to {AGE_EDGES[0] - 1}"
    if place == len(AGE_EDGES):
        return f"{AGE_EDGES[-1]} and over"
    return f"{AGE_EDGES[place - 1]} to {AGE_EDGES[place] - 1}"


def _subgroup(
    fact: str,
    value: str,
    series: Series,
    point: OperatingPoint,
    clusters: Codes,
    inside: NDArray[np.bool_],
    confidence: float,
) -> Subgroup:
    truth, score, members = series.y_true[inside], series.score[inside], clusters[inside]
    malignant = int(truth.sum())
    rates = [
        share_of(rate, truth, score, point.threshold, members, confidence)
        for rate in ("sensitivity", "specificity")
    ]
    return Subgroup(
        fact=fact,
        value=value,
        images=len(truth),
        malignant=malignant,
        small=is_small(len(truth) - malignant, malignant),
        auc=auc_with_interval(truth, score, members, confidence),
        sensitivity=rates[0],
        specificity=rates[1],
    )
