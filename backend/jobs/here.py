"""A job that runs in the process that asks for it: what the command line and the cluster do.

It is a job like any other: it shows among the jobs, no worker can take it, and where this process
dies it is ended as interrupted and can be tried again.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from backend.jobs.processes import WorkerIdentity
from backend.jobs.queue import JobView, claim, get_job, new_id
from backend.jobs.reconcile import reconcile
from backend.jobs.states import JobState
from backend.jobs.worker import Worker
from backend.jobs.workers import BEAT_EVERY_S, leave, report
from backend.settings import Settings
from backend.store.columns import now
from backend.store.database import Database
from backend.store.errors import StoreError
from backend.store.tables import Job

LOOK_EVERY_S = 0.5


def run_here(
    settings: Settings,
    database: Database,
    *,
    kind: str,
    payload: dict[str, Any],
    title: str,
    total: int,
    show: Callable[[JobView], None],
) -> JobView:
    """Submit a job, do it now, and return it as it ended; `show` gets it twice a second.

    Ctrl+C and SIGTERM end it at its next step as interrupted; what it has made is kept. Jobs that
    were killed before are ended first, and what they left half-written is removed.
    """
    reconcile(database, settings)
    worker = Worker(settings.model_copy(update={"runner": "local"}), database)
    job_id = _submit_claimed(database, worker.identity, kind, payload, title, total)
    return _run(worker, database, get_job(database, job_id), show)


def run_queued(
    settings: Settings, database: Database, job_id: str, show: Callable[[JobView], None]
) -> JobView:
    """Do a queued job now, on the cluster of this process where its kind shards; else as above.

    Raises JobError where it is not queued.
    """
    worker = Worker(settings, database)
    return _run(worker, database, claim(database, job_id, worker.identity), show)


@contextmanager
def stopped_by_signals(stopping: threading.Event) -> Iterator[None]:
    """Ctrl+C and SIGTERM set the event, and do nothing else."""
    names = [name for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]
    before = {name: signal.getsignal(getattr(signal, name)) for name in names}
    for name in names:
        signal.signal(getattr(signal, name), lambda _signal, _frame: stopping.set())
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def _run(
    worker: Worker, database: Database, job: JobView, show: Callable[[JobView], None]
) -> JobView:
    with (
        stopped_by_signals(worker.stopping),
        _watched(database, worker.identity, job.id, show),
    ):
        worker.run_job(job)
    return get_job(database, job.id)


def _submit_claimed(
    database: Database,
    worker: WorkerIdentity,
    kind: str,
    payload: dict[str, Any],
    title: str,
    total: int,
) -> str:
    job = Job(
        id=new_id(),
        kind=kind,
        payload=payload,
        title=title,
        total=total,
        state=JobState.RUNNING,
        started_at=now(),
        worker_host=worker.host,
        worker_pid=worker.pid,
        worker_started=worker.started,
    )
    with database.session() as session:
        session.add(job)
    return job.id


@contextmanager
def _watched(
    database: Database, worker: WorkerIdentity, job_id: str, show: Callable[[JobView], None]
) -> Iterator[None]:
    """Reports this process as a worker, and shows the job, while the job runs."""
    ended = threading.Event()
    beats = round(BEAT_EVERY_S / LOOK_EVERY_S)

    def watch() -> None:
        looks = 0
        while not ended.wait(LOOK_EVERY_S):
            try:
                if looks % beats == 0:
                    report(database, worker, ready=False, job_id=job_id)
                show(get_job(database, job_id))
            except StoreError:
                continue
            finally:
                looks += 1

    thread = threading.Thread(target=watch, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        leave(database, worker)
