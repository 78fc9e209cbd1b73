"""A job that a command hands to the cluster and waits for."""

import threading
import time
from collections.abc import Callable
from typing import Any

from backend.jobs.cluster.dispatch import CHECK_EVERY_S, dispatch
from backend.jobs.cluster.submission import stop, submissions
from backend.jobs.here import LOOK_EVERY_S, stopped_by_signals
from backend.jobs.queue import JobView, cancel, get_job, submit
from backend.jobs.reconcile import reconcile
from backend.jobs.states import JobState
from backend.settings import Settings
from backend.store.database import Database


def run_on_cluster(
    settings: Settings,
    database: Database,
    *,
    kind: str,
    payload: dict[str, Any],
    title: str,
    total: int,
    show: Callable[[JobView], None],
) -> JobView:
    """Submit a job, have the cluster do it, and return it as it ended; `show` gets it often.

    Ctrl+C and SIGTERM end it at its next step as interrupted; what it has made is kept.

    Raises:
        ClusterError: Ray is not installed, or the cluster does not answer; nothing is queued then.
    """
    submissions(settings)
    job_id = submit(database, kind=kind, payload=payload, title=title, total=total)
    stopping = threading.Event()
    asked = False
    looks = 0
    with stopped_by_signals(stopping):
        while not (job := get_job(database, job_id)).state.ended:
            show(job)
            if stopping.is_set() and not asked:
                _ask_to_end(settings, database, job)
                asked = True
            if looks % round(CHECK_EVERY_S / LOOK_EVERY_S) == 0:
                dispatch(settings, database)
                reconcile(database, settings)
            looks += 1
            time.sleep(LOOK_EVERY_S)
    return job


def _ask_to_end(settings: Settings, database: Database, job: JobView) -> None:
    """A job that the cluster has not begun is cancelled."""
    if job.state is JobState.QUEUED:
        cancel(database, job.id)
    else:
        stop(settings, job)
