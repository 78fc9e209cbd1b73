"""What a running job has in its hands: its folder, its progress, its log, and when to stop."""

import json
import logging
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from backend.files import write_file
from backend.jobs.queue import JobView, held, write_log
from backend.settings import Settings
from backend.store.columns import now
from backend.store.database import Database
from backend.store.errors import StoreError
from backend.store.tables import Job

PARTIAL_PATHS = "partial.json"
"""In the folder of a job: what it writes elsewhere and has not put in place yet."""
WRITE_EVERY_S = 0.2
RATE_WINDOW_S = 20.0

log = logging.getLogger(__name__)


class JobStopped(Exception):  # noqa: N818 - a stop is no error
    """Raised inside a job to leave it; never to be caught by a handler."""


class JobCancelled(JobStopped):
    """A person cancelled the job."""


class JobInterrupted(JobStopped):
    """The worker was told to end."""


class JobLost(JobStopped):
    """The job is no longer this worker's: it was taken for dead, or removed."""


class JobContext:
    """Guards the link between a running job and its row.

    `attempting` is for a handler to set: what is being tried, in a few words, for the sentence
    that is shown when memory runs out ("4 images of 1024 x 1024 px with flux-dev"); `remedy`, what
    would need less, where the handler knows it ("choose the profile 12gb").
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        job: JobView,
        stopping: threading.Event | None = None,
    ) -> None:
        self.settings = settings
        self.database = database
        self.job = job
        self.folder: Path = settings.jobs_dir / job.id
        self.folder.mkdir(parents=True, exist_ok=True)
        self.attempting = ""
        self.remedy = ""
        self._stopping = stopping or threading.Event()
        self._cancelled = False
        self._total = job.total
        self._looked_at = float("-inf")
        self._points: deque[tuple[float, int]] = deque()

    def progress(
        self, done: int, total: int | None = None, message: str = "", *, rate: float | None = None
    ) -> None:
        """Show how far the job is; writes at most five times a second, and always the last step.

        `rate` in steps per second is measured here unless given. Raises JobLost.
        """
        moment = time.monotonic()
        self._total = self._total if total is None else total
        if rate is None:
            rate = self._measured_rate(moment, done)
        if moment - self._looked_at < WRITE_EVERY_S and done < self._total:
            return
        self._looked_at = moment
        left = max(0, self._total - done)
        self._write(
            done=done,
            total=self._total,
            message=message,
            rate=rate,
            eta_s=left / rate if rate else None,
        )

    def check_cancelled(self) -> None:
        """Raises JobCancelled, JobInterrupted or JobLost where the job has to end now.

        Cheap enough for every step: the row is read at most five times a second.
        """
        if self._stopping.is_set():
            raise JobInterrupted
        moment = time.monotonic()
        if not self._cancelled and moment - self._looked_at >= WRITE_EVERY_S:
            self._looked_at = moment
            self._read()
        if self._cancelled:
            raise JobCancelled

    def leaves_partial(self, *paths: Path) -> None:
        """Say what is half-written outside of the folder until the job ends, killed or not.

        It is then deleted. The names end in "partial". Raises FileError.
        """
        write_file(self.folder / PARTIAL_PATHS, json.dumps([str(path) for path in paths]).encode())

    def log(self, text: str, level: str = "info") -> None:
        """Tell the person who started the job; stays in the workspace's database."""
        write_log(self.database, self.job.id, text, level)

    def _measured_rate(self, moment: float, done: int) -> float | None:
        """Steps per second over the last RATE_WINDOW_S; None before the second step."""
        self._points.append((moment, done))
        while moment - self._points[0][0] > RATE_WINDOW_S and len(self._points) > 2:
            self._points.popleft()
        since, first = self._points[0]
        return (done - first) / (moment - since) if done > first and moment > since else None

    def _write(self, **values: Any) -> None:
        statement = (
            update(Job)
            .where(*held(self.job))
            .values(**values, updated_at=now())
            .returning(Job.cancel_requested)
        )
        self._ask(statement)

    def _read(self) -> None:
        self._ask(select(Job.cancel_requested).where(*held(self.job)))

    def _ask(self, statement: Any) -> None:
        """A database that is locked for a while costs progress, not the job."""
        try:
            with self.database.session() as session:
                answer = session.execute(statement).scalar_one_or_none()
        except StoreError:
            log.warning("progress not written", extra={"job": self.job.id}, exc_info=True)
            return
        if answer is None:
            raise JobLost
        self._cancelled = bool(answer)
