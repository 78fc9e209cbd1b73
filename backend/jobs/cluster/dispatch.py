"""Hands queued jobs to the cluster, and ends those whose process died there."""

import logging
import threading

from backend.errors import DermaFluxError
from backend.jobs.cluster.errors import require_ray
from backend.jobs.cluster.submission import Submission, submission_id, submissions, submit
from backend.jobs.kinds import SHARDED
from backend.jobs.queue import JobView, list_jobs, refuse, say
from backend.jobs.reconcile import MANY, end_orphan
from backend.jobs.states import OPEN, JobState
from backend.settings import Settings
from backend.store.database import Database
from backend.store.errors import StoreError

CHECK_EVERY_S = 2.0
STOP_WITHIN_S = 5.0
NOT_STARTED = (
    "The cluster could not start this job: `python -m backend cluster check` says what is "
    "missing; then press Retry."
)
HANDED_OVER = "handed to the cluster"

log = logging.getLogger(__name__)


class Dispatcher:
    """Guards the thread that looks at the queue for the cluster."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look; returns at once. Raises ClusterError where Ray is not installed."""
        require_ray()
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End looking; jobs on the cluster go on."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(STOP_WITHIN_S)  # a cluster that is unwell may take minutes to answer
            self._thread = None

    def _run(self) -> None:
        while not self._stopping.wait(CHECK_EVERY_S):
            try:
                dispatch(self._settings, self._database)
            except Exception:
                log.exception("cluster not looked after")


def dispatch(settings: Settings, db: Database) -> None:
    """Bring cluster and job table together once; what stands in the way is said in the queue.

    One job of a kind is on the cluster at a time, as it would be here.
    """
    jobs = list_jobs(db, states=OPEN, kinds=SHARDED, limit=MANY)
    jobs.sort(key=lambda job: (job.queued_at, job.id))
    if not jobs:
        return
    try:
        known = submissions(settings)
        for kind in SHARDED:
            _dispatch_kind(settings, db, [job for job in jobs if job.kind == kind], known)
    except StoreError:
        log.warning("queue not readable", exc_info=True)
    except DermaFluxError as error:
        log.warning("job not handed over", exc_info=True)
        for job in jobs:
            say(db, job, str(error))


def _dispatch_kind(
    settings: Settings, db: Database, jobs: list[JobView], known: dict[str, Submission]
) -> None:
    """Settle the jobs of a kind, oldest first, and submit the first that waits if none is there."""
    there = False
    for job in jobs:
        submission = known.get(submission_id(job))
        if submission is None:
            there = there or job.state is JobState.RUNNING
        elif not submission.ended:
            there = True
        elif job.state is JobState.RUNNING:
            end_orphan(db, settings, job)
        elif refuse(db, job, NOT_STARTED):
            log.warning("job did not start on the cluster", extra={"job": job.id})
    waiting = [job for job in jobs if job.state is JobState.QUEUED]
    new = [job for job in waiting if submission_id(job) not in known]
    if new and not there:
        submit(settings, new[0])
        say(db, new[0], HANDED_OVER)
        log.info("job handed to the cluster", extra={"job": new[0].id, "kind": new[0].kind})
