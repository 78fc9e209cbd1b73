"""Captions by a vision-language model on this machine, or on the machines of a cluster."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from backend.captioning.keeping import Captioning
from backend.captioning.measuring import Done, Work
from backend.captioning.pictures import Known
from backend.captioning.prompts import LEAKS, names_label
from backend.captioning.records import AT_ONCE, seen_on
from backend.captioning.task import TRANSFORMERS, CaptionTask, Precision
from backend.captioning.versions import CaptionerVersion, version_of
from backend.captioning.vision.describing import Describer, described
from backend.captioning.vision.folders import VisionModel, find_vision_model, model_identity
from backend.captioning.vision.precision import choose_precision
from backend.corpus.queries import CorpusView
from backend.generation.models import file_fingerprint
from backend.jobs.context import JobContext
from backend.jobs.executors import in_chunks
from backend.jobs.kinds import WarmState
from backend.settings import Settings
from backend.store.database import Database

if TYPE_CHECKING:
    from backend.captioning.vision.loading import Loaded


def caption_with_model(
    context: JobContext, task: CaptionTask, images: Sequence[CorpusView], warm: WarmState
) -> None:
    """Caption every image that this version of the model has not captioned.

    Raises:
        CaptioningError: the model is not here, cannot be loaded, or does not fit.
        MemoryError, torch.OutOfMemoryError: not even one image at a time fits.
        JobStopped: cancelled, interrupted or lost; captions that were kept stay.
    """
    from backend.captioning.vision.loading import place_of
    from backend.generation.pipelines import choose_device

    model = find_vision_model(context.settings, task.model)
    place = place_of(choose_device(context.settings))
    choice = choose_precision(model.title, model.weights, place, task.precision)
    captioning = open_captioning(context, task, model, choice.precision, images)
    if captioning.left:
        context.log(choice.sentence)
        describer = open_describer(context, task, model, choice.precision, warm)
        for results in describe_all(context.database, describer, captioning.left):
            captioning.keep(results)
    captioning.close()


def open_captioning(
    context: JobContext,
    task: CaptionTask,
    model: VisionModel,
    precision: Precision,
    images: Sequence[CorpusView],
) -> Captioning:
    """What is left to do by this version of the model. Raises ModelError for damaged weights."""
    context.progress(0, len(images), f"looking at the files of {model.title}")
    if names_label(task.prompt):
        context.log(LEAKS, "warning")
    version = vision_version(context.settings, task, model, precision)
    return Captioning(context, task, version, images)


def vision_version(
    settings: Settings, task: CaptionTask, model: VisionModel, precision: Precision
) -> CaptionerVersion:
    """The version that a task makes captions of, in a precision."""
    identity = model_identity(settings, model.folder)
    decoding = {**task.decoding.model_dump(), "precision": precision}
    return version_of(TRANSFORMERS, model.name, identity, task.prompt, decoding)


def open_describer(
    context: JobContext,
    task: CaptionTask,
    model: VisionModel,
    precision: Precision,
    warm: WarmState,
) -> Describer:
    """The model, loaded unless the worker still holds it, and how many images it takes."""
    from backend.captioning.vision.loading import load_vision_model
    from backend.generation.layout import weight_files
    from backend.generation.pipelines import choose_device

    device = choose_device(context.settings)

    def load() -> "Loaded":
        context.progress(0, message=f"loading {model.title}")
        context.log(f"loading {model.title} on {device.name}, {device.threads} threads")
        return load_vision_model(model, device, precision)

    def attempt(batch: int) -> None:
        context.attempting = f"{batch} images at once with {model.title} in {precision}"
        context.remedy = "choose a lower precision"

    def halved(batch: int) -> None:
        context.log(f"memory ran out: going on with {batch} images at once", "warning")
        attempt(batch)

    attempt(task.batch)
    files = file_fingerprint(weight_files(model.folder))
    loaded = warm.get((TRANSFORMERS, model.folder, files, device, precision), load)
    return Describer(
        loaded, task.prompt, task.decoding, task.batch, halved, context.check_cancelled
    )


def describe_all(
    database: Database, describer: Describer, works: Iterable[Work]
) -> Iterator[list[Done]]:
    """What becomes of each image, in parts that can be kept."""
    for chunk in in_chunks(works, AT_ONCE):
        yield from described(describer, chunk, known_of(database, chunk))


def known_of(database: Database, works: Sequence[Work]) -> Callable[[Work], Known | None]:
    """What was seen before on each of these images."""
    seen = seen_on(database, [work.image_id for work in works])
    return lambda work: seen.get(work.image_id)
