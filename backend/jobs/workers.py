"""The table of worker processes: who is there, and what each is doing."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, delete, select

from backend.jobs.processes import WorkerIdentity, is_alive
from backend.jobs.queue import new_id
from backend.store.columns import now
from backend.store.database import Database
from backend.store.tables import WorkerProcess

BEAT_EVERY_S = 2.0
SILENT_AFTER = timedelta(seconds=60)


class WorkerStatus(StrEnum):
    """What the page says of the worker."""

    ABSENT = "absent"
    STARTING = "starting"
    IDLE = "idle"
    WORKING = "working"


@dataclass(frozen=True)
class WorkerState:
    """The busiest of the workers that live; `job_id` is what it works on."""

    status: WorkerStatus
    pid: int | None = None
    job_id: str | None = None


def report(db: Database, worker: WorkerIdentity, *, ready: bool, job_id: str | None) -> None:
    """Say that a worker lives, whether it takes jobs yet, and what it works on."""
    with db.session() as session:
        known = session.scalar(select(WorkerProcess).where(*_is(worker)))
        if known is None:
            known = WorkerProcess(
                id=new_id(), host=worker.host, pid=worker.pid, started=worker.started
            )
            session.add(known)
        known.seen_at, known.ready, known.job_id = now(), ready, job_id


def leave(db: Database, worker: WorkerIdentity) -> None:
    """Take a worker off the table."""
    with db.session() as session:
        session.execute(delete(WorkerProcess).where(*_is(worker)))


def is_heard(db: Database, worker: WorkerIdentity) -> bool:
    """Whether a worker, perhaps of another machine, has reported lately."""
    lately = select(WorkerProcess.id).where(
        *_is(worker), WorkerProcess.seen_at > now() - SILENT_AFTER
    )
    with db.session() as session:
        return session.scalar(lately) is not None


def living(db: Database) -> list[WorkerProcess]:
    """Workers that live, by process on this machine and by heartbeat on others.

    The rows of the others are deleted.
    """
    with db.session() as session:
        rows = list(session.scalars(select(WorkerProcess).order_by(WorkerProcess.id)))
        alive = [row for row in rows if _lives(row)]
        dead = [row.id for row in rows if row not in alive]
        if dead:
            session.execute(delete(WorkerProcess).where(WorkerProcess.id.in_(dead)))
    return alive


def worker_state(db: Database) -> WorkerState:
    """What to show of the workers on the page."""
    rows = living(db)
    for row in rows:
        if row.job_id is not None:
            return WorkerState(WorkerStatus.WORKING, row.pid, row.job_id)
    for row in rows:
        if row.ready:
            return WorkerState(WorkerStatus.IDLE, row.pid)
    if rows:
        return WorkerState(WorkerStatus.STARTING, rows[0].pid)
    return WorkerState(WorkerStatus.ABSENT)


def _is(worker: WorkerIdentity) -> tuple[ColumnElement[bool], ...]:
    return (
        WorkerProcess.host == worker.host,
        WorkerProcess.pid == worker.pid,
        WorkerProcess.started == worker.started,
    )


def _lives(row: WorkerProcess) -> bool:
    worker = WorkerIdentity(row.host, row.pid, row.started)
    return is_alive(worker) if worker.is_here else now() - row.seen_at < SILENT_AFTER
