"""The job that evaluates prediction tables of the workspace and writes their report."""

import io
import json
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from backend.corpus.catalogue import count_left_out_by_dataset
from backend.corpus.queries import count_by
from backend.evaluation.errors import EvaluationError
from backend.evaluation.evaluation import Evaluation, Options, evaluate
from backend.evaluation.prediction_tables import (
    TableEntry,
    content_key,
    find_tables,
    paper_tables,
    read_tables,
)
from backend.evaluation.predictions import Predictions, Split
from backend.evaluation.report import PAGE, Study, write_report
from backend.files import read_file, write_file
from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState
from backend.jobs.queue import submit
from backend.settings import Settings
from backend.store.database import Database

KIND = "evaluate"
FIGURES, ARCHIVE = "evaluation.json", "report.zip"
STEPS = 3
NOT_SCORED = "not among those scored"


class EvaluateTask(BaseModel):
    """Names of tables as `prediction_tables` lists them, the split, and which images count."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tables: tuple[str, ...] = Field(min_length=1)
    split: Split = Split.TEST
    shared_only: bool = False

    @property
    def options(self) -> Options:
        """How the figures are made."""
        return Options(split=self.split, shared_only=self.shared_only)


def submit_evaluate(
    db: Database, settings: Settings, task: EvaluateTask, *, owner: str | None = None
) -> str:
    """Queue an evaluation; returns the id of its job.

    Raises:
        EvaluationError: a table is gone.
    """
    entries = find_tables(settings.workspace, task.tables)
    title = f"Report: {_titles(entries)}"
    payload = task.model_dump(mode="json")
    return submit(db, kind=KIND, payload=payload, title=title, owner=owner)


def run_evaluate(context: JobContext, payload: dict[str, Any], _warm: WarmState) -> None:
    """Compute every figure with its interval, then write the report and its archive.

    Raises:
        EvaluationError: the task or a table cannot be used.
        JobStopped: cancelled, interrupted or lost.
    """
    task = _task(payload)
    entries = find_tables(context.settings.workspace, task.tables)
    context.progress(0, STEPS, "reading predictions")
    predictions = read_tables(entries)
    context.check_cancelled()
    context.progress(1, STEPS, "intervals and comparisons")
    found = evaluate(predictions, task.options)
    context.check_cancelled()
    context.progress(2, STEPS, "figures, tables and the page")
    study = Study(
        title=f"Study of {_titles(entries)}",
        predictions=predictions,
        found=found,
        sources=[entry.title for entry in entries],
        key=content_key(entries),
        tables=paper_tables(entries),
        left_out=_left_out(context.database, predictions),
    )
    folder = report_dir(context.settings, entries, task)
    files = write_report(study, folder)
    write_file(folder / ARCHIVE, _archive(files))
    write_file(folder / FIGURES, TypeAdapter(Evaluation).dump_json(found))
    context.progress(STEPS, STEPS, "done")
    context.log(f"{len(found.models)} models, {len(files)} files in {folder.name}")


def report_dir(
    settings: Settings, entries: Sequence[TableEntry], task: EvaluateTask, *, key: str = ""
) -> Path:
    """Where the report of these tables lies: the same content and options, the same folder.

    `key` is their `content_key` where it is known.
    """
    shared = "-shared" if task.shared_only else ""
    name = f"report-{key or content_key(entries)}-{task.split.value}{shared}"
    return settings.exports_dir / name


def read_evaluation(folder: Path) -> Evaluation | None:
    """The figures of a report; None where it has not been made, or by another version."""
    if not (folder / FIGURES).is_file():
        return None
    try:
        return TypeAdapter(Evaluation).validate_json(read_file(folder / FIGURES))
    except (ValidationError, json.JSONDecodeError):
        return None


def _task(payload: dict[str, Any]) -> EvaluateTask:
    try:
        return EvaluateTask.model_validate(payload)
    except ValidationError as error:
        raise EvaluationError(
            "The job asks for something that this version cannot evaluate: start it anew."
        ) from error


def _titles(entries: Sequence[TableEntry]) -> str:
    titles = [entry.title for entry in entries]
    more = f" and {len(titles) - 3} more" if len(titles) > 3 else ""
    return f"{', '.join(titles[:3])}{more}"


def _archive(files: Sequence[Path]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(files, key=lambda one: (one.name != PAGE, one.name)):
            archive.write(file, file.name)
    return buffer.getvalue()


def _left_out(database: Database, predictions: Predictions) -> dict[str, int]:
    """What of the datasets that the predictions name was never scored, by reason."""
    if "dataset" not in predictions.facts.columns:
        return {}
    datasets = Counter(predictions.facts["dataset"])
    found: Counter[str] = Counter()
    for (dataset,), count in count_by(database, "dataset").items():
        if dataset in datasets and count > datasets[dataset]:
            found[NOT_SCORED] += count - datasets[dataset]
    for (dataset, reason), count in count_left_out_by_dataset(database).items():
        if dataset in datasets:
            found[reason.value.replace("_", " ")] += count
    return found
