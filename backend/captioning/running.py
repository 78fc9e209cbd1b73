"""The job that captions images of the corpus: resumable, nothing twice."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backend.captioning import archive, measured
from backend.captioning.checks import check_caption
from backend.captioning.errors import CaptioningError
from backend.captioning.keeping import Captioning
from backend.captioning.measuring import Done, Work, caption_images
from backend.captioning.prompts import checked_prompt
from backend.captioning.records import AT_ONCE, NewCaption, keep_captions, seen_on
from backend.captioning.task import OPENAI, TRANSFORMERS, CaptionTask, images_words
from backend.captioning.versions import CaptionerVersion, remember_version
from backend.corpus.queries import CorpusFilter, CorpusView, iterate_corpus
from backend.jobs.context import JobContext
from backend.jobs.executors import each_in_processes, in_chunks
from backend.jobs.kinds import WarmState
from backend.jobs.queue import submit
from backend.settings import Settings
from backend.store.database import Database

KIND = "caption"
CAPTIONERS = (measured.NAME, TRANSFORMERS, OPENAI, archive.NAME)
NAMED = 100
"""Images that are named in the log where captions find none."""
CHUNK = 16
"""Images that are measured, and then kept, together."""


def submit_captions(db: Database, task: CaptionTask, owner: str | None = None) -> str:
    """Queue the captioning; returns the id of the job. `check_task` says before what would stop it.

    Raises:
        CaptioningError: there is no such captioner, or it is not told enough.
    """
    _require_known(task)
    return submit(
        db,
        kind=KIND,
        payload=task.model_dump(mode="json"),
        title=caption_title(task),
        owner=owner,
        total=0,
    )


def check_task(settings: Settings, task: CaptionTask) -> None:
    """Whether the captioner of a task is here and may be used, before a job is made of it.

    Raises:
        DermaFluxError: the model is not here, or the server is outside without a yes, or its key
            cannot be read.
    """
    _require_known(task)
    if task.captioner == TRANSFORMERS:
        from backend.captioning.vision.folders import find_vision_model

        find_vision_model(settings, task.model)
    elif task.captioner == OPENAI:
        from backend.captioning.server.running import check_server

        check_server(task)


def caption_title(task: CaptionTask) -> str:
    """What the job is called in lists."""
    model = f", {Path(task.model).name}" if task.model else ""
    return f"Captions for {images_words(task.subset, task.dataset)} ({task.captioner}{model})"


def run_captions(context: JobContext, payload: dict[str, Any], warm: WarmState) -> None:
    """Caption every image that has no caption by this captioner yet.

    Raises:
        CaptioningError: the task cannot be read, or there is nothing to caption, or what the
            captioner needs is missing.
        CorpusError: there is no such subset.
        MemoryError, torch.OutOfMemoryError: a model has no room.
        JobStopped: cancelled, interrupted or lost; captions that were kept stay.
    """
    try:
        task = CaptionTask.model_validate(payload)
    except ValidationError as error:
        raise CaptioningError("The task of this job cannot be read: start it again.") from error
    _require_known(task)
    images = _images(context, task)
    if task.captioner == TRANSFORMERS:
        _describe(context, task, images, warm)
    elif task.captioner == OPENAI:
        from backend.captioning.server.running import caption_with_server

        caption_with_server(context, task, images)
    elif task.archive is not None:
        _take_from_archive(context, task.archive, images)
    else:
        _measure(context, task, images)


def _images(context: JobContext, task: CaptionTask) -> list[CorpusView]:
    criteria = CorpusFilter(dataset=task.dataset) if task.dataset else None
    images = list(iterate_corpus(context.database, context.settings, criteria, subset=task.subset))
    if not images:
        raise CaptioningError("There are no images to caption: import a dataset first.")
    return images


def _describe(
    context: JobContext, task: CaptionTask, images: Sequence[CorpusView], warm: WarmState
) -> None:
    if context.settings.runner == "ray":
        from backend.captioning.sharding import describe_on_cluster

        describe_on_cluster(context, task, images)
    else:
        from backend.captioning.vision.running import caption_with_model

        caption_with_model(context, task, images, warm)


def _measure(context: JobContext, task: CaptionTask, images: Sequence[CorpusView]) -> None:
    prompt = measured.prompt_version()
    version = CaptionerVersion(measured.NAME, prompt, "the ABC meter", prompt, "")
    captioning = Captioning(context, task, version, images)
    for results in _measured(context, task, list(in_chunks(captioning.left, CHUNK))):
        captioning.keep(results)
    captioning.close()


def _measured(
    context: JobContext, task: CaptionTask, chunks: Sequence[list[Work]]
) -> Iterator[list[Done]]:
    if context.settings.runner == "ray":
        from backend.captioning.sharding import measure_on_cluster

        return measure_on_cluster(context, task.processes, chunks)
    processes = task.processes or context.settings.threads or os.cpu_count() or 1
    return each_in_processes(caption_images, chunks, processes)


def _take_from_archive(context: JobContext, file: Path, images: Sequence[CorpusView]) -> None:
    prompt, given = archive.prompt_version(file), archive.read_archive(file)
    version = CaptionerVersion(archive.NAME, prompt, file.name, prompt, "")
    remember_version(context.database, version)
    for problem in given.problems[:NAMED]:
        context.log(problem, "warning")
    matched, unknown = archive.match(given.entries, images)
    for name in unknown[:NAMED]:
        context.log(f"The caption file names {name}, which is not in the corpus.", "warning")
    if len(unknown) > NAMED:
        context.log(f"{len(unknown) - NAMED:,} more images of it are not there.", "warning")
    labels = {image.id: image.label for image in images}
    done = 0
    for chunk in in_chunks(matched.items(), AT_ONCE):
        seen = seen_on(context.database, [image_id for image_id, _ in chunk])
        captions = [
            NewCaption(
                image_id,
                text,
                "",
                check_caption(text, seen=seen.get(image_id, ("", None))[1], label=labels[image_id]),
            )
            for image_id, text in chunk
        ]
        keep_captions(context.database, archive.NAME, prompt, captions, {})
        done += len(chunk)
        context.progress(done, len(matched), f"{done:,} of {len(matched):,} captions taken")
        context.check_cancelled()
    context.log(
        f"{len(matched):,} captions taken, {len(unknown):,} for images that are not there, "
        f"{len(given.problems):,} that cannot be used"
    )


def _require_known(task: CaptionTask) -> None:
    if task.captioner not in CAPTIONERS:
        names = f"{', '.join(CAPTIONERS[:-1])} or {CAPTIONERS[-1]}"
        raise CaptioningError(f"There is no captioner called {task.captioner}: use {names}.")
    if task.captioner == archive.NAME and task.archive is None:
        raise CaptioningError("No caption file is given: say which with --archive FILE.")
    if task.captioner in (TRANSFORMERS, OPENAI):
        checked_prompt(task.prompt)
    if task.captioner == OPENAI and task.server is None:
        raise CaptioningError("No server is given: say which with --base-url ADDRESS.")
    if task.captioner == OPENAI and not task.model:
        raise CaptioningError("No model is given: say which one of the server with --model NAME.")
