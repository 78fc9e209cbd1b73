"""Exports of the gallery: asked for as jobs, offered as downloads once they are finished."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from backend.generation.export.running import KIND, make_task
from backend.generation.export_format import ExportFormat
from backend.jobs.queue import JobView, list_jobs, queue_position
from backend.jobs.states import JobState
from backend.store.columns import now
from studio.context import StudioContext
from studio.markup import escape, file_url
from studio.permissions import signed_in
from studio.tabs.generate_progress import job_card

KIB, MIB = 1024, 1024 * 1024
LATEST, LOOKED_AT = 3, 50
SHOWN_FOR = timedelta(hours=12)
FORMATS = {
    ExportFormat.IMAGE_FOLDER: "Image folder",
    ExportFormat.CSV: "CSV",
    ExportFormat.PARQUET: "Parquet",
    ExportFormat.WEBDATASET: "WebDataset",
    ExportFormat.DICOM: "DICOM",
}


def format_choices() -> list[tuple[str, str]]:
    """The layouts by name, the one that most programs read first."""
    return [(FORMATS[form], form.value) for form in ExportFormat]


def exports_html(studio: StudioContext) -> str:
    """The latest exports of the person who looks, with progress or a download."""
    cards = [_card(studio, job) for job in _own(studio)]
    if not cards:
        return ""
    return f'<section class="df-runs" aria-label="Exports">{"".join(cards)}</section>'


def _own(studio: StudioContext) -> Sequence[JobView]:
    """Those to an archive in the workspace; the command line writes folders anywhere."""
    person = signed_in()
    since = now() - SHOWN_FOR
    return [
        job
        for job in list_jobs(studio.database, kinds=(KIND,), limit=LOOKED_AT)
        if job.owner == person and job.created_at > since and make_task(job.payload).packed
    ][:LATEST]


def _card(studio: StudioContext, job: JobView) -> str:
    archive = make_task(job.payload).result
    done = job.state is JobState.DONE and archive.is_file()
    body = _download(archive) if done else ""
    return job_card(job, queue_position(studio.database, job.id), body)


def _download(archive: Path) -> str:
    name = escape(archive.name)
    return (
        f'<p>Marked synthetic: <a class="df-button" href="{file_url(archive)}" '
        f'download="{name}">Download {name}</a> ({_size(archive.stat().st_size)})</p>'
    )


def _size(size: int) -> str:
    return f"{size / MIB:.1f} MB" if size >= MIB else f"{max(1, round(size / KIB))} kB"
