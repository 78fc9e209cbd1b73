"""Everything that a prediction table says of its models: one function for page, command, report."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.bootstrap import REPLICATES, affordable
from backend.evaluation.calibration import Calibration, expected_error, reliability
from backend.evaluation.comparisons import Compared, Comparison, compare, draw_runs, run_means
from backend.evaluation.decision import DecisionCurve, decision_curve
from backend.evaluation.delong import Areas, areas, auc_estimate, missing_class
from backend.evaluation.errors import EvaluationError
from backend.evaluation.estimates import (
    CONFIDENCE,
    Estimate,
    Method,
    is_small,
    over_runs,
    percentile,
)
from backend.evaluation.metrics import (
    RATES,
    Confusion,
    Rates,
    average_precision,
    brier,
    confusion_of,
    rates_of,
    share_of,
)
from backend.evaluation.operating_points import (
    WANTED,
    OperatingPoint,
    Rule,
    Wanted,
    find_points,
)
from backend.evaluation.predictions import (
    IMAGE,
    Predictions,
    Series,
    Split,
    clusters_of,
    series_of,
)
from backend.evaluation.replicates import Replicates, replicate
from backend.evaluation.roc import (
    PrecisionRecallCurve,
    RocCurve,
    band_of,
    precision_recall_curve,
    roc_curve,
)
from backend.evaluation.subgroups import SUBGROUP_FACTS, Subgroup, mean_subgroups, subgroups

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]
RunKey = tuple[str, str, int | None]
"""Model, run and seed."""


@dataclass(frozen=True)
class Options:
    """How figures are made; stored with them."""

    split: Split = Split.TEST
    wanted: tuple[Wanted, ...] = WANTED
    facts: tuple[str, ...] = SUBGROUP_FACTS
    replicates: int = REPLICATES
    seed: int = 0
    confidence: float = CONFIDENCE
    shared_only: bool = False
    """Only images that every run has scored, so that all can be compared."""


@dataclass(frozen=True)
class PointFigures:
    """What one threshold makes of the images."""

    point: OperatingPoint
    confusion: Confusion
    rates: Rates


@dataclass(frozen=True)
class RunFigures:
    """One run of one model; curves are None where one class only is there."""

    model: str
    run: str
    seed: int | None
    images: int
    malignant: int
    small: bool
    auc: Estimate
    auc_bootstrap: Estimate
    average_precision: Estimate
    brier: Estimate
    points: tuple[PointFigures, ...]
    roc: RocCurve | None
    precision_recall: PrecisionRecallCurve | None
    calibration: Calibration
    decision: DecisionCurve | None
    subgroups: tuple[Subgroup, ...]


@dataclass(frozen=True)
class MeanFigure:
    """A figure averaged over runs; `point` names its operating point, empty where it has none."""

    figure: str
    point: str
    estimate: Estimate


@dataclass(frozen=True)
class ModelFigures:
    """A model's runs, the means over those that scored all its images, and both kinds of chance.

    `auc` is the mean AUC: of one run with DeLong's interval, of more with images and runs drawn.
    `subgroups` are averaged over the same runs as `means`.
    """

    model: str
    runs: tuple[RunFigures, ...]
    auc: Estimate
    means: tuple[MeanFigure, ...]
    subgroups: tuple[Subgroup, ...]


@dataclass(frozen=True)
class Evaluation:
    """All figures of a table; `notes` are sentences about what could not be done and why."""

    options: Options
    replicates: int
    clustered_by: str
    models: tuple[ModelFigures, ...]
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Scored:
    """A run with its figures and their replicates, on the way to its model."""

    series: Series
    figures: RunFigures
    replicates: Replicates


def evaluate(predictions: Predictions, options: Options | None = None) -> Evaluation:
    """Figures, intervals, comparisons and subgroups of every model on one split.

    Raises:
        EvaluationError: no row of that split, or no image that all have scored.
    """
    options = options or Options()
    series = series_of(predictions, options.split)
    if not series:
        raise EvaluationError(
            f"The table has no row of the split {options.split}: choose another, or correct its "
            "column split."
        )
    if options.shared_only:
        series = shared(series)
    validation = {} if options.split is Split.VALIDATION else _by_run(predictions)
    largest = max(len(one.images) for one in series)
    count = affordable(options.replicates, largest, len(series))
    scored: list[_Scored] = []
    comparisons: list[Comparison] = []
    kinds: set[str] = set()
    whole = _whole(series)
    for group in _groups(series):
        clusters, kind = clusters_of(predictions, group[0].images)
        kinds.add(kind)
        found = areas_of(group, clusters)
        runs = _score(group, validation, found, predictions, clusters, count, options)
        scored += runs
        compared = _compared(runs, whole)
        if found is not None and len(compared) > 1:
            comparisons += compare(
                compared,
                found,
                np.stack([one.replicates.auc for one in runs], axis=1),
                clustered=kind != IMAGE,
                seed=options.seed,
                confidence=options.confidence,
            )
    models = tuple(
        _model(name, [one for one in scored if one.series.model == name], whole, options)
        for name in dict.fromkeys(one.model for one in series)
    )
    clustered_by = next(iter(kinds)) if len(kinds) == 1 else "mixed"
    notes = _notes(series, whole, validation, options, count, clustered_by)
    return Evaluation(options, count, clustered_by, models, tuple(comparisons), notes)


def areas_of(group: Sequence[Series], clusters: Codes) -> Areas | None:
    """Areas of runs that scored the same images; None where one class only is there."""
    if missing_class(group[0].y_true):
        return None
    return areas(group[0].y_true, [one.score for one in group], clusters)


def _by_run(predictions: Predictions) -> dict[RunKey, Series]:
    """The validation images of each run."""
    return {_key(one): one for one in series_of(predictions, Split.VALIDATION)}


def _key(series: Series) -> RunKey:
    return series.model, series.run, series.seed


def shared(series: Sequence[Series]) -> tuple[Series, ...]:
    """The same runs on the images that all of them have scored."""
    common = series[0].images
    for one in series[1:]:
        common = np.intersect1d(common, one.images, assume_unique=True)
    if not len(common):
        raise EvaluationError(
            "No image was scored by every run: the models cannot be compared on shared images."
        )
    cut = []
    for one in series:
        kept = np.isin(one.images, common, assume_unique=True)
        cut.append(
            replace(one, images=one.images[kept], y_true=one.y_true[kept], score=one.score[kept])
        )
    return tuple(cut)


def _groups(series: Sequence[Series]) -> list[list[Series]]:
    """Runs that scored the same images, together."""
    groups: dict[bytes, list[Series]] = {}
    for one in series:
        groups.setdefault(one.images.tobytes(), []).append(one)
    return list(groups.values())


def _whole(series: Sequence[Series]) -> set[RunKey]:
    """The runs of each model that scored all the images that most of its runs, or larger, have."""
    kept: set[RunKey] = set()
    for name in dict.fromkeys(one.model for one in series):
        groups = _groups([one for one in series if one.model == name])
        best = max(groups, key=lambda group: (len(group[0].images), len(group)))
        kept.update(_key(one) for one in best)
    return kept


def _score(
    group: Sequence[Series],
    validation: dict[RunKey, Series],
    found: Areas | None,
    predictions: Predictions,
    clusters: Codes,
    count: int,
    options: Options,
) -> list[_Scored]:
    """The figures of runs of the same images."""
    points = []
    for one in group:
        other = validation.get(_key(one))
        chosen_on = None if other is None else (other.y_true, other.score)
        points.append(find_points(options.wanted, (one.y_true, one.score), chosen_on))
    drawn = replicate(group, points, clusters, replicates=count, seed=options.seed)
    scored = []
    for place, one in enumerate(group):
        area = (
            Estimate(None, reason=missing_class(one.y_true))
            if found is None
            else auc_estimate(found, place, options.confidence)
        )
        figures = _figures(one, points[place], area, drawn[place], predictions, clusters, options)
        scored.append(_Scored(one, figures, drawn[place]))
    return scored


def _figures(
    one: Series,
    points: tuple[OperatingPoint, ...],
    area: Estimate,
    drawn: Replicates,
    predictions: Predictions,
    clusters: Codes,
    options: Options,
) -> RunFigures:
    truth, score, confidence = one.y_true, one.score, options.confidence
    clustered = len(np.unique(clusters)) < len(clusters)
    method = Method.CLUSTERED_BOOTSTRAP if clustered else Method.BOOTSTRAP
    malignant = int(truth.sum())
    both = 0 < malignant < len(truth)
    precision = average_precision(truth, score) if both else None
    error = expected_error(truth, score)
    return RunFigures(
        model=one.model,
        run=one.run,
        seed=one.seed,
        images=len(truth),
        malignant=malignant,
        small=is_small(len(truth) - malignant, malignant),
        auc=area,
        auc_bootstrap=_with_reason(percentile(area.value, drawn.auc, method, confidence), area),
        average_precision=_with_reason(
            percentile(precision, drawn.average_precision, method, confidence), area
        ),
        brier=percentile(brier(truth, score), drawn.brier, method, confidence),
        points=tuple(
            PointFigures(
                point,
                confusion_of(truth, score, point.threshold),
                _rates(one, point, drawn.rates[:, place], clusters, method, confidence),
            )
            for place, point in enumerate(points)
        ),
        roc=roc_curve(truth, score, band_of(drawn.sensitivity, confidence)) if both else None,
        precision_recall=precision_recall_curve(truth, score) if both else None,
        calibration=Calibration(
            reliability(truth, score, clusters, confidence=confidence),
            percentile(error, drawn.expected_error, method, confidence),
        ),
        decision=decision_curve(truth, score) if both else None,
        subgroups=subgroups(
            one,
            points[0],
            predictions.facts,
            clusters,
            names=options.facts,
            confidence=confidence,
        )
        if points
        else (),
    )


def _with_reason(estimate: Estimate, area: Estimate) -> Estimate:
    """The reason why there is no area is the one why there is no figure of the kind."""
    return replace(estimate, reason=area.reason) if estimate.value is None else estimate


def _rates(
    one: Series,
    point: OperatingPoint,
    drawn: Floats,
    clusters: Codes,
    method: Method,
    confidence: float,
) -> Rates:
    """RATES with bootstrap intervals; Wilson's where a share is 0 or 1 and no replicate differs."""
    cells = confusion_of(one.y_true, one.score, point.threshold)
    counts = (
        cells.true_positives,
        cells.false_positives,
        cells.true_negatives,
        cells.false_negatives,
    )
    values = rates_of(np.array(counts, dtype=np.float64))
    found: dict[str, Estimate] = {}
    for place, name in enumerate(RATES):
        value = float(values[place])
        if name != "balanced_accuracy" and value in (0.0, 1.0):
            found[name] = share_of(
                name, one.y_true, one.score, point.threshold, clusters, confidence
            )
        else:
            known = value if math.isfinite(value) else None
            found[name] = percentile(known, drawn[:, place], method, confidence)
    return Rates(**found)


