"""Duplicates in a folder, and leakage between two folders, as jobs."""

import dataclasses
import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from backend.corpus.decisions import dismissed_pairs, keep_pairs
from backend.corpus.duplicates import duplicate_groups, find_duplicates
from backend.corpus.errors import CorpusError
from backend.corpus.fingerprints import Fingerprints, read_fingerprints
from backend.corpus.leakage import Leakage, find_leakage, require_clean
from backend.corpus.pictures import Picture, pictures_in
from backend.files import read_file, write_file
from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState

DUPLICATES = "duplicates"
LEAKAGE = "leakage"
RESULT = "report.json"
DEFAULT_THREADS = 2

Task = TypeVar("Task", bound=BaseModel)


class DuplicatesTask(BaseModel):
    """A folder of images in which duplicates are sought."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path


class LeakageTask(BaseModel):
    """Two folders of images that should share nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: Path
    second: Path


def run_duplicates(context: JobContext, payload: dict[str, Any], _warm: WarmState) -> None:
    """Find the duplicates of a folder, keep the pairs, and write `report.json`.

    Raises:
        CorpusError: the task or the folder cannot be used.
        JobStopped: cancelled, interrupted or lost; fingerprints that were taken stay.
    """
    task = _task(DuplicatesTask, payload)
    pictures = pictures_in(task.folder)
    prints = _fingerprints(context, pictures)
    pairs = find_duplicates(
        prints, threads=_threads(context), step=lambda *at: _progress(context, *at)
    )
    new = keep_pairs(context.database, pairs)
    _write(
        context,
        {
            **_read_counts(prints),
            "images": len(pictures),
            "new_pairs": new,
            "pairs": [dataclasses.asdict(pair) for pair in pairs],
            "groups": duplicate_groups(pairs),
        },
    )


def run_leakage(context: JobContext, payload: dict[str, Any], _warm: WarmState) -> None:
    """Find what two folders share, keep the pairs, and write `report.json`.

    Raises:
        LeakageError: they share something and the settings refuse that; the report is written.
        CorpusError: the task or a folder cannot be used.
        JobStopped: cancelled, interrupted or lost; fingerprints that were taken stay.
    """
    task = _task(LeakageTask, payload)
    first, second = pictures_in(task.first), pictures_in(task.second)
    prints = _fingerprints(context, list(dict.fromkeys([*first, *second])))
    sides = {picture.image_id for picture in first}, {picture.image_id for picture in second}
    pairs = find_duplicates(
        prints, sides, threads=_threads(context), step=lambda *at: _progress(context, *at)
    )
    keep_pairs(context.database, pairs)
    leakage = find_leakage(
        (str(task.first), first),
        (str(task.second), second),
        pairs,
        dismissed=dismissed_pairs(context.database),
    )
    _write(context, {**_read_counts(prints), **_leakage_report(leakage)})
    require_clean(leakage, context.settings.leakage)


def read_report(folder: Path) -> dict[str, Any]:
    """The report in the folder of a finished job.

    Raises:
        FileError: it is gone.
    """
    report: dict[str, Any] = json.loads(read_file(folder / RESULT))
    return report


def _fingerprints(context: JobContext, pictures: list[Picture]) -> Fingerprints:
    def step(done: int) -> None:
        _progress(context, "read", done, len(pictures))

    cache = context.settings.fingerprints_file
    prints = read_fingerprints(pictures, cache, threads=_threads(context), step=step)
    for sentence in prints.unreadable.values():
        context.log(sentence, "warning")
    return prints


def _threads(context: JobContext) -> int:
    return context.settings.threads or DEFAULT_THREADS


def _progress(context: JobContext, what: str, done: int, total: int) -> None:
    said = {"read": "images read", "compare": "images compared", "check": "pairs checked"}[what]
    context.progress(done, total, f"{done:,} of {total:,} {said}")
    context.check_cancelled()


def _read_counts(prints: Fingerprints) -> dict[str, Any]:
    return {"read_now": prints.computed, "unreadable": prints.unreadable}


def _leakage_report(leakage: Leakage) -> dict[str, Any]:
    return {
        **dataclasses.asdict(leakage),
        "clean": leakage.clean,
        "summary": leakage.summary,
    }


def _write(context: JobContext, report: dict[str, Any]) -> None:
    write_file(context.folder / RESULT, json.dumps(report, indent=1).encode())


def _task(kind: type[Task], payload: dict[str, Any]) -> Task:
    try:
        return kind.model_validate(payload)
    except ValidationError as error:
        raise CorpusError("This job does not say which folder: start it again.") from error
