"""The queue of jobs: submit, look, cancel, retry, remove, and claim for a worker."""

import secrets
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from backend.errors import DermaFluxError
from backend.jobs.processes import WorkerIdentity
from backend.jobs.states import OPEN, JobState
from backend.store.columns import now
from backend.store.database import Database
from backend.store.tables import Job, JobLog

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ENDED = tuple(state for state in JobState if state.ended)
RETRIABLE = tuple(state for state in JobState if state.can_retry)


class JobError(DermaFluxError):
    """A job that is not there, or that does not allow what was asked."""


@dataclass(frozen=True)
class JobView:
    """A row of the job table as it was when it was read; `rate` in steps per second."""

    id: str
    kind: str
    title: str
    payload: dict[str, Any]
    state: JobState
    attempt: int
    created_at: datetime
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    updated_at: datetime
    owner: str | None
    worker_host: str | None
    worker_pid: int | None
    worker_started: float | None
    done: int
    total: int
    message: str
    rate: float | None
    eta_s: float | None
    error: str | None
    cancel_requested: bool

    @property
    def fraction(self) -> float:
        """Share of the work that is done, 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0


@dataclass(frozen=True)
class LogLine:
    """One line that a job wrote for the person who started it."""

    at: datetime
    level: str
    text: str


def submit(
    db: Database,
    *,
    kind: str,
    payload: dict[str, Any],
    title: str,
    owner: str | None = None,
    total: int = 0,
) -> str:
    """Put a job at the end of the queue; returns its id. `payload` must be JSON."""
    job_id = new_id()
    with db.session() as session:
        session.add(
            Job(
                id=job_id,
                kind=kind,
                payload=payload,
                title=title,
                owner=owner,
                total=total,
                state=JobState.QUEUED,
            )
        )
    return job_id


def get_job(db: Database, job_id: str) -> JobView:
    """The job as it stands; raises JobError where there is none."""
    with db.session() as session:
        return _view(_row(session, job_id))


def list_jobs(
    db: Database,
    *,
    states: Sequence[JobState] = (),
    kinds: Sequence[str] = (),
    limit: int = 50,
    offset: int = 0,
) -> list[JobView]:
    """Jobs of these states and kinds (of all where none is named), newest first."""
    statement = (
        select(Job)
        .where(*_conditions(states, kinds))
        .order_by(Job.created_at.desc(), Job.id.desc())
        .limit(limit)
        .offset(offset)
    )
    with db.session() as session:
        return [_view(row) for row in session.scalars(statement)]


def count_jobs(db: Database, *, states: Sequence[JobState] = (), kinds: Sequence[str] = ()) -> int:
    """How many jobs `list_jobs` could list."""
    statement = select(func.count()).select_from(Job).where(*_conditions(states, kinds))
    with db.session() as session:
        return session.scalar(statement) or 0


def open_kinds(db: Database) -> frozenset[str]:
    """The kinds of jobs that wait or run."""
    with db.session() as session:
        return frozenset(session.scalars(select(Job.kind).where(Job.state.in_(OPEN)).distinct()))


def queue_position(db: Database, job_id: str) -> int | None:
    """1 for the job that is taken next; None for a job that does not wait."""
    with db.session() as session:
        job = _row(session, job_id)
        if job.state is not JobState.QUEUED:
            return None
        before = or_(
            Job.queued_at < job.queued_at,
            and_(Job.queued_at == job.queued_at, Job.id <= job.id),
        )
        waiting = select(func.count()).select_from(Job).where(Job.state == JobState.QUEUED, before)
        return session.scalar(waiting) or 1


def cancel(db: Database, job_id: str) -> JobView:
    """Cancel a queued job at once, a running one at its next step; returns the job.

    Raises JobError where the job has ended already.
    """
    moment = now()
    with db.session() as session:
        job = _row(session, job_id)
        at_once = (
            update(Job)
            .where(Job.id == job_id, Job.state == JobState.QUEUED)
            .values(state=JobState.CANCELLED, cancel_requested=True, finished_at=moment, message="")
        )
        later = (
            update(Job)
            .where(Job.id == job_id, Job.state == JobState.RUNNING)
            .values(cancel_requested=True)
        )
        if not any(_changed(session, statement) for statement in (at_once, later)):
            raise JobError(f"The job {job_id} has ended ({job.state}): there is nothing to cancel.")
        session.expire_all()
        return _view(_row(session, job_id))


def retry(db: Database, job_id: str) -> JobView:
    """Queue a failed, cancelled or interrupted job again under its id; what it made is kept.

    Raises JobError for a job in any other state.
    """
    moment = now()
    again = (
        update(Job)
        .where(Job.id == job_id, Job.state.in_(RETRIABLE))
        .values(
            state=JobState.QUEUED,
            attempt=Job.attempt + 1,
            queued_at=moment,
            updated_at=moment,
            started_at=None,
            finished_at=None,
            worker_host=None,
            worker_pid=None,
            worker_started=None,
            message="",
            rate=None,
            eta_s=None,
            error=None,
            cancel_requested=False,
        )
    )
    with db.session() as session:
        job = _row(session, job_id)
        if not _changed(session, again):
            raise JobError(
                f"The job {job_id} is {job.state}: only a failed, cancelled or interrupted job "
                "can be tried again."
            )
        session.expire_all()
        return _view(_row(session, job_id))


def remove(db: Database, job_id: str, *, jobs_dir: Path | None = None) -> None:
    """Forget an ended job, its log and its folder in `jobs_dir`; the images it made stay.

    Raises JobError for a job that is queued or running.
    """
    with db.session() as session:
        job = _row(session, job_id)
        if not _changed(session, delete(Job).where(Job.id == job_id, Job.state.in_(ENDED))):
            raise JobError(f"The job {job_id} is {job.state}: cancel it before you remove it.")
    if jobs_dir is not None:
        shutil.rmtree(jobs_dir / job_id, ignore_errors=True)


def job_log(db: Database, job_id: str, limit: int = 200) -> list[LogLine]:
    """The last lines that a job wrote, oldest first; raises JobError where there is no job."""
    statement = (
        select(JobLog).where(JobLog.job_id == job_id).order_by(JobLog.id.desc()).limit(limit)
    )
    with db.session() as session:
        _row(session, job_id)
        lines = [LogLine(row.at, row.level, row.text) for row in session.scalars(statement)]
    return lines[::-1]


def write_log(db: Database, job_id: str, text: str, level: str = "info") -> None:
    """Add a line to the log of a job."""
    with db.session() as session:
        session.add(JobLog(job_id=job_id, level=level, text=text))


def claim_next(
    db: Database, worker: WorkerIdentity, *, leaving: Sequence[str] = ()
) -> JobView | None:
    """Take the first job of the queue, or None; no two workers get the same one.

    Jobs of the kinds `leaving` are left to others. One statement claims: SQLite runs it under its
    write lock, PostgreSQL skips rows that another worker is taking.
    """
    waits = (Job.state == JobState.QUEUED, Job.kind.not_in(leaving))
    first = (
        select(Job.id)
        .where(*waits)
        .order_by(Job.queued_at, Job.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    with db.session() as session:
        if session.scalar(select(Job.id).where(*waits).limit(1)) is None:
            return None
        return _claimed(session, Job.id == first, worker)


def claim(db: Database, job_id: str, worker: WorkerIdentity) -> JobView:
    """Take this job; raises JobError where it is not queued."""
    with db.session() as session:
        job = _claimed(session, Job.id == job_id, worker)
        if job is None:
            state = _row(session, job_id).state
            raise JobError(f"The job {job_id} is {state}: only a queued job can be run.")
        return job


def refuse(db: Database, job: JobView, error: str) -> bool:
    """End a queued job as failed before anybody took it; False where somebody has."""
    moment = now()
    values = {"state": JobState.FAILED, "error": error, "finished_at": moment, "message": ""}
    with db.session() as session:
        return _changed(session, update(Job).where(*_waits(job)).values(**values))


def say(db: Database, job: JobView, message: str) -> None:
    """Show what a queued job waits for."""
    if job.message != message:
        with db.session() as session:
            session.execute(update(Job).where(*_waits(job)).values(message=message))


def _waits(job: JobView) -> tuple[ColumnElement[bool], ...]:
    return Job.id == job.id, Job.state == JobState.QUEUED, Job.attempt == job.attempt


def _claimed(
    session: Session, which: ColumnElement[bool], worker: WorkerIdentity
) -> JobView | None:
    moment = now()
    claim = (
        update(Job)
        .where(which, Job.state == JobState.QUEUED)
        .values(
            state=JobState.RUNNING,
            started_at=moment,
            updated_at=moment,
            worker_host=worker.host,
            worker_pid=worker.pid,
            worker_started=worker.started,
            message="",
        )
        .returning(Job)
        .execution_options(synchronize_session=False)
    )
    row = session.scalars(claim).one_or_none()
    return None if row is None else _view(row)


def finish(db: Database, job: JobView, state: JobState, error: str | None = None) -> bool:
    """End a claimed job; False where it is no longer this worker's to end."""
    moment = now()
    values: dict[str, Any] = {
        "state": state,
        "error": error,
        "finished_at": moment,
        "updated_at": moment,
        "eta_s": None,
    }
    if state is JobState.DONE:
        values["done"] = Job.total
    with db.session() as session:
        return _changed(session, update(Job).where(*held(job)).values(**values))


