"""Training runs as they stand: what their files and their jobs say, and nothing else."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from backend.finetuning.config import TrainingConfig
from backend.finetuning.errors import FinetuningError
from backend.finetuning.metrics import Curve, measure_run
from backend.finetuning.run_folder import (
    Phase,
    RunFolder,
    Status,
    Wish,
    find_run,
    list_runs,
    read_config,
    read_status,
    wishes,
)
from backend.finetuning.submitting import newest_jobs, read_notes, run_title
from backend.jobs.queue import JobView, queue_position
from backend.jobs.states import JobState
from backend.settings import Settings
from backend.store.database import Database

SILENT_AFTER_S = 120.0
"""A program that no job watches, and that said nothing for so long, is taken for gone."""
PREPARING = (Phase.STARTING, Phase.CACHING, Phase.ENCODING, Phase.DRY_RUN)
ENDED = (Phase.DONE, Phase.STOPPED, Phase.FAILED)
UNREADABLE = "Its configuration cannot be read: remove the run, and start a new one."


class RunState(StrEnum):
    """How a run stands."""

    PLANNED = "planned"
    QUEUED = "queued"
    CACHING = "caching"
    TRAINING = "training"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    DONE = "done"
    FAILED = "failed"

    @property
    def open(self) -> bool:
        """Whether something happens to the run by itself."""
        return self in (RunState.QUEUED, RunState.CACHING, RunState.TRAINING)

    @property
    def can_resume(self) -> bool:
        """Whether the run can be begun, or go on."""
        return not self.open and self is not RunState.DONE


@dataclass(frozen=True)
class RunView:
    """A run as it stands; `config` is None where its file cannot be read.

    `wished` was asked and not done yet; `position` is its place in the queue.
    """

    id: str
    title: str
    folder: RunFolder
    state: RunState
    config: TrainingConfig | None
    status: Status | None
    job: JobView | None
    position: int | None
    error: str | None
    wished: frozenset[Wish]
    notes: str

    @property
    def begun_at(self) -> datetime:
        """When it was planned, in local time."""
        return datetime.fromtimestamp(self.folder.config.stat().st_mtime, UTC).astimezone()

    @property
    def fraction(self) -> float:
        """Share of its steps that are done, 0 to 1."""
        if self.state is RunState.DONE:
            return 1.0
        if self.status is None or not self.status.steps:
            return 0.0
        return min(1.0, self.status.step / self.status.steps)

    @property
    def images_a_step(self) -> int:
        """How many images all processes see in one optimiser step."""
        if self.config is None:
            return 1
        return self.config.batch * self.config.accumulate * self.config.processes


@dataclass(frozen=True)
class RunFilter:
    """What a list of runs is narrowed to; empty means all. `text` is looked for in title, notes,
    base and data."""

    text: str = ""
    state: RunState | None = None
    base: str = ""

    def admits(self, view: RunView) -> bool:
        """Whether a run is let through."""
        if self.state is not None and view.state is not self.state:
            return False
        config = view.config
        if self.base and (config is None or config.base != self.base):
            return False
        said = [view.title, view.notes, view.id]
        if config is not None:
            data = config.data
            said += [config.base, data.caption_set or "", data.subset or "", str(data.folder or "")]
        return self.text.strip().casefold() in "\n".join(said).casefold()


def find_runs(db: Database, settings: Settings) -> list[RunView]:
    """All runs, the newest first."""
    jobs = newest_jobs(db)
    return [_view(db, run, jobs.get(run.path.name)) for run in list_runs(settings)]


def get_run(db: Database, settings: Settings, run_id: str) -> RunView:
    """One run; raises FinetuningError where there is none."""
    return _view(db, find_run(settings, run_id), newest_jobs(db).get(run_id))


def metrics_mark(run: RunFolder) -> int:
    """Changes when the metrics of a run have grown by a hundredth, or were cut by a resume.

    What is drawn from them is drawn again then, and not at every step of a long run.
    """
    try:
        size = run.metrics.stat().st_size
    except OSError:
        return 0
    return round(100 * math.log(size)) if size else 0


@dataclass(frozen=True)
class Difference:
    """A setting in which runs differ, with its value in each."""

    setting: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """Runs beside each other: what differs, and their curves over images seen.

    `smoothed` and `validation` hold one curve a run, whose `steps` count images.
    """

    runs: tuple[RunView, ...]
    differences: tuple[Difference, ...]
    smoothed: tuple[Curve, ...]
    validation: tuple[Curve, ...]
    agreement: tuple[Mapping[str, Curve], ...]


def compare_runs(db: Database, settings: Settings, run_ids: Sequence[str]) -> Comparison:
    """Two runs or more beside each other.

    Curves are aligned by images seen, since a step of one run may hold more images than one of
    another.

    Raises:
        FinetuningError: fewer than two runs, or one is gone.
    """
    if len(set(run_ids)) < 2:
        raise FinetuningError("Choose two runs or more to compare them.")
    views = tuple(get_run(db, settings, run_id) for run_id in dict.fromkeys(run_ids))
    measured = [measure_run(view.folder) for view in views]
    return Comparison(
        runs=views,
        differences=_differences(views),
        smoothed=tuple(
            _by_images(one.smoothed.thinned(), view)
            for one, view in zip(measured, views, strict=True)
        ),
        validation=tuple(
            _by_images(one.overall, view) for one, view in zip(measured, views, strict=True)
        ),
        agreement=tuple(
            {name: _by_images(curve, view) for name, curve in one.agreement.items()}
            for one, view in zip(measured, views, strict=True)
        ),
    )


def setting_words(config: TrainingConfig) -> dict[str, str]:
    """Every setting of a run by its dotted name, in words."""
    words: dict[str, str] = {}
    for name, value in config.model_dump(mode="json").items():
        if isinstance(value, dict):
            words |= {f"{name}.{inner}": _words(one) for inner, one in value.items()}
        else:
            words[name] = _words(value)
    return words


def _words(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(str(one) for one in value) or "none"
    return str(value) or "not set"


def _differences(views: Sequence[RunView]) -> tuple[Difference, ...]:
    settings = [setting_words(view.config) if view.config else {} for view in views]
    names = dict.fromkeys(name for one in settings for name in one if name != "title")
    rows = [
        Difference(name, tuple(one.get(name, "not known") for one in settings)) for name in names
    ]
    return tuple(row for row in rows if len(set(row.values)) > 1)


def _by_images(curve: Curve, view: RunView) -> Curve:
    return Curve(tuple(step * view.images_a_step for step in curve.steps), curve.values)


def _view(db: Database, run: RunFolder, job: JobView | None) -> RunView:
    status = read_status(run)
    config, error = None, None
    try:
        config = read_config(run)
    except FinetuningError:
        error = UNREADABLE
    state = _state(run, status, job)
    queued = state is RunState.QUEUED and job is not None
    return RunView(
        id=run.path.name,
        title=run_title(run),
        folder=run,
        state=state,
        config=config,
        status=status,
        job=job,
        position=queue_position(db, job.id) if queued and job else None,
        error=error or _error(state, status, job),
        wished=wishes(run) if state.open else frozenset(),
        notes=read_notes(run),
    )


def _state(run: RunFolder, status: Status | None, job: JobView | None) -> RunState:
    if job is not None and job.state is JobState.QUEUED:
        return RunState.QUEUED
    at_work = job is not None and job.state is JobState.RUNNING
    if job is None and status is not None and status.phase not in ENDED:
        at_work = _spoke_lately(run)
    if at_work:
        preparing = status is None or status.phase in PREPARING
        return RunState.CACHING if preparing else RunState.TRAINING
    if status is not None and status.phase is Phase.DONE:
        return RunState.DONE
    if job is None or job.state is JobState.DONE:
        return _by_status(status)
    return {
        JobState.CANCELLED: RunState.STOPPED,
        JobState.INTERRUPTED: RunState.INTERRUPTED,
    }.get(job.state, RunState.FAILED)


def _by_status(status: Status | None) -> RunState:
    """How a run that no job watches ended, by its own words."""
    if status is None:
        return RunState.PLANNED
    return {Phase.STOPPED: RunState.STOPPED, Phase.FAILED: RunState.FAILED}.get(
        status.phase, RunState.INTERRUPTED
    )


def _spoke_lately(run: RunFolder) -> bool:
    newest = 0.0
    for file in (run.status, run.metrics, run.log):
        try:
            newest = max(newest, file.stat().st_mtime)
        except OSError:
            continue
    return abs(time.time() - newest) < SILENT_AFTER_S


def _error(state: RunState, status: Status | None, job: JobView | None) -> str | None:
    if state.open or state is RunState.STOPPED:
        return None
    if job is not None and job.error:
        return job.error
    return status.error if status is not None and state is RunState.FAILED else None
