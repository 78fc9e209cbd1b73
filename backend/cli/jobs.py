"""Commands for long work: the worker, and the jobs that it does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.cli.output import JsonOption, aligned, emit
from backend.cli.workspace import open_workspace
from backend.jobs.states import JobState
from backend.jobs.units import unit_of

if TYPE_CHECKING:
    from backend.jobs.queue import JobView

JobId = Annotated[str, typer.Argument(help="The job's id, as `jobs list` prints it.")]


def register(app: typer.Typer) -> None:
    """Add `worker` and `jobs`."""
    app.command("worker")(work)
    jobs = typer.Typer(no_args_is_help=True, help="Look at long work, cancel it, try it again.")
    for name, command in (
        ("list", list_),
        ("show", show),
        ("cancel", cancel),
        ("retry", retry),
        ("run", run),
        ("remove", remove),
        ("log", log),
    ):
        jobs.command(name)(command)
    app.add_typer(jobs, name="jobs")


def work(
    parent: Annotated[
        int | None,
        typer.Option(
            min=1, help="Leave once the process with this pid is gone and the queue is empty."
        ),
    ] = None,
) -> None:
    """Do the queued jobs, one after another, until Ctrl+C.

    The studio starts a worker by itself; start one here to work without the page, or a second
    one for a second GPU. Ctrl+C or SIGTERM end the job at hand at its next step; it can be
    tried again and keeps what it has made.
    """
    from backend.jobs.processes import identity_of
    from backend.jobs.worker import run_worker
    from backend.logs import configure_logging
    from backend.settings import load_settings, prepare_workspace

    settings = load_settings()
    prepare_workspace(settings)
    configure_logging(settings, "worker")
    run_worker(settings, parent=None if parent is None else identity_of(parent))


def list_(
    state: Annotated[
        list[JobState] | None,
        typer.Option(help="Only jobs in this state; can be given several times."),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="Only jobs of this kind, such as generate; several times for several."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 20,
    offset: Annotated[int, typer.Option(min=0, help="Leave out so many of the newest.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """List jobs, the newest first."""
    from backend.jobs.queue import count_jobs, list_jobs
    from backend.jobs.reconcile import reconcile

    states, kinds = state or [], kind or []
    with open_workspace() as (settings, database):
        reconcile(database, settings)
        jobs = list_jobs(database, states=states, kinds=kinds, limit=limit, offset=offset)
        total = count_jobs(database, states=states, kinds=kinds)
    rows = [
        (job.id, job.kind, job.state, f"{job.fraction:.0%}", _moment(job), job.title)
        for job in jobs
    ]
    text = aligned(("ID", "KIND", "STATE", "DONE", "CREATED (UTC)", "TITLE"), rows)
    emit({"total": total, "jobs": jobs}, as_json, [*text, f"{len(jobs)} of {total} jobs"])


def show(job_id: JobId, as_json: JsonOption = False) -> None:
    """Show how far a job is, or how it ended."""
    from backend.jobs.queue import get_job, queue_position

    with open_workspace() as (_, database):
        job = get_job(database, job_id)
        position = queue_position(database, job_id)
    emit({**vars(job), "queue_position": position}, as_json, _description(job, position))


def cancel(job_id: JobId, as_json: JsonOption = False) -> None:
    """Cancel a job: at once while it is queued, at its next step while it runs."""
    from backend.jobs import queue

    with open_workspace() as (_, database):
        job = queue.cancel(database, job_id)
    ended = job.state is JobState.CANCELLED
    emit(job, as_json, f"{job_id} {'is cancelled' if ended else 'ends at its next step'}.")


def retry(job_id: JobId, as_json: JsonOption = False) -> None:
    """Queue a failed, cancelled or interrupted job again; what it has made is kept."""
    from backend.jobs import queue

    with open_workspace() as (_, database):
        job = queue.retry(database, job_id)
    emit(job, as_json, f"{job_id} is queued for attempt {job.attempt}.")


def run(
    job_id: JobId,
    database_from: Annotated[
        Path | None,
        typer.Option(
            hidden=True, help="Take DERMAFLUX_DATABASE_URL, which may hold a password, from here."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Do one queued job now in this process, as a cluster does with the jobs it is given.

    Exit code 1 where it did not end as done; `jobs show` says why.
    """
    from backend.cli.progress import CommandError, ProgressLine
    from backend.jobs.here import run_queued

    progress = ProgressLine()
    with open_workspace(database_from) as (settings, database):
        try:
            job = run_queued(settings, database, job_id, progress.show)
        finally:
            progress.close()
    if job.state is not JobState.DONE:
        raise CommandError(f"The job {job_id} is {job.state}: `jobs show {job_id}` says why.")
    emit(job, as_json, f"{job_id} is done.")


def remove(job_id: JobId, as_json: JsonOption = False) -> None:
    """Forget an ended job and its log; the images it made stay in the gallery."""
    from backend.jobs import queue

    with open_workspace() as (settings, database):
        queue.remove(database, job_id, jobs_dir=settings.jobs_dir)
    emit({"removed": job_id}, as_json, f"{job_id} is removed.")


def log(
    job_id: JobId,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The last so many lines.")] = 200,
    as_json: JsonOption = False,
) -> None:
    """Print what a job had to say, with the traceback of a crash."""
    from backend.jobs.queue import job_log

    with open_workspace() as (_, database):
        lines = job_log(database, job_id, limit)
    text = [f"{line.at:%Y-%m-%d %H:%M:%S} {line.level:7} {line.text}" for line in lines]
    emit(lines, as_json, text or "Nothing was logged.")


def _moment(job: JobView) -> str:
    return f"{job.created_at:%Y-%m-%d %H:%M:%S}"


def _description(job: JobView, position: int | None) -> list[str]:
    facts = {
        "id": job.id,
        "title": job.title,
        "kind": job.kind,
        "state": job.state if position is None else f"{job.state}, number {position} in the queue",
        "attempt": job.attempt,
        "created": f"{_moment(job)} UTC",
        "owner": job.owner,
        "progress": f"{job.done} of {job.total} {job.message}".rstrip() if job.total else None,
        "rate": f"{job.rate:.2f} {unit_of(job.kind)}/s" if job.rate else None,
        "time left": f"{job.eta_s:.0f} s" if job.eta_s is not None else None,
        "error": job.error,
    }
    return [f"{name + ':':10} {value}" for name, value in facts.items() if value is not None]