def held(job: JobView) -> tuple[ColumnElement[bool], ...]:
    """Conditions that hold as long as the job is still the claim that this view shows."""
    return (
        Job.id == job.id,
        Job.state == JobState.RUNNING,
        Job.attempt == job.attempt,
        Job.worker_host == job.worker_host,
        Job.worker_pid == job.worker_pid,
        Job.worker_started == job.worker_started,
    )


def new_id() -> str:
    """A ULID: 26 signs, in order of time."""
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return "".join(CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def _conditions(
    states: Sequence[JobState], kinds: Sequence[str]
) -> tuple[ColumnElement[bool], ...]:
    by_state = (Job.state.in_(states),) if states else ()
    by_kind = (Job.kind.in_(kinds),) if kinds else ()
    return by_state + by_kind


def _row(session: Session, job_id: str) -> Job:
    job = session.get(Job, job_id)
    if job is None:
        raise JobError(f"There is no job {job_id}: it may have been removed.")
    return job


def _changed(session: Session, statement: Any) -> bool:
    result = session.execute(statement.execution_options(synchronize_session=False))
    return bool(cast("CursorResult[Any]", result).rowcount)


def _view(row: Job) -> JobView:
    return JobView(**{name: getattr(row, name) for name in JobView.__dataclass_fields__})
