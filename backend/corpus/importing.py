"""The job that imports a dataset: resumable, and without effect where nothing has changed."""

import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.corpus.catalogue import (
    cell_id,
    image_id,
    known_rows,
    remove_rows,
    write_left_out,
    write_rows,
)
from backend.corpus.copying import Bench, Copied, Original
from backend.corpus.dataset_jobs import require_no_relabelling
from backend.corpus.errors import CorpusError
from backend.corpus.exclusions import LeftOut, Reason
from backend.corpus.label_rules import follow_record
from backend.corpus.labels import own_label
from backend.corpus.places import base_of
from backend.corpus.planning import Plan, Planned, plan_import, with_columns
from backend.corpus.pool import CopyChunks, CopyPool, Result
from backend.corpus.recipe import Recipe
from backend.corpus.record import Field as Column
from backend.corpus.record import Source
from backend.corpus.sharding import copy_on_cluster
from backend.corpus.sources import find_source
from backend.jobs.cluster.driver import connected
from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState
from backend.jobs.queue import submit
from backend.store.database import Database
from backend.store.tables import NAME_LENGTH

KIND = "import"
CHUNK = 64
"""Images that are copied, and then catalogued, together."""


class ImportTask(BaseModel):
    """A dataset to be imported from a folder, or from one zip.

    `name` is what it is called in the catalogue; `columns` names columns of its tables by field;
    `processes` None takes as many as there are processors.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    root: Path
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    recipe: Recipe
    columns: dict[Column, str] = {}
    processes: int | None = Field(None, ge=1, le=256)


def plan_task(source: str, root: Path, *, name: str | None = None, **choices: object) -> ImportTask:
    """A task with the dataset's own scale and name where nothing else is chosen.

    `choices` are the fields of Recipe, `columns` and `processes`; None means: not chosen.

    Raises:
        CorpusError: there is no such dataset, or a choice is out of range.
    """
    found = find_source(source)
    chosen = {key: value for key, value in choices.items() if value is not None}
    recipe = {key: chosen.pop(key) for key in Recipe.model_fields if key in chosen}
    return make_task(
        {
            "source": found.key,
            "root": root.expanduser().absolute(),
            "name": name or found.key,
            "recipe": {"side": found.side} | recipe,
            **chosen,
        }
    )


def make_task(values: Mapping[str, object]) -> ImportTask:
    """A task from the values of a form, a command line or a stored job.

    Raises:
        CorpusError: naming the field that is wrong.
    """
    try:
        return ImportTask.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "task"
        raise CorpusError(f"The {field} of an import cannot be used: {first['msg']}.") from error


def submit_import(db: Database, task: ImportTask, owner: str | None = None) -> str:
    """Queue an import; returns the job's id."""
    return submit(
        db,
        kind=KIND,
        payload=task.model_dump(mode="json"),
        title=import_title(task),
        owner=owner,
        total=0,
    )


def import_title(task: ImportTask) -> str:
    """What the job is called in lists."""
    return f"Import of {find_source(task.source).title} from {task.root.name}"


def run_import(context: JobContext, payload: dict[str, Any], _warm: WarmState) -> None:
    """Bring a dataset into the catalogue; killed at any point, it goes on where it was.

    Raises:
        DermaFluxError: the folder holds nothing of it, or the disk or the database refuses.
        JobStopped: cancelled, interrupted or lost; what is catalogued stays.
    """
    task = make_task(payload)
    source = with_columns(find_source(task.source), task.columns)
    require_no_relabelling(context.database, task.name)
    source = replace(source, rule=follow_record(context.database, task.name, source.rule))
    context.attempting = f"an import at {task.recipe.side} px"
    context.progress(0, 0, "looking at files and tables")
    bench = Bench(
        base=base_of(task.root),
        workspace=context.settings.workspace,
        folder=context.settings.corpus_dir.name,
        scratch=context.folder,
        recipe=task.recipe,
    )
    with _copying(context, bench, task.processes) as copy:
        plan = plan_import(source, task.root)
        _Import(context, task, source, plan).run(copy)


@contextmanager
def _copying(context: JobContext, bench: Bench, processes: int | None) -> Iterator[CopyChunks]:
    """What copies images: processes of this machine, or of the cluster that the settings name."""
    if context.settings.runner == "local":
        with CopyPool(bench, processes or os.cpu_count() or 1) as pool:
            yield pool.copy
        return
    with connected(context.settings):
        yield partial(copy_on_cluster, context, bench, processes)


