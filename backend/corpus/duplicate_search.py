"""The search for duplicates in one or more sets of pictures, as a job."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from backend.corpus.duplicates import duplicate_groups
from backend.corpus.errors import CorpusError
from backend.corpus.picture_sets import (
    pictures_of_all,
    read_set_name,
    require_set,
    set_title,
)
from backend.corpus.searching import read_task, search_pairs
from backend.files import read_file, write_file
from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState
from backend.jobs.queue import submit
from backend.store.database import Database

DUPLICATES = "duplicates"
RESULT = "report.json"


class DuplicatesTask(BaseModel):
    """Names of sets, as in `backend.corpus.picture_sets`, among whose pictures is sought."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sets: tuple[str, ...] = Field(min_length=1)


def make_duplicates_task(db: Database, sets: Sequence[str]) -> tuple[DuplicatesTask, str]:
    """A task and its title.

    Raises:
        CorpusError: no set is named, or one is unknown, gone or empty.
    """
    names = list(dict.fromkeys(read_set_name(text) for text in sets))
    if not names:
        raise CorpusError("Choose what to search: the whole catalogue, sets of it, or a folder.")
    for name in names:
        require_set(db, name)
    title = f"Duplicates in {', '.join(set_title(db, name) for name in names)}"
    return DuplicatesTask(sets=tuple(map(str, names))), title


def submit_duplicates(db: Database, sets: Sequence[str], *, owner: str | None = None) -> str:
    """Queue a search; returns the id of its job.

    Raises:
        CorpusError: as `make_duplicates_task`.
    """
    task, title = make_duplicates_task(db, sets)
    payload = task.model_dump(mode="json")
    return submit(db, kind=DUPLICATES, payload=payload, title=title, owner=owner)


def run_duplicates(context: JobContext, payload: dict[str, Any], _warm: WarmState) -> None:
    """Find the duplicates among sets, keep the pairs, and write `report.json`.

    Raises:
        CorpusError: the task or a set cannot be used.
        JobStopped: cancelled, interrupted or lost; fingerprints that were taken stay.
    """
    task = read_task(DuplicatesTask, payload)
    names = [read_set_name(text) for text in task.sets]
    pictures = pictures_of_all(context.database, context.settings, names)
    prints, pairs, new = search_pairs(context, pictures)
    groups = duplicate_groups(pairs)
    left_out = f" {len(prints.unreadable):,} could not be read." if prints.unreadable else ""
    context.log(
        f"{len(pictures):,} images: {len(pairs):,} pairs in {len(groups):,} groups, {new:,} "
        f"pairs new.{left_out}"
    )
    report = {
        "read_now": prints.computed,
        "unreadable": prints.unreadable,
        "images": len(pictures),
        "new_pairs": new,
        "pairs": [dataclasses.asdict(pair) for pair in pairs],
        "groups": groups,
    }
    write_file(context.folder / RESULT, json.dumps(report, indent=1).encode())


def read_report(folder: Path) -> dict[str, Any]:
    """The report in the folder of a finished search.

    Raises:
        FileError: it is gone.
    """
    report: dict[str, Any] = json.loads(read_file(folder / RESULT))
    return report
