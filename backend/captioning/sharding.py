"""Captions on a Ray cluster: its workers measure and describe, this process keeps what they say."""

from collections.abc import Callable, Iterator, Sequence

from pydantic import TypeAdapter

from backend.captioning.measuring import Done, Work, caption_images
from backend.captioning.task import CaptionTask, Precision
from backend.captioning.vision.describing import Describer, described
from backend.captioning.vision.folders import VisionModel, find_vision_model
from backend.captioning.vision.running import known_of, open_captioning, open_describer
from backend.corpus.queries import CorpusView
from backend.jobs.cluster.driver import (
    MakeWorker,
    Room,
    connected,
    room_on_gpus,
    room_on_processors,
    spread,
)
from backend.jobs.cluster.shard import ShardContext, open_shard
from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState
from backend.jobs.queue import JobView
from backend.settings import Settings

CHUNKS_AT_ONCE = 1_024
"""Chunks that the cluster gets together."""

_WORKS = TypeAdapter(list[Work])
_DONE = TypeAdapter(list[Done])


def measure_on_cluster(
    context: JobContext, processes: int | None, chunks: Sequence[list[Work]]
) -> Iterator[list[Done]]:
    """The measured captions of each chunk, in order, by as many workers as there is room for.

    Raises:
        ClusterError: a machine does not see the workspace, or there is no cluster.
        JobStopped: the job has to end.
    """
    with connected(context.settings):
        room = room_on_processors(1)
        room = Room(min(room.workers, processes or room.workers), room.resources)
        yield from _spread(context, MeasureWorker, (context.settings, context.job), chunks, room)


def describe_on_cluster(
    context: JobContext, task: CaptionTask, images: Sequence[CorpusView]
) -> None:
    """Caption every image that this version of the model has not, a model on each GPU.

    A cluster without GPUs runs as many models as its processors have room for.

    Raises:
        CaptioningError: the model is not here, cannot be loaded, or does not fit on a worker.
        ClusterError: a machine does not see the workspace, or there is no cluster.
        MemoryError, torch.OutOfMemoryError: not even one image at a time fits.
        JobStopped: cancelled, interrupted or lost; captions that were kept stay.
    """
    from backend.generation.pipelines import physical_cores

    model = find_vision_model(context.settings, task.model)
    with connected(context.settings):
        gpus = room_on_gpus() if context.settings.device != "cpu" else None
        room = gpus or room_on_processors(context.settings.threads or physical_cores())
        precision = task.precision if task.precision != "auto" else _native(gpus)
        captioning = open_captioning(context, task, model, precision, images)
        if captioning.left:
            context.log(f"{model.title} in {precision} on {room.workers} workers of the cluster")
        chunks = [
            captioning.left[first : first + task.batch]
            for first in range(0, len(captioning.left), task.batch)
        ]
        arguments = context.settings, context.job, task, precision
        for results in _spread(context, DescribeWorker, arguments, chunks, room):
            captioning.keep(results)
        captioning.close()


class MeasureWorker:
    """Measures images in a process of the cluster."""

    def __init__(self, settings: Settings, job: JobView) -> None:
        self._open: Callable[[], ShardContext] = lambda: open_shard(settings, job)
        self._context: ShardContext | None = None

    def __call__(self, chunk: str) -> str:
        """The captions of a chunk; both are JSON. Raises ClusterError and JobStopped."""
        self._context = self._context or self._open()
        self._context.check_cancelled()
        return _DONE.dump_json(caption_images(_WORKS.validate_json(chunk))).decode()


class DescribeWorker:
    """Describes images in a process of the cluster; guards the model that does it."""

    def __init__(
        self, settings: Settings, job: JobView, task: CaptionTask, precision: Precision
    ) -> None:
        self._settings = settings
        self._job = job
        self._task = task
        self._precision = precision
        self._opened: tuple[ShardContext, Describer] | None = None

    def __call__(self, chunk: str) -> str:
        """The captions of a chunk; both are JSON. Raises as `describe_on_cluster`."""
        context, describer = self._opened = self._opened or self._open()
        context.check_cancelled()
        works = _WORKS.validate_json(chunk)
        parts = described(describer, works, known_of(context.database, works))
        return _DONE.dump_json([done for part in parts for done in part]).decode()

    def _open(self) -> tuple[ShardContext, Describer]:
        context = open_shard(self._settings, self._job)
        model: VisionModel = find_vision_model(self._settings, self._task.model)
        return context, open_describer(context, self._task, model, self._precision, WarmState())


def _spread(
    context: JobContext,
    worker: MakeWorker,
    arguments: tuple[object, ...],
    chunks: Sequence[list[Work]],
    room: Room,
) -> Iterator[list[Done]]:
    for first in range(0, len(chunks), CHUNKS_AT_ONCE):
        texts = [
            _WORKS.dump_json(chunk).decode() for chunk in chunks[first : first + CHUNKS_AT_ONCE]
        ]
        for text in spread(context, worker, arguments, texts, room):
            yield _DONE.validate_json(text)


def _native(gpus: Room | None) -> Precision:
    """The same on every machine: the precision is part of the version of a caption."""
    return "bfloat16" if gpus else "float32"
