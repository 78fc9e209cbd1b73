"""Jobs whose report is read on the page: their cards, and what stands where a report cannot."""

from dataclasses import dataclass
from pathlib import Path

from backend.jobs.queue import JobView, list_jobs, queue_position
from studio.context import StudioContext
from studio.markup import button, escape
from studio.tabs.generate_progress import job_card


@dataclass(frozen=True)
class ReportedRun:
    """A job that runs or ran, its place in the queue, and whether there is a report."""

    job: JobView
    position: int | None
    reported: bool


def reported_runs(studio: StudioContext, kind: str, report: str, limit: int) -> list[ReportedRun]:
    """The latest jobs of a kind, which write their report into a file of that name."""
    return [
        ReportedRun(
            job,
            queue_position(studio.database, job.id),
            job.state.ended and report_of(studio, job.id, report).is_file(),
        )
        for job in list_jobs(studio.database, kinds=(kind,), limit=limit)
    ]


def report_of(studio: StudioContext, job_id: str, report: str) -> Path:
    """The file that a job writes its report into."""
    return studio.settings.jobs_dir / job_id / report


def reported_card(
    run: ReportedRun, opened: str | None, *, words: str, action: str, bridge: str
) -> str:
    """The card of a job, with a button that shows its report; pressed while that is `opened`."""
    show = ""
    if run.reported:
        show = button(
            words,
            bridge=bridge,
            action=action,
            value=run.job.id,
            title=f"{words}: {run.job.title}",
            pressed=run.job.id == opened,
        )
    return job_card(run.job, run.position, controls=show, bridge=bridge)


def missing_html(sentence: str) -> str:
    """Why a report cannot be shown."""
    return f'<p class="df-message" role="status">{escape(sentence)}</p>'
