"""Exports that a person asked for, as cards with progress or a download."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from backend.jobs.queue import JobView, list_jobs, queue_position
from backend.jobs.states import JobState
from backend.store.columns import now
from studio.context import StudioContext
from studio.markup import escape, file_url
from studio.permissions import signed_in
from studio.tabs.generate_progress import BRIDGE, job_card

KIB, MIB = 1024, 1024 * 1024
LATEST, LOOKED_AT = 3, 50
SHOWN_FOR = timedelta(hours=12)


class Export(Protocol):
    """What the payload of an export job says."""

    @property
    def packed(self) -> bool:
        """Whether it makes an archive in the workspace; the command line writes folders."""

    @property
    def result(self) -> Path:
        """What the job leaves."""


ReadTask = Callable[[Mapping[str, Any]], Export]


def export_cards(
    studio: StudioContext, kind: str, read: ReadTask, words: str, *, bridge: str = BRIDGE
) -> str:
    """The latest exports of a kind of the person who looks; `words` stand before a download."""
    cards = "".join(_card(studio, job, read, words, bridge) for job in _own(studio, kind, read))
    return f'<section class="df-runs" aria-label="Exports">{cards}</section>' if cards else ""


def file_size(size: int) -> str:
    """The size of a file for who is about to download it."""
    return f"{size / MIB:.1f} MB" if size >= MIB else f"{max(1, round(size / KIB))} kB"


def _own(studio: StudioContext, kind: str, read: ReadTask) -> Sequence[JobView]:
    """Those to an archive in the workspace; the command line writes folders anywhere."""
    person, since = signed_in(), now() - SHOWN_FOR
    return [
        job
        for job in list_jobs(studio.database, kinds=(kind,), limit=LOOKED_AT)
        if job.owner == person and job.created_at > since and read(job.payload).packed
    ][:LATEST]


def _card(studio: StudioContext, job: JobView, read: ReadTask, words: str, bridge: str) -> str:
    archive = read(job.payload).result
    done = job.state is JobState.DONE and archive.is_file()
    body = _download(archive, words) if done else ""
    return job_card(job, queue_position(studio.database, job.id), body, bridge=bridge)


def _download(archive: Path, words: str) -> str:
    name = escape(archive.name)
    return (
        f'<p>{escape(words)}: <a class="df-button" href="{file_url(archive)}" '
        f'download="{name}">Download {name}</a> ({file_size(archive.stat().st_size)})</p>'
    )
