"""The job that exports many images: submitted by the page or the command line."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from backend.exports.folders import aside_of
from backend.generation.errors import RequestError
from backend.generation.export.writing import (
    export_images,
    new_export_folder,
    pack,
)
from backend.generation.export_format import ExportFormat
from backend.generation.gallery import GalleryFilter
from backend.generation.selection import (
    Selection,
    check_exportable,
    count_drafts,
    count_selected,
    left_out,
)
from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState
from backend.jobs.queue import submit
from backend.settings import Settings
from backend.store.database import Database

KIND = "export"


class ExportTask(BaseModel):
    """What to export and where to: either `ids`, or all images that match `criteria`.

    `packed` makes one .zip of it, which then lies beside `destination`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: ExportFormat = ExportFormat.IMAGE_FOLDER
    destination: Path
    ids: tuple[str, ...] = ()
    criteria: GalleryFilter | None = None
    packed: bool = False

    @model_validator(mode="after")
    def _one_selection(self) -> Self:
        if bool(self.ids) == (self.criteria is not None):
            raise ValueError("select images by their ids or by a filter, one of both")
        return self

    @property
    def selection(self) -> Selection:
        """The images, however they were chosen."""
        return self.ids if self.criteria is None else self.criteria

    @property
    def result(self) -> Path:
        """The folder, or the archive, that the job leaves."""
        folder = self.destination
        return folder.with_name(f"{folder.name}.zip") if self.packed else folder


def run_export(context: JobContext, payload: dict[str, Any], _warm: WarmState) -> None:
    """Write the export aside and put it in place; a retry begins anew.

    A worker that was killed while it packed leaves a complete folder, which is packed again; one
    that was killed while it tidied up leaves a complete archive, and the job is done.

    Raises:
        DermaFluxError: an image, the destination or the disk stands in the way.
        JobStopped: cancelled, interrupted or lost; nothing is left.

    What a kill leaves half-written is removed when the job is found without its worker.
    """
    task = make_task(payload)
    if task.packed and task.result.exists():
        shutil.rmtree(task.destination, ignore_errors=True)
        return
    context.attempting = f"an export as {task.format}"
    context.leaves_partial(aside_of(task.destination), aside_of(task.result))
    total = count_selected(context.database, task.selection)

    def after(done: int) -> None:
        context.progress(min(done, total), total, f"image {done:,} of {total:,}")
        context.check_cancelled()

    if not (task.packed and task.destination.is_dir()):
        export_images(
            context.database,
            context.settings,
            task.selection,
            task.destination,
            task.format,
            after=after,
        )
    if task.packed:
        context.progress(total, total, "packing")
        pack(task.destination, after=lambda _: context.check_cancelled())
    context.log(f"{task.format} export in {task.result}")
    drafts = count_drafts(context.database, task.selection)
    if drafts:
        context.log(left_out(drafts))


def submit_export(
    db: Database,
    settings: Settings,
    selection: Selection,
    form: ExportFormat,
    owner: str | None = None,
) -> str:
    """Queue an export to one .zip in the exports folder of the workspace; returns the job's id.

    Raises:
        GenerationError: nothing but drafts is selected, or an image is gone.
    """
    check_exportable(db, selection)
    task = plan_export(selection, new_export_folder(settings), form, packed=True)
    return submit(
        db,
        kind=KIND,
        payload=task.model_dump(mode="json"),
        title=export_title(db, task),
        owner=owner,
        total=count_selected(db, selection),
    )


def plan_export(
    selection: Selection, destination: Path, form: ExportFormat, *, packed: bool = False
) -> ExportTask:
    """The task of a job that exports a selection; the destination is made absolute."""
    folder = destination.expanduser().absolute()
    if isinstance(selection, GalleryFilter):
        return ExportTask(format=form, destination=folder, criteria=selection, packed=packed)
    return ExportTask(format=form, destination=folder, ids=tuple(selection), packed=packed)


def make_task(values: Mapping[str, object]) -> ExportTask:
    """A task from the values of a stored job.

    Raises:
        RequestError: naming the field that is wrong.
    """
    try:
        return ExportTask.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "selection"
        raise RequestError(f"The {field} of an export cannot be used: {first['msg']}.") from error


def export_title(db: Database, task: ExportTask) -> str:
    """What the job is called in lists."""
    count = count_selected(db, task.selection) - count_drafts(db, task.selection)
    noun = "image" if count == 1 else "images"
    return f"Export of {count:,} {noun} as {task.format}"
