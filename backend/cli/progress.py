"""How far a job is, on stderr, and what is said when it ends badly."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import typer

from backend.errors import DermaFluxError
from backend.jobs.states import JobState
from backend.jobs.units import unit_of

if TYPE_CHECKING:
    from backend.jobs.queue import JobView
    from backend.settings import Settings
    from backend.store.database import Database

LINE_EVERY_S = 5.0
CLEAR_LINE = "\r\x1b[K"


class CommandError(DermaFluxError):
    """A command did not do what it was asked."""


class ProgressLine:
    """Guards what was shown last: one line that is renewed in a terminal, else one now and then."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._shown = ""
        self._shown_at = float("-inf")

    def show(self, job: JobView) -> None:
        """Show the job as it is now."""
        if job.state.ended or not job.message or job.message == self._shown:
            return
        moment = time.monotonic()
        if not self._terminal and moment - self._shown_at < LINE_EVERY_S:
            return
        self._shown, self._shown_at = job.message, moment
        left = f", {job.eta_s:.0f} s left" if job.eta_s is not None else ""
        rate = f", {job.rate:.1f} {unit_of(job.kind)}/s" if job.rate else ""
        start = CLEAR_LINE if self._terminal else ""
        typer.echo(f"{start}{job.message}{rate}{left}", err=True, nl=not self._terminal)

    def close(self) -> None:
        """Leave the terminal with an empty line."""
        if self._terminal and self._shown:
            typer.echo(CLEAR_LINE, err=True, nl=False)


def run_to_its_end(
    settings: Settings,
    database: Database,
    *,
    kind: str,
    payload: dict[str, Any],
    title: str,
    total: int,
) -> JobView:
    """Do a job now with its progress shown; returns it when all its work is done.

    It is done here, or on the cluster that the settings name where its kind shards. Raises
    CommandError, with what to do, for a job that ended otherwise.
    """
    from backend.jobs.cluster.foreground import run_on_cluster
    from backend.jobs.here import run_here
    from backend.jobs.kinds import SHARDED

    on_cluster = settings.runner == "ray" and kind in SHARDED
    run = run_on_cluster if on_cluster else run_here
    progress = ProgressLine()
    try:
        job = run(
            settings,
            database,
            kind=kind,
            payload=payload,
            title=title,
            total=total,
            show=progress.show,
        )
    finally:
        progress.close()
    _require_done(job)
    return job


def _require_done(job: JobView) -> None:
    """Raises CommandError, with what to do, unless the job has done all its work."""
    if job.state is JobState.DONE:
        return
    if job.state is JobState.FAILED:
        raise CommandError(job.error or "The job failed: its log says where.")
    raise CommandError(
        f"The job {job.id} is {job.state}; what it made is kept: `python -m backend jobs retry "
        f"{job.id}` and a worker finish it."
    )
