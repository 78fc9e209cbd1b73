"""The job that exports images of the corpus: a subset, or all that match a filter."""

import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from backend.corpus.describing import filter_words, recipe_words
from backend.corpus.errors import CorpusError
from backend.corpus.export_card import CorpusTally, write_card
from backend.corpus.export_format import CorpusFormat
from backend.corpus.export_writers import CORPUS_WRITERS, NOTICE, CorpusRecord
from backend.corpus.licences import terms_of
from backend.corpus.marking import marked
from backend.corpus.queries import CorpusFilter, count_by, count_corpus, iterate_corpus
from backend.corpus.subsets import get_subset
from backend.exports.folders import aside_of, pack, whole_folder
from backend.files import FileError, read_file
from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState
from backend.jobs.queue import submit
from backend.settings import Settings
from backend.store.database import Database

KIND = "corpus_export"


class CorpusExportTask(BaseModel):
    """What to export and where to: either a `subset`, or all images that match `criteria`.

    `packed` makes one .zip of it, which then lies beside `destination`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: CorpusFormat = CorpusFormat.IMAGE_FOLDER
    destination: Path
    subset: str | None = None
    criteria: CorpusFilter | None = None
    packed: bool = False

    @model_validator(mode="after")
    def _one_choice(self) -> Self:
        if (self.subset is None) == (self.criteria is None):
            raise ValueError("name a subset or give a filter, one of both")
        return self

    @property
    def result(self) -> Path:
        """The folder, or the archive, that the job leaves."""
        folder = self.destination
        return folder.with_name(f"{folder.name}.zip") if self.packed else folder


def plan_corpus_export(
    choice: str | CorpusFilter, destination: Path, form: CorpusFormat, *, packed: bool = False
) -> CorpusExportTask:
    """The task that exports a subset by name, or a filter; the destination is made absolute."""
    return CorpusExportTask(
        format=form,
        destination=destination.expanduser().absolute(),
        subset=choice if isinstance(choice, str) else None,
        criteria=None if isinstance(choice, str) else choice,
        packed=packed,
    )


def make_export_task(values: Mapping[str, object]) -> CorpusExportTask:
    """A task from the values of a stored job.

    Raises:
        CorpusError: naming the field that is wrong.
    """
    try:
        return CorpusExportTask.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "choice"
        raise CorpusError(f"The {field} of an export cannot be used: {first['msg']}.") from error


def count_chosen(db: Database, task: CorpusExportTask) -> int:
    """How many images a task is about.

    Raises:
        CorpusError: there is no such subset, or nothing matches.
    """
    if task.subset is not None:
        return get_subset(db, task.subset).images
    total = count_corpus(db, task.criteria)
    if not total:
        raise CorpusError("No image of the corpus matches: widen the filter.")
    return total


def export_title(task: CorpusExportTask, images: int) -> str:
    """What the job is called in lists."""
    what = f"subset {task.subset}" if task.subset is not None else "the corpus"
    noun = "image" if images == 1 else "images"
    return f"Export of {what}, {images:,} {noun} as {task.format}"


def submit_corpus_export(
    db: Database,
    settings: Settings,
    choice: str | CorpusFilter,
    form: CorpusFormat,
    owner: str | None = None,
) -> str:
    """Queue an export to one .zip in the exports folder of the workspace; returns the job's id.

    Raises:
        CorpusError: there is no such subset, or nothing matches.
    """
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    folder = settings.exports_dir / f"dermaflux-corpus-{moment}"
    task = plan_corpus_export(choice, folder, form, packed=True)
    images = count_chosen(db, task)
    return submit(
        db,
        kind=KIND,
        payload=task.model_dump(mode="json"),
        title=export_title(task, images),
        owner=owner,
        total=images,
    )


def run_corpus_export(context: JobContext, payload: dict[str, Any], _warm: WarmState) -> None:
    """Write the export aside and put it in place; a retry begins anew.

    A worker that was killed while it packed leaves a complete folder, which is packed again; one
    that was killed while it tidied up leaves a complete archive, and the job is done.

    Raises:
        DermaFluxError: the subset, an image, the destination or the disk stands in the way.
        JobStopped: cancelled, interrupted or lost; nothing is left.

    What a kill leaves half-written is removed when the job is found without its worker.
    """
    task = make_export_task(payload)
    if task.packed and task.result.exists():
        shutil.rmtree(task.destination, ignore_errors=True)
        return
    context.attempting = f"an export as {task.format}"
    context.leaves_partial(aside_of(task.destination), aside_of(task.result))
    total = count_chosen(context.database, task)
    if not (task.packed and task.destination.is_dir()):
        _write(context, task, total)
    if task.packed:
        context.progress(total, total, "packing")
        pack(task.destination, NOTICE.encode(), after=lambda _: context.check_cancelled())
    context.log(f"{task.format} export in {task.result.name}")


def _write(context: JobContext, task: CorpusExportTask, total: int) -> None:
    db, tally = context.database, CorpusTally()
    terms = terms_of(db, [name for (name,) in count_by(db, "dataset")])
    licences = {name: found.licence for name, found in terms.items()}
    with whole_folder(task.destination, CorpusError) as folder:
        records = _records(context, task, licences, total)
        CORPUS_WRITERS[task.format](folder, tally.counted(records))
        if not tally.images:
            raise CorpusError("No image was left to export: they were taken out meanwhile.")
        write_card(
            folder,
            tally,
            terms,
            choice=_choice_words(db, task),
            layout=task.format.description,
            form=task.format.value,
            absent=total - tally.images,
        )


def _records(
    context: JobContext, task: CorpusExportTask, licences: Mapping[str, str], total: int
) -> Iterator[CorpusRecord]:
    images = iterate_corpus(context.database, context.settings, task.criteria, subset=task.subset)
    for position, image in enumerate(images):
        try:
            data = read_file(image.file)
        except FileError as error:
            raise CorpusError(
                f"The copy of {image.source_id} is gone from the workspace: import "
                f"{image.dataset} again, then retry."
            ) from error
        if image.synthetic:
            data = marked(data, image.file.name)
        yield CorpusRecord(image, data, licences.get(image.dataset, ""))
        context.progress(min(position + 1, total), total, f"image {position + 1:,} of {total:,}")
        context.check_cancelled()


def _choice_words(db: Database, task: CorpusExportTask) -> str:
    if task.subset is None:
        return filter_words(task.criteria or CorpusFilter())
    return f"Subset {task.subset}: {recipe_words(get_subset(db, task.subset).recipe)}"
