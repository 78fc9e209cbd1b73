"""Which runs the Generate tab shows, found in the job table alone."""

from collections.abc import Collection
from datetime import timedelta

from backend.generation.gallery import GalleryFilter, finished_positions, query_images
from backend.generation.running import KIND
from backend.jobs.queue import JobView, list_jobs, queue_position
from backend.jobs.states import JobState
from backend.store.columns import now
from backend.store.database import Database
from studio.context import StudioContext
from studio.tabs.generate_progress import MAX_TILES, RunView

ENDED_SHOWN_FOR = timedelta(hours=1)
MAX_OPEN, MAX_ENDED = 4, 3
BROKEN = (JobState.FAILED, JobState.INTERRUPTED)


def find_runs(studio: StudioContext, dismissed: Collection[str]) -> list[RunView]:
    """Running first, then waiting in their order, then what ended lately and badly or last."""
    database = studio.database
    running = list_jobs(database, states=(JobState.RUNNING,), kinds=(KIND,), limit=MAX_OPEN)
    waiting = _waiting(database)[:MAX_OPEN]
    # A job that moves on between these questions is found twice: what was seen last is true.
    jobs = {job.id: job for job in [*running, *waiting, *_ended(database, dismissed)]}
    return [_run(studio, job, with_images=index == 0) for index, job in enumerate(jobs.values())]


def active_job(database: Database) -> JobView | None:
    """What Cancel means: the running job, else the one that is next."""
    running = list_jobs(database, states=(JobState.RUNNING,), kinds=(KIND,), limit=1)
    return next(iter([*running, *_waiting(database)]), None)


def _waiting(database: Database) -> list[JobView]:
    queued = list_jobs(database, states=(JobState.QUEUED,), kinds=(KIND,), limit=1000)
    return sorted(queued, key=lambda job: (job.queued_at, job.id))


def _ended(database: Database, dismissed: Collection[str]) -> list[JobView]:
    latest = list_jobs(database, kinds=(KIND,), limit=MAX_OPEN * MAX_ENDED)
    fresh = [
        job
        for job in latest
        if job.finished_at
        and job.state.ended
        and job.finished_at > now() - ENDED_SHOWN_FOR
        and job.id not in dismissed
    ]
    newest = latest[0].id if latest else None
    return [job for job in fresh if job.state in BROKEN or job.id == newest][:MAX_ENDED]


def _run(studio: StudioContext, job: JobView, *, with_images: bool) -> RunView:
    newest = MAX_TILES if with_images else 0
    return RunView(
        job=job,
        count=int(job.payload["count"]),
        finished=finished_positions(studio.database, job.id),
        images=query_images(
            studio.database, studio.settings, GalleryFilter(job_id=job.id), limit=newest
        ),
        folder=studio.settings.jobs_dir / job.id,
        position=queue_position(studio.database, job.id),
    )
