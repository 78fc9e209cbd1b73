"""`evaluate predictions`: figures with intervals from prediction tables of any origin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.cli.output import JsonOption, aligned, emit
from backend.evaluation.wording import p_words, said

if TYPE_CHECKING:
    from backend.evaluation.comparisons import Comparison
    from backend.evaluation.evaluation import Evaluation, ModelFigures, Options
    from backend.evaluation.predictions import Predictions

COLUMNS = "Columns"
POINTS = "Operating points"
FIGURES = ("auc", "average_precision", "brier", "expected_error")
POINT_RATES = ("sensitivity", "specificity", "ppv", "npv", "accuracy", "balanced_accuracy")


FilesArgument = Annotated[list[Path], typer.Argument(help="CSV or Parquet, one or more.")]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(help="OURS=THEIRS, such as score=prob_mel.", rich_help_panel=COLUMNS),
]
LabelOption = Annotated[
    list[str] | None,
    typer.Option(
        help="WORD=benign or WORD=malignant, such as nevus=benign.", rich_help_panel=COLUMNS
    ),
]
FactsOption = Annotated[
    Path | None,
    typer.Option(
        help="A table of images with patient, lesion, dataset, skin_tone, modality, site, age "
        "or sex.",
        rich_help_panel=COLUMNS,
    ),
]
SplitOption = Annotated[str, typer.Option(help="train, validation or test.")]
ThresholdOption = Annotated[float, typer.Option(help="Fixed beforehand.", rich_help_panel=POINTS)]
RateOption = Annotated[float, typer.Option(help="To reach on validation.", rich_help_panel=POINTS)]
ReplicatesOption = Annotated[int, typer.Option(min=200, help="Of the bootstrap.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Of the bootstrap.")]
SharedOption = Annotated[
    bool, typer.Option("--shared-only", help="Only images that every run has scored.")
]


def register(evaluate: typer.Typer) -> None:
    """Add `predictions` to `evaluate`."""
    evaluate.command("predictions")(predictions)


def predictions(
    files: FilesArgument,
    column: ColumnOption = None,
    label: LabelOption = None,
    facts: FactsOption = None,
    split: SplitOption = "test",
    threshold: ThresholdOption = 0.5,
    sensitivity: RateOption = 0.95,
    specificity: RateOption = 0.9,
    replicates: ReplicatesOption = 2_000,
    seed: SeedOption = 0,
    shared_only: SharedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print AUC, rates, calibration and comparisons of predictions, each with its interval.

    A table has one row for each image that a run of a model scored: image_id, y_true, score, and
    if you like model, run, seed, split. Columns of other names are recognised or named by
    --column. Intervals: DeLong for the AUC, a stratified bootstrap for the others, patients drawn
    as a whole where they are known; over several runs Student's t. Thresholds are chosen on
    validation rows; without any they are read off the test rows and the output says so.

    Example: python -m backend evaluate predictions vit.csv resnext.csv --facts images.csv
    """
    from backend.evaluation.evaluation import evaluate

    table = read_table(files, column, label, facts)
    wanted = (threshold, sensitivity, specificity)
    options = make_options(split, wanted, replicates, seed, shared_only=shared_only)
    found = evaluate(table, options)
    emit(found, as_json, _lines(found, options))


def read_table(
    files: list[Path], column: list[str] | None, label: list[str] | None, facts: Path | None
) -> Predictions:
    """Files of predictions as one table.

    Raises:
        CommandError: an option is no NAME=VALUE.
        EvaluationError: a file cannot be.
    """
    from backend.evaluation.prediction_files import read_facts, read_predictions
    from backend.evaluation.predictions import join, with_facts

    mapping, labels = _pairs(column, "--column"), _labels(label)
    table = join([read_predictions(path, mapping, labels=labels) for path in files])
    return table if facts is None else with_facts(table, read_facts(facts))


def make_options(
    split: str,
    wanted: tuple[float, float, float],
    replicates: int,
    seed: int,
    *,
    shared_only: bool,
) -> Options:
    """`wanted` are a threshold, a sensitivity and a specificity; Youden's point is among them.

    Raises:
        EvaluationError: one is not from 0 to 1, or the split is none.
    """
    from backend.evaluation.evaluation import Options
    from backend.evaluation.operating_points import Rule, Wanted
    from backend.evaluation.predictions import split_of

    threshold, sensitivity, specificity = wanted
    return Options(
        split=split_of(split),
        wanted=(
            Wanted(Rule.FIXED, threshold),
            Wanted(Rule.YOUDEN),
            Wanted(Rule.SENSITIVITY, sensitivity),
            Wanted(Rule.SPECIFICITY, specificity),
        ),
        replicates=replicates,
        seed=seed,
        shared_only=shared_only,
    )