def _compared(runs: Sequence[_Scored], whole: set[RunKey]) -> list[Compared]:
    """The models among runs of the same images, as `compare` takes them."""
    models: dict[str, list[int]] = {}
    for place, one in enumerate(runs):
        if _key(one.series) in whole:
            models.setdefault(one.series.model, []).append(place)
    found = []
    for name, places in models.items():
        series = runs[places[0]].series
        points = runs[places[0]].figures.points
        right = None
        if len(places) == 1 and points:
            right = (series.score >= points[0].point.threshold) == series.y_true
        seeds = tuple(runs[place].series.seed for place in places)
        found.append(Compared(name, tuple(places), seeds, right))
    return found


def _model(
    name: str, runs: Sequence[_Scored], whole: set[RunKey], options: Options
) -> ModelFigures:
    kept = [one for one in runs if _key(one.series) in whole]
    figures = [one.figures for one in kept]
    means = [
        MeanFigure(figure, "", _mean([getattr(one, figure) for one in figures], options))
        for figure in ("auc", "average_precision", "brier")
    ]
    errors = [one.calibration.expected_error for one in figures]
    means.append(MeanFigure("expected_error", "", _mean(errors, options)))
    for wanted in options.wanted:
        points = [_point(one, wanted) for one in figures]
        rates = [point.rates for point in points if point is not None]
        if len(rates) == len(figures):
            means += [
                MeanFigure(rate, wanted.words, _mean([getattr(r, rate) for r in rates], options))
                for rate in RATES
            ]
    return ModelFigures(
        name,
        tuple(one.figures for one in runs),
        _images_and_runs(kept, options),
        tuple(means),
        mean_subgroups([one.subgroups for one in figures]),
    )


