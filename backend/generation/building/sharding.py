"""Makes the candidates of a build on a Ray cluster, ahead of the place that is being decided.

A candidate depends on the task, its place and its attempt alone, so it does not matter who makes
it when; the choice among candidates stays with one process, in the order of the places. What is
made waits as files in the folder of the job, where a build that was killed finds it again.
"""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from pydantic import TypeAdapter

from backend.files import read_file, remove_file, write_file
from backend.generation.arrivals import Arrival, keep_image
from backend.generation.building.filling import Filling, Made
from backend.generation.building.judging import Judgement, judge
from backend.generation.building.task import (
    BuildTask,
    Place,
    candidate_request,
    kept_table,
    label_words,
    places,
)
from backend.generation.building.waves import Number, next_wave
from backend.generation.provenance import read_png, write_png
from backend.generation.running import GenerationRun, preview_file, warm_model
from backend.images import read_image
from backend.jobs.cluster.driver import Room, room_on_gpus, room_on_processors, spread
from backend.jobs.cluster.shard import open_shard
from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState
from backend.jobs.queue import JobView
from backend.settings import Settings

AHEAD = 256
"""Candidates that a worker makes before it ends, and with it the model that it holds."""

_JUDGEMENT = TypeAdapter(Judgement)


class ClusterMaker:
    """Guards candidates that the cluster has made and no place has taken yet."""

    def __init__(self, context: JobContext, filling: Filling) -> None:
        self._context = context
        self._filling = filling
        self._room = build_room(context.settings)
        self._judged = dict(_waiting(context.folder))
        self._wave: Iterator[str] = iter(())
        self._numbers: Iterator[Number] = iter(())

    def __call__(self, place: Place, attempt: int) -> Made:
        """The candidate, once the cluster has made it.

        Raises:
            DermaFluxError, MemoryError, JobStopped: as `run_build`, and ClusterError.
        """
        number = place.position, attempt
        while number not in self._judged:
            self._take_next(place, attempt)
        return Made(self._judged[number], partial(self._keep, place, attempt))

    def forget(self) -> None:
        """Remove the candidates that no place has taken; raises FileError."""
        for file in self._context.folder.glob("candidate-*"):
            remove_file(file)

    def _take_next(self, place: Place, attempt: int) -> None:
        """Take in the next candidate; where none is on its way, have more made."""
        text = next(self._wave, None)
        if text is None:
            words = self._start_wave(place, attempt)
        else:
            self._judged[next(self._numbers)] = _JUDGEMENT.validate_json(text)
            words = f"{self._filling.rejected} rejected"
        self._report(place, words)
        self._context.check_cancelled()

    def _start_wave(self, place: Place, attempt: int) -> str:
        """Have candidates made from this one on; says how many, and by how many."""
        context, filling, room = self._context, self._filling, self._room
        wave = next_wave(filling, place, attempt, self._judged, AHEAD * room.workers)
        workers = min(room.workers, len(wave))
        words = f"{len(wave):,} candidates asked of {workers} workers of the cluster"
        context.log(words)
        captions = [filling.spots[position].row.caption for position, _ in wave]
        arguments = context.settings, context.job, filling.task, captions
        self._numbers = iter(wave)
        self._wave = spread(context, CandidateWorker, arguments, list(map(json.dumps, wave)), room)
        return words

    def _report(self, place: Place, words: str) -> None:
        task, total = self._filling.task, len(self._filling.spots)
        ahead = sum(
            position >= place.position and attempt < task.best_of
            for position, attempt in self._judged
        )
        message = (
            f"image {place.position + 1} of {total} ({label_words(place.label)}), "
            f"{ahead} candidates ahead, {words}"
        )
        done = (place.position * task.best_of + ahead) * task.steps
        self._context.progress(done, total * task.best_of * task.steps, message)

    def _keep(self, place: Place, attempt: int) -> None:
        context = self._context
        file = _png(context.folder, (place.position, attempt))
        arrival = Arrival(context.job.id, place.position, read_image(file), read_png(file))
        keep_image(context.settings, context.database, arrival)
        remove_file(preview_file(context.folder, place.position))
        for number in [number for number in self._judged if number[0] == place.position]:
            del self._judged[number]
            remove_file(_json(context.folder, number))
            remove_file(_png(context.folder, number))


class CandidateWorker:
    """A process of the cluster that makes candidates; guards the model that it makes them with.

    `captions` are those of the candidates to come.
    """

    def __init__(
        self, settings: Settings, job: JobView, task: BuildTask, captions: Sequence[str]
    ) -> None:
        self._settings = settings
        self._job = job
        self._task = task
        self._captions = captions
        self._spots: Sequence[Place] = ()
        self._run: GenerationRun | None = None

    def __call__(self, number: str) -> str:
        """Make candidate [position, attempt] into the folder of the job; its judgement as JSON.

        Raises:
            DermaFluxError, MemoryError, JobStopped: as `run_build`, and ClusterError where this
                machine does not see the workspace.
        """
        position, attempt = json.loads(number)
        run = self._run or self._open()
        place = self._spots[position]
        request = candidate_request(self._task, place, attempt)
        pixels = run.render(position, request, lambda _index: None)
        judgement, _ = judge(pixels, place.row.attributes, self._task.rules)
        text = _JUDGEMENT.dump_json(judgement)
        folder = self._settings.jobs_dir / self._job.id
        write_png(_png(folder, (position, attempt)), pixels, run.provenance(request))
        write_file(_json(folder, (position, attempt)), text)
        return text.decode()

    def _open(self) -> GenerationRun:
        context = open_shard(self._settings, self._job)
        self._spots = places(self._task, kept_table(self._settings, self._task))
        first = candidate_request(self._task, self._spots[0], 0)
        model = warm_model(context, first, WarmState(), self._captions)
        self._run = GenerationRun(context, model, first.loras, self._captions)
        return self._run


def build_room(settings: Settings) -> Room:
    """One worker a GPU; without any, one for as many processors as an image is made with here.

    The number of threads is the same on all machines, as the last bits of an image depend on it.
    """
    from backend.generation.pipelines import physical_cores

    gpus = room_on_gpus() if settings.device != "cpu" else None
    return gpus or room_on_processors(settings.threads or physical_cores())


def _waiting(folder: Path) -> Iterator[tuple[Number, Judgement]]:
    """The candidates that an earlier attempt at the job left, the picture of each on the disk."""
    for file in sorted(folder.glob("candidate-*.json")):
        _, position, attempt = file.stem.split("-")
        yield (int(position), int(attempt)), _JUDGEMENT.validate_json(read_file(file))


def _png(folder: Path, number: Number) -> Path:
    return folder / f"candidate-{number[0]}-{number[1]}.png"


def _json(folder: Path, number: Number) -> Path:
    """Written after the picture, so that it says that the picture is there."""
    return _png(folder, number).with_suffix(".json")
