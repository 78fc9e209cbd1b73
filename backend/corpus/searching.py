"""What the searches for duplicates and for leakage do alike inside a job."""

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from backend.corpus.decisions import keep_pairs
from backend.corpus.duplicates import DuplicatePair, Sides, find_duplicates
from backend.corpus.errors import CorpusError
from backend.corpus.fingerprints import Fingerprints, read_fingerprints
from backend.corpus.picture_cards import keep_folder_thumbnails
from backend.corpus.pictures import Picture
from backend.jobs.context import JobContext

DEFAULT_THREADS = 2
SAID = {
    "read": "images read",
    "compare": "images compared",
    "check": "pairs checked",
    "draw": "thumbnails drawn",
}

Task = TypeVar("Task", bound=BaseModel)


def search_pairs(
    context: JobContext, pictures: Sequence[Picture], between: Sides | None = None
) -> tuple[Fingerprints, list[DuplicatePair], int]:
    """Find the pairs of pictures, keep them for a person to judge, and count the new ones.

    Pictures that cannot be read are named in the log of the job. `between` as in `find_duplicates`.

    Raises:
        CorpusError: the fingerprints cannot be kept.
        JobStopped: cancelled, interrupted or lost; fingerprints that were taken stay.
    """
    threads = context.settings.threads or DEFAULT_THREADS

    def step(what: str, done: int, total: int) -> None:
        context.progress(done, total, f"{done:,} of {total:,} {SAID[what]}")
        context.check_cancelled()

    prints = read_fingerprints(
        pictures,
        context.settings.fingerprints_file,
        threads=threads,
        step=lambda done: step("read", done, len(pictures)),
    )
    for sentence in prints.unreadable.values():
        context.log(sentence, "warning")
    pairs = find_duplicates(prints, between, threads=threads, step=step)
    keep_folder_thumbnails(
        context.settings,
        [image_id for pair in pairs for image_id in pair.ids],
        step=lambda done, total: step("draw", done, total),
    )
    new = keep_pairs(context.database, pairs)
    context.progress(len(pictures), len(pictures), f"{len(pictures):,} images searched")
    return prints, pairs, new


def read_task(kind: type[Task], payload: dict[str, Any]) -> Task:
    """What a job was asked for.

    Raises:
        CorpusError: it does not say which sets.
    """
    try:
        return kind.model_validate(payload)
    except ValidationError as error:
        raise CorpusError("This job does not say which sets: start it again.") from error
