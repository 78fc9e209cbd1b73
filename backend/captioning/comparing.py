"""The job that compares two captioners, and its report: figures, then differences page by page."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from backend.captioning.comparison import Comparison, Disagreement, compare_captions
from backend.captioning.comparison_tables import comparison_tables
from backend.captioning.errors import CaptioningError
from backend.captioning.task import images_words
from backend.captioning.versions import find_version
from backend.files import read_file, write_file
from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState
from backend.jobs.queue import submit
from backend.store.database import Database

KIND = "compare_captions"
REPORT, DIFFERENCES = "comparison.json", "differences.jsonl"
DAMAGED = "This comparison cannot be read: compare the two captioners once more."


class ComparisonTask(BaseModel):
    """Two captioners as `find_version` takes them, and the images: of a subset, a dataset, all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: str
    second: str
    subset: str | None = None
    dataset: str | None = None


@dataclass(frozen=True)
class Difference:
    """An image that is described differently; `said` holds (attribute, first, second)."""

    image_id: str
    dataset: str
    source_id: str
    said: tuple[tuple[str, str, str], ...]
    first_caption: str
    second_caption: str


@dataclass(frozen=True)
class ComparisonReport:
    """A comparison without its disagreements, and of how many images there are any."""

    comparison: Comparison
    differing: int


_REPORT = TypeAdapter(ComparisonReport)
_DIFFERENCE = TypeAdapter(Difference)


def submit_comparison(db: Database, task: ComparisonTask, *, owner: str | None = None) -> str:
    """Queue a comparison; returns the id of its job.

    Raises:
        CaptioningError: both are one, or there is none of that name.
    """
    first, second = (find_version(db, name).reference for name in (task.first, task.second))
    if first == second:
        raise CaptioningError("Both are the same captions: choose two to compare.")
    task = task.model_copy(update={"first": first, "second": second})
    return submit(
        db,
        kind=KIND,
        payload=task.model_dump(mode="json"),
        title=f"{first} beside {second} for {images_words(task.subset, task.dataset)}",
        owner=owner,
    )


def run_comparison(context: JobContext, payload: dict[str, Any], _warm: WarmState) -> None:
    """Compare, and write the report and its tables into the folder of the job.

    Raises:
        CaptioningError: the task cannot be read, or they have no image in common.
        CorpusError: there is no such subset.
        JobStopped: cancelled, interrupted or lost.
    """
    try:
        task = ComparisonTask.model_validate(payload)
    except ValidationError as error:
        raise CaptioningError("The task of this job cannot be read: start it again.") from error

    def step(done: int, total: int) -> None:
        context.progress(done, total, f"{done:,} of {total:,} images compared")
        context.check_cancelled()

    context.progress(0, message="reading the captions")
    found = compare_captions(
        context.database,
        context.settings,
        find_version(context.database, task.first),
        find_version(context.database, task.second),
        subset=task.subset,
        dataset=task.dataset,
        step=step,
    )
    differing = list(_differences(found.disagreements))
    for name, table in comparison_tables(found).items():
        write_file(context.folder / name, table)
    lines = b"".join(_DIFFERENCE.dump_json(one) + b"\n" for one in differing)
    write_file(context.folder / DIFFERENCES, lines)
    report = ComparisonReport(replace(found, disagreements=()), len(differing))
    write_file(context.folder / REPORT, _REPORT.dump_json(report, indent=1))
    context.progress(found.both, found.both, f"{found.both:,} images compared")
    context.log(f"{found.both:,} images compared, {len(differing):,} described differently")


def read_comparison(folder: Path) -> ComparisonReport:
    """The report in the folder of a job.

    Raises:
        FileError: it is gone.
        CaptioningError: it is damaged, or of another version.
    """
    try:
        return _REPORT.validate_json(read_file(folder / REPORT))
    except ValueError as error:
        raise CaptioningError(DAMAGED) from error


def read_differences(folder: Path, *, limit: int, offset: int = 0) -> list[Difference]:
    """Some of the images that are described differently, in the order of the comparison.

    Raises:
        FileError: they are gone.
        CaptioningError: they are damaged.
    """
    lines = read_file(folder / DIFFERENCES).splitlines()[offset : offset + limit]
    try:
        return [_DIFFERENCE.validate_json(line) for line in lines]
    except ValueError as error:
        raise CaptioningError(DAMAGED) from error


def _differences(disagreements: Iterable[Disagreement]) -> Iterator[Difference]:
    """Disagreements about one image, which follow each other, as one."""
    for image_id, group in groupby(disagreements, lambda one: one.image_id):
        found = list(group)
        first = found[0]
        yield Difference(
            image_id=image_id,
            dataset=first.dataset,
            source_id=first.source_id,
            said=tuple((one.attribute, one.first, one.second) for one in found),
            first_caption=first.first_caption,
            second_caption=first.second_caption,
        )
