"""Brings the job table back to the truth after a worker died."""

import json
import logging
import shutil
from pathlib import Path

from backend.jobs.context import PARTIAL_PATHS
from backend.jobs.processes import WorkerIdentity, is_alive
from backend.jobs.queue import JobView, finish, list_jobs
from backend.jobs.states import JobState
from backend.jobs.workers import is_heard
from backend.settings import Settings
from backend.store.database import Database

MANY = 1000
INTERRUPTED = (
    "The worker process ended in the middle of this job (stopped, killed, or out of memory): "
    "press Retry to finish it; what it has made is kept."
)

log = logging.getLogger(__name__)


def reconcile(db: Database, settings: Settings | None = None) -> list[str]:
    """End running jobs whose worker is gone as interrupted; returns their ids.

    A job that was being cancelled becomes cancelled. With settings, the temporary files that
    the dead worker left are deleted first, so that nobody can retry the job in between.
    """
    running = list_jobs(db, states=[JobState.RUNNING], limit=MANY)
    return [job.id for job in running if is_orphan(db, job) and end_orphan(db, settings, job)]


def end_orphan(db: Database, settings: Settings | None, job: JobView) -> bool:
    """End a running job whose process is gone; False where it has ended already."""
    if settings is not None:
        delete_partial_files(settings, job.id)
    state = JobState.CANCELLED if job.cancel_requested else JobState.INTERRUPTED
    if not finish(db, job, state, INTERRUPTED if state is JobState.INTERRUPTED else None):
        return False
    log.warning("job lost its worker", extra={"job": job.id, "worker": job.worker_pid})
    return True


def delete_partial_files(settings: Settings, job_id: str) -> None:
    """Delete previews, half-written files and folders of a job that no longer runs.

    One that another program holds open stays until the job is retried.
    """
    folder = settings.jobs_dir / job_id
    leftovers = [*folder.glob("preview-*"), *folder.glob("*.partial"), *_partial_paths(folder)]
    for root in (settings.images_dir, settings.thumbnails_dir):
        leftovers += [*root.glob(f"{job_id}*.partial"), *(root / job_id).glob("*.partial")]
    for file in leftovers:
        try:
            if file.is_dir():
                shutil.rmtree(file)
            else:
                file.unlink(missing_ok=True)
        except OSError:
            log.warning("leftover not deleted", extra={"job": job_id}, exc_info=True)


def is_orphan(db: Database, job: JobView) -> bool:
    """Whether a running job's worker is gone."""
    worker = WorkerIdentity(job.worker_host or "", job.worker_pid or 0, job.worker_started or 0.0)
    return not (is_alive(worker) if worker.is_here else is_heard(db, worker))


def _partial_paths(folder: Path) -> list[Path]:
    """What `JobContext.leaves_partial` named, and that list itself, last."""
    listed = folder / PARTIAL_PATHS
    try:
        paths = [Path(path) for path in json.loads(listed.read_text("utf-8"))]
    except (OSError, TypeError, ValueError):
        return []
    return [*(path for path in paths if path.name.endswith("partial")), listed]