def _pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    from backend.cli.progress import CommandError

    found = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not (equals and name.strip() and value.strip()):
            raise CommandError(f"{option} {text} is no NAME=VALUE: write both sides.")
        found[name.strip()] = value.strip()
    return found


def _labels(texts: list[str] | None) -> dict[str, int]:
    from backend.cli.progress import CommandError
    from backend.evaluation.predictions import LABEL_WORDS

    found = {}
    for word, meaning in _pairs(texts, "--label").items():
        if meaning.casefold() not in LABEL_WORDS:
            raise CommandError(f"--label {word}={meaning}: a word means benign or malignant.")
        found[word] = LABEL_WORDS[meaning.casefold()]
    return found


def _lines(found: Evaluation, options: Options) -> Iterator[str]:
    yield from aligned(
        ("MODEL", "RUNS", "IMAGES", "MALIGNANT", "AUC", "PR-AUC", "BRIER", "ECE"),
        (_model(model) for model in found.models),
    )
    yield ""
    yield from aligned(
        ("MODEL", "POINT", "THRESHOLD", "CHOSEN ON", *(_head(rate) for rate in POINT_RATES)),
        (row for model in found.models for row in _points(model, options)),
    )
    if found.comparisons:
        yield ""
        yield from aligned(
            ("FIRST", "SECOND", "AUC DIFFERENCE", "P", "HOLM", "BOOTSTRAP", "P", "MCNEMAR P"),
            map(_comparison, found.comparisons),
        )
    groups = [row for model in found.models for row in _groups(model)]
    if groups:
        yield ""
        yield from aligned(
            ("MODEL", "GROUP", "", "IMAGES", "MALIGNANT", "AUC", "SENSITIVITY",
             "SPECIFICITY"),
            groups,
        )  # fmt: skip
    if found.notes:
        yield ""
        yield from found.notes


def _model(model: ModelFigures) -> tuple[str, ...]:
    run = max(model.runs, key=lambda one: one.images)
    means = {mean.figure: mean.estimate for mean in model.means if not mean.point}
    figures = [said(means[figure]) for figure in FIGURES]
    return model.model, str(len(model.runs)), f"{run.images:,}", f"{run.malignant:,}", *figures


def _points(model: ModelFigures, options: Options) -> Iterator[tuple[str, ...]]:
    means = {(mean.point, mean.figure): mean.estimate for mean in model.means}
    for wanted in options.wanted:
        if (wanted.words, POINT_RATES[0]) not in means:
            continue
        points = [
            one.point
            for run in model.runs
            for one in run.points
            if (one.point.rule, one.point.target) == (wanted.rule, wanted.target)
        ]
        thresholds = sorted({f"{point.threshold:.3f}" for point in points})
        where = {point.chosen_on.value if point.chosen_on else "beforehand" for point in points}
        yield (
            model.model,
            wanted.words,
            thresholds[0] if len(thresholds) == 1 else f"{thresholds[0]} to {thresholds[-1]}",
            " and ".join(sorted(where)),
            *(said(means[wanted.words, rate]) for rate in POINT_RATES),
        )


def _comparison(one: Comparison) -> tuple[str, ...]:
    return (
        one.first,
        one.second,
        said(one.delong.difference),
        p_words(one.delong.p),
        p_words(one.holm_p),
        said(one.bootstrap),
        p_words(one.bootstrap_p),
        p_words(one.mcnemar.exact_p if one.mcnemar else None),
    )


def _groups(model: ModelFigures) -> Iterator[tuple[str, ...]]:
    for group in model.subgroups:
        yield (
            model.model,
            group.fact.replace("_", " "),
            f"{group.value} (small)" if group.small else group.value,
            f"{group.images:,}",
            f"{group.malignant:,}",
            *(said(figure) for figure in (group.auc, group.sensitivity, group.specificity)),
        )


def _head(rate: str) -> str:
    return rate.replace("_", " ").upper()
