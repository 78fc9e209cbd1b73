"""Predictions opened to be looked at: curves and sorted scores made once, any threshold at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from backend.evaluation.calibration import reliability
from backend.evaluation.decision import decision_curve
from backend.evaluation.delong import auc_with_interval, missing_class
from backend.evaluation.errors import EvaluationError
from backend.evaluation.estimates import Estimate, is_small
from backend.evaluation.evaluation import Evaluation, RunKey, shared
from backend.evaluation.operating_points import Wanted, find_points
from backend.evaluation.plots import Curve, ForestRow
from backend.evaluation.predictions import Predictions, Series, Split, clusters_of, series_of
from backend.evaluation.roc import precision_recall_curve, roc_curve
from backend.evaluation.subgroups import MAX_GROUPS, NOT_KNOWN, SUBGROUP_FACTS, group_names
from backend.evaluation.thresholds import AtThreshold, SortedScores, at_threshold, sort_scores

MAX_SHOWN = 6
"""Runs whose curves are told apart on one page."""


@dataclass(frozen=True)
class Group:
    """Images of a run that share a fact."""

    fact: str
    value: str
    scores: SortedScores


@dataclass(frozen=True)
class OpenRun:
    """One run with everything that its figures are read from."""

    series: Series
    scores: SortedScores
    curve: Curve
    groups: tuple[Group, ...]
    validation: Series | None

    @property
    def key(self) -> str:
        """How the page names it."""
        return run_key(self.series)


@dataclass(frozen=True)
class Exploration:
    """Runs of one split; `names` are all that could be shown, `problems` what they cannot carry."""

    predictions: Predictions
    names: tuple[str, ...]
    runs: tuple[OpenRun, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class RunAtPoint:
    """A run at its operating point; `chosen_on` is None where the threshold was set by hand."""

    run: OpenRun
    at: AtThreshold
    chosen_on: Split | None


def run_key(series: Series) -> str:
    """A run by its model, its number and its seed where that says more."""
    seed = "" if series.seed is None or str(series.seed) == series.run else f", seed {series.seed}"
    return f"{series.model}, run {series.run}{seed}"


def explore(
    predictions: Predictions,
    split: Split = Split.TEST,
    *,
    shown: Sequence[str] = (),
    shared_only: bool = False,
) -> Exploration:
    """Open the runs of these keys, or the first of each model, MAX_SHOWN at most.

    Raises:
        EvaluationError: no row of the split, no shared image, or a run is unknown.
    """
    series = series_of(predictions, split)
    if not series:
        raise EvaluationError(
            f"The table has no row of the split {split}: choose another, or correct its column "
            "split."
        )
    if shared_only:
        series = shared(series)
    by_key = {run_key(one): one for one in series}
    unknown = next((key for key in shown if key not in by_key), None)
    if unknown is not None:
        raise EvaluationError(f"There is no {unknown} in these predictions: choose runs anew.")
    chosen = [by_key[key] for key in shown] or _firsts(series)
    validation = {} if split is Split.VALIDATION else _validation(predictions)
    runs = tuple(
        _open(predictions, one, place, validation.get(_key(one)))
        for place, one in enumerate(chosen[:MAX_SHOWN])
    )
    return Exploration(predictions, tuple(by_key), runs, tuple(_problems(runs)))


def with_evaluation(exploration: Exploration, found: Evaluation | None) -> Exploration:
    """The same with the intervals and bands that an evaluation has computed."""
    if found is None:
        return exploration
    known = {(run.model, run.run, run.seed): run for model in found.models for run in model.runs}
    runs = []
    for one in exploration.runs:
        figures = known.get(_key(one.series))
        if figures is not None:
            curve = replace(
                one.curve, roc=figures.roc, auc=figures.auc, bins=figures.calibration.bins
            )
            runs.append(replace(one, curve=curve))
        else:
            runs.append(one)
    return replace(exploration, runs=tuple(runs))


def at_point(exploration: Exploration, wanted: Wanted) -> tuple[RunAtPoint, ...]:
    """Each run at its own threshold by a rule, or all at one fixed threshold."""
    found = []
    for run in exploration.runs:
        one, other = run.series, run.validation
        points = find_points(
            (wanted,),
            (one.y_true, one.score),
            None if other is None else (other.y_true, other.score),
        )
        if points:
            at = at_threshold(run.scores, points[0].threshold)
            found.append(RunAtPoint(run, at, points[0].chosen_on))
    return tuple(found)


def groups_at(run: OpenRun, threshold: float) -> list[ForestRow]:
    """Sensitivity and specificity of each group of a run."""
    rows = []
    for group in run.groups:
        at = at_threshold(group.scores, threshold)
        malignant, benign = len(group.scores.malignant), len(group.scores.benign)
        small = is_small(benign, malignant)
        rows.append(
            ForestRow(
                group.fact.replace("_", " "), group.value, malignant + benign, malignant, small,
                at.sensitivity, at.specificity,
            )
        )  # fmt: skip
    return rows


def _firsts(series: Sequence[Series]) -> list[Series]:
    found: dict[str, Series] = {}
    for one in series:
        found.setdefault(one.model, one)
    return list(found.values())


def _key(series: Series) -> RunKey:
    return series.model, series.run, series.seed


def _validation(predictions: Predictions) -> Mapping[RunKey, Series]:
    return {_key(one): one for one in series_of(predictions, Split.VALIDATION)}


def _open(predictions: Predictions, one: Series, place: int, validation: Series | None) -> OpenRun:
    clusters, _ = clusters_of(predictions, one.images)
    name = run_key(one)
    if missing_class(one.y_true):
        area = Estimate(None, reason=missing_class(one.y_true))
        curve = Curve(name, place, auc=area)
    else:
        curve = Curve(
            name,
            place,
            roc_curve(one.y_true, one.score),
            precision_recall_curve(one.y_true, one.score),
            reliability(one.y_true, one.score, clusters),
            decision_curve(one.y_true, one.score),
            auc_with_interval(one.y_true, one.score, clusters),
        )
    return OpenRun(one, sort_scores(one), curve, tuple(_groups(predictions, one)), validation)


def _groups(predictions: Predictions, one: Series) -> list[Group]:
    found = []
    for fact in SUBGROUP_FACTS:
        if fact not in predictions.facts.columns:
            continue
        values = group_names(fact, predictions.facts[fact].to_numpy()[one.images])
        kinds = sorted(set(values) - {NOT_KNOWN})
        if not kinds or len(kinds) > MAX_GROUPS:
            continue
        for kind in [*kinds, *([NOT_KNOWN] if NOT_KNOWN in values else [])]:
            inside = np.flatnonzero(values == kind)
            part = replace(
                one,
                images=one.images[inside],
                y_true=one.y_true[inside],
                score=one.score[inside],
            )
            found.append(Group(fact, str(kind), sort_scores(part)))
    return found


def _problems(runs: Sequence[OpenRun]) -> list[str]:
    said: dict[str, None] = {}
    if len({one.series.images.tobytes() for one in runs}) > 1:
        sizes = "; ".join(f"{one.key}: {len(one.series.images):,}" for one in runs)
        said[
            f"The runs scored different sets of images ({sizes}), so their curves are not to be "
            "compared: choose shared images only."
        ] = None
    for run in runs:
        truth, score = run.series.y_true, run.series.score
        reason = missing_class(truth)
        if reason:
            said[f"{run.key}: {reason}"] = None
        elif score.min() == score.max():
            said[f"{run.key} gives every image the same score: it tells nothing apart."] = None
        elif is_small(int((~truth).sum()), int(truth.sum())):
            said[
                f"{run.key}: {len(truth):,} images, {int(truth.sum()):,} of them malignant, are "
                "too few to judge a model by."
            ] = None
    return list(said)