def _point(figures: RunFigures, wanted: Wanted) -> PointFigures | None:
    for one in figures.points:
        if (one.point.rule, one.point.target) == (wanted.rule, wanted.target):
            return one
    return None


def _mean(estimates: Sequence[Estimate], options: Options) -> Estimate:
    """Over runs; of one run its own interval."""
    if len(estimates) == 1:
        return estimates[0]
    values = [math.nan if one.value is None else one.value for one in estimates]
    return over_runs(np.array(values), options.confidence)


def _images_and_runs(runs: Sequence[_Scored], options: Options) -> Estimate:
    """The mean AUC of a model, with the images and the runs drawn where it has several."""
    if len(runs) == 1 or runs[0].figures.auc.value is None:
        return runs[0].figures.auc
    drawn = np.stack([one.replicates.auc for one in runs], axis=1)
    picks = draw_runs(len(drawn), len(runs), np.random.default_rng(options.seed))
    value = float(np.mean([one.figures.auc.value for one in runs]))
    return percentile(value, run_means(drawn, picks), Method.RUNS_BOOTSTRAP, options.confidence)


def _notes(
    series: Sequence[Series],
    whole: set[RunKey],
    validation: dict[RunKey, Series],
    options: Options,
    count: int,
    clustered_by: str,
) -> tuple[str, ...]:
    """Sentences about what could not be done, and why."""
    sizes = {one.model: len(one.images) for one in series if _key(one) in whole}
    notes = [
        f"{one.words} scored {len(one.images):,} images where other runs of the model scored "
        f"{sizes[one.model]:,}: it is left out of means and comparisons."
        for one in series
        if _key(one) not in whole
    ]
    sets = _groups([one for one in series if _key(one) in whole])
    if len(sets) > 1:
        said = "; ".join(
            f"{', '.join(dict.fromkeys(one.model for one in group))}: {len(group[0].images):,}"
            for group in sets
        )
        notes.append(
            f"Models scored different sets of images ({said}), so only those of the same images "
            "are compared: choose shared images only to compare all."
        )
    without = dict.fromkeys(one.model for one in series if _key(one) not in validation)
    if without and any(one.rule is not Rule.FIXED for one in options.wanted):
        notes.append(
            f"There are no validation predictions of {', '.join(without)}: its operating points "
            "are read off the same images that they are judged on, and look better than they are."
        )
    if count < options.replicates:
        notes.append(f"So many images allow {count:,} bootstrap replicates in reasonable time.")
    if clustered_by == IMAGE:
        notes.append("Patients and lesions are not known: each image counts as a patient.")
    notes += dict.fromkeys(_of_images(one) for one in series if _of_images(one))
    return tuple(notes)


def _of_images(series: Series) -> str:
    reason = missing_class(series.y_true)
    malignant = int(series.y_true.sum())
    if reason:
        return reason
    if is_small(len(series.y_true) - malignant, malignant):
        return (
            f"{len(series.y_true):,} images, {malignant:,} of them malignant, are too few to judge "
            "a model by."
        )
    if series.score.min() == series.score.max():
        return f"{series.words} gives every image the same score: it tells nothing apart."
    return ""
