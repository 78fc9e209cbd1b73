"""`evaluate report`: a study as one offline page, with its figures and tables as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backend.cli.evaluate_predictions import (
    ColumnOption,
    FactsOption,
    FilesArgument,
    LabelOption,
    RateOption,
    ReplicatesOption,
    SeedOption,
    SharedOption,
    SplitOption,
    ThresholdOption,
    make_options,
    read_table,
)
from backend.cli.output import JsonOption, emit


def register(evaluate: typer.Typer) -> None:
    """Add `report` to `evaluate`."""
    evaluate.command("report")(report)


def report(
    files: FilesArgument,
    out: Annotated[Path, typer.Option(help="The folder for the report; made where needed.")],
    title: Annotated[str, typer.Option(help="What the report is called.")] = "Study of predictions",
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
    """Write report.html, every figure as SVG and PNG, every table as CSV and LaTeX.

    The numbers are those of `evaluate predictions` with the same options. The page holds methods,
    the flow of images, versions, seeds, and the items of CLAIM, STARD-AI and TRIPOD+AI that it
    answers; it needs no network and no script.

    Example: python -m backend evaluate report vit.csv resnext.csv --out study
    """
    from backend.evaluation.evaluation import evaluate
    from backend.evaluation.report import Study, write_report

    table = read_table(files, column, label, facts)
    wanted = (threshold, sensitivity, specificity)
    options = make_options(split, wanted, replicates, seed, shared_only=shared_only)
    found = evaluate(table, options)
    study = Study(title, table, found, [path.name for path in files])
    written = write_report(study, out)
    emit({"folder": out, "files": [path.name for path in written]}, as_json, str(written[-1]))
