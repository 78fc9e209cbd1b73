"""The leakage report between two sets of pictures: a job, and what training asks before it starts.

A report holds everything that was found. What a person dismisses later is taken off when it is
read, so that a report is never older than the decisions.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from backend.corpus.catalogue import csv_line
from backend.corpus.decisions import dismissed_pairs
from backend.corpus.errors import CorpusError
from backend.corpus.leakage import EXAMPLES, Leakage, NamedPictures, find_leakage, require_clean
from backend.corpus.picture_cards import picture_cards
from backend.corpus.picture_sets import pictures_of, read_set_name, require_set, set_title
from backend.corpus.searching import read_task, search_pairs
from backend.files import read_file, write_file
from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState
from backend.jobs.queue import submit
from backend.settings import Settings
from backend.store.database import Database

LEAKAGE = "leakage"
REPORT = "leakage.json"
CSV_HEADER = (
    *("shared", "first_image", "second_image", "first_place", "second_place"),
    *("score", "between_them", "first_id", "second_id"),
)


class LeakageTask(BaseModel):
    """Names of two sets, as in `backend.corpus.picture_sets`, that should share nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: str
    second: str


@dataclass(frozen=True)
class LeakageReport:
    """What two sets share now; `dismissed` pairs were found and do not count.

    `first_ids` are the images of the pairs that are of the first set; `unreadable` are sentences
    on images that were left out, by id; `read_now` images were not known before.
    """

    leakage: Leakage
    first_ids: frozenset[str]
    unreadable: dict[str, str]
    read_now: int
    dismissed: int = 0


_REPORT = TypeAdapter(LeakageReport)


def make_leakage_task(db: Database, first: str, second: str) -> tuple[LeakageTask, str]:
    """A task and its title.

    Raises:
        CorpusError: both names are one set, or one is unknown, gone or empty.
    """
    names = read_set_name(first), read_set_name(second)
    if names[0] == names[1]:
        raise CorpusError("Both are the same set: choose two sets that should share nothing.")
    for name in names:
        require_set(db, name)
    titles = [set_title(db, name) for name in names]
    task = LeakageTask(first=str(names[0]), second=str(names[1]))
    return task, f"Leakage between {titles[0]} and {titles[1]}"


def submit_leakage(db: Database, first: str, second: str, *, owner: str | None = None) -> str:
    """Queue a comparison of two sets; returns the id of its job.

    Raises:
        CorpusError: as `make_leakage_task`.
    """
    task, title = make_leakage_task(db, first, second)
    payload = task.model_dump(mode="json")
    return submit(db, kind=LEAKAGE, payload=payload, title=title, owner=owner)


def run_leakage(context: JobContext, payload: dict[str, Any], _warm: WarmState) -> None:
    """Find what two sets share, keep the pairs, and write the report.

    Raises:
        LeakageError: they share something and the settings refuse that; the report is written.
        CorpusError: the task or a set cannot be used.
        JobStopped: cancelled, interrupted or lost; fingerprints that were taken stay.
    """
    task = read_task(LeakageTask, payload)
    require_no_leakage(context, _opened(context, task.first), _opened(context, task.second))


def require_no_leakage(
    context: JobContext,
    first: NamedPictures,
    second: NamedPictures,
    setting: Literal["report", "refuse"] | None = None,
) -> LeakageReport:
    """What a job that trains or evaluates asks before it starts; its folder gets the report.

    The finding is written to the log of the job. Pairs that are found are kept for a person to
    judge. `setting` stands in for that of the studio.

    Raises:
        LeakageError: the sets share something and the setting is `refuse`.
        CorpusError: the fingerprints cannot be kept.
        JobStopped: cancelled, interrupted or lost.
    """
    pictures = list({one.image_id: one for one in (*first[1], *second[1])}.values())
    sides = {one.image_id for one in first[1]}, {one.image_id for one in second[1]}
    prints, pairs, _ = search_pairs(context, pictures, sides)
    found = find_leakage(first, second, pairs)
    report = LeakageReport(
        leakage=found,
        first_ids=frozenset(one for pair in found.pairs for one in pair.ids if one in sides[0]),
        unreadable=prints.unreadable,
        read_now=prints.computed,
    )
    write_file(context.folder / REPORT, _REPORT.dump_json(report, indent=1))
    report = _judged(context.database, report)
    context.log(report.leakage.summary, "info" if report.leakage.clean else "warning")
    require_clean(
        report.leakage,
        setting or context.settings.leakage,
        _names(context.database, context.settings, report.leakage),
        "write `leakage: report` into the grid" if setting else "set DERMAFLUX_LEAKAGE=report",
    )
    return report


def read_leakage(db: Database, folder: Path) -> LeakageReport:
    """The report in the folder of a job, without what was dismissed since.

    Raises:
        FileError: it is gone.
        CorpusError: it is damaged, or of another version.
    """
    data = read_file(folder / REPORT)
    try:
        report = _REPORT.validate_json(data)
    except ValueError as error:
        raise CorpusError("This report cannot be read: compare the two sets once more.") from error
    return _judged(db, report)


def report_values(report: LeakageReport) -> dict[str, Any]:
    """The report for scripts."""
    values: dict[str, Any] = json.loads(_REPORT.dump_json(report))
    leakage = values.pop("leakage")
    return {
        **leakage,
        **values,
        "clean": report.leakage.clean,
        "summary": report.leakage.summary,
    }


def leakage_csv(db: Database, settings: Settings, report: LeakageReport) -> Iterator[str]:
    """What is shared as lines of CSV, the image of the first set first."""
    leakage = report.leakage
    ids = [*leakage.same, *(one for pair in leakage.pairs for one in pair.ids)]
    cards = picture_cards(db, settings, ids)
    yield csv_line(CSV_HEADER)
    for kind, names in (("patient", leakage.patients), ("lesion", leakage.lesions)):
        for name in names:
            yield csv_line((kind, name, name, None, None, None, None, None, None))
    for one in leakage.same:
        card = cards[one]
        yield csv_line(
            ("image", card.name, card.name, card.place, card.place, 1.0, "as it is", one, one)
        )
    for pair in leakage.pairs:
        left, right = (cards[one] for one in sided(report, pair.ids))
        yield csv_line(
            (
                *(pair.likeness, left.name, right.name, left.place, right.place),
                *(pair.score, pair.transform, left.id, right.id),
            )
        )


def sided(report: LeakageReport, ids: tuple[str, str]) -> tuple[str, str]:
    """The two images of a pair, that of the first set first."""
    first, second = ids
    return (first, second) if first in report.first_ids else (second, first)


def _opened(context: JobContext, text: str) -> NamedPictures:
    name = read_set_name(text)
    title = set_title(context.database, name)
    return title, pictures_of(context.database, context.settings, name)


def _judged(db: Database, report: LeakageReport) -> LeakageReport:
    left = report.leakage.without(dismissed_pairs(db))
    dismissed = len(report.leakage.pairs) - len(left.pairs)
    return LeakageReport(left, report.first_ids, report.unreadable, report.read_now, dismissed)


def _names(db: Database, settings: Settings, leakage: Leakage) -> dict[str, str]:
    """What people call the images that a refusal names."""
    ids = [one for pair in leakage.pairs[:EXAMPLES] for one in pair.ids]
    cards = picture_cards(db, settings, [*ids, *leakage.same[:EXAMPLES]])
    return {one: card.name for one, card in cards.items()}