class _Import:
    """Guards what an import has found so far."""

    def __init__(self, context: JobContext, task: ImportTask, source: Source, plan: Plan) -> None:
        self._context = context
        self._task = task
        self._source = source
        self._plan = plan
        self._unreadable: list[LeftOut] = []
        self._gone: list[str] = []
        self._rule = source.rule.version
        self._known: deque[dict[str, dict[str, Any]]] = deque()
        self._changed = 0

    def run(self, copy: CopyChunks) -> None:
        """Copy, catalogue, and say what was left out."""
        context = self._context
        images = [*self._plan.images, *self._plan.dropped]
        chunks = [images[first : first + CHUNK] for first in range(0, len(images), CHUNK)]
        done = 0
        for chunk, results in zip(chunks, copy(self._originals(chunks)), strict=True):
            self._catalogue(chunk, results)
            done += len(chunk)
            context.progress(done, len(images), f"image {done:,} of {len(images):,}")
            context.check_cancelled()
        gone = remove_rows(context.database, self._task.name, self._gone)
        left_out = self._left_out()
        write_left_out(context.database, self._task.name, left_out)
        dropped = sum(one.reason is Reason.DROPPED for one in left_out)
        kept = len(images) - len(self._unreadable) - dropped
        context.log(
            f"{kept:,} images of {self._source.title} are in the catalogue: {self._changed:,} new "
            f"or changed, {gone:,} taken out; {len(left_out):,} rows and files left out"
        )

    def _left_out(self) -> list[LeftOut]:
        """What was left out; of an image that cannot be read, it does not matter what drops it."""
        unreadable = {one.place for one in self._unreadable}
        planned = [
            one
            for one in self._plan.left_out
            if one.reason is not Reason.DROPPED or one.place not in unreadable
        ]
        return [*planned, *self._unreadable]

    def _originals(self, chunks: Sequence[Sequence[Planned]]) -> Iterator[list[Original]]:
        recipe = self._task.recipe.name
        for chunk in chunks:
            ids = [self._id(planned) for planned in chunk]
            known = known_rows(self._context.database, ids)
            self._known.append(known)
            originals = []
            for planned in chunk:
                row = known.get(self._id(planned), {})
                known_hash = row.get("byte_hash", "") if row.get("recipe") == recipe else ""
                originals.append(Original(planned.item, known_hash))
            yield originals

    def _catalogue(self, chunk: Sequence[Planned], results: Sequence[Result]) -> None:
        known = self._known.popleft()
        rows = []
        for planned, result in zip(chunk, results, strict=True):
            if isinstance(result, LeftOut):
                self._unreadable.append(result)
                self._gone.append(planned.facts.source_id)
                continue
            pixels = known[self._id(planned)] if result is None else _pixel_columns(result)
            rows.append(self._row(planned, pixels))
        if rows:
            self._changed += write_rows(self._context.database, rows)

    def _id(self, planned: Planned) -> str:
        return image_id(self._task.name, planned.facts.source_id)

    def _row(self, planned: Planned, pixels: Mapping[str, Any]) -> dict[str, Any]:
        facts = planned.facts
        row = {
            **pixels,
            "id": self._id(planned),
            "dataset": self._task.name,
            "source_id": facts.source_id[:NAME_LENGTH],
            "source_path": planned.item.place,
            "patient": facts.patient[:NAME_LENGTH],
            "lesion": facts.lesion[:NAME_LENGTH],
            "diagnosis": facts.diagnosis[:NAME_LENGTH],
            "diagnosis_given": facts.diagnosis_given[:NAME_LENGTH],
            "target": own_label(facts.target)[:NAME_LENGTH],
            "label": planned.label,
            "rule": self._rule,
            "modality": facts.modality,
            "skin_tone": facts.skin_tone,
            "site": facts.site,
            "age": facts.age,
            "sex": facts.sex,
            "split": facts.split,
            "synthetic": self._source.synthetic,
            "recipe": self._task.recipe.name,
        }
        return row | {"cell": cell_id(row)}


def _pixel_columns(copied: Copied) -> dict[str, Any]:
    return {
        "width": copied.width,
        "height": copied.height,
        "bytes": copied.bytes,
        "byte_hash": copied.byte_hash,
        "pixel_hash": copied.pixel_hash,
        "file": copied.file,
        "thumbnail": copied.thumbnail,
    }
