"""Sweeps as HTML: what one would make, and those that run or ran with their figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.generation.sweeps.running import sweep_title
from backend.generation.sweeps.sweep import Sweep, cells
from backend.jobs.queue import JobView
from studio.markup import button, escape, file_url, one_line
from studio.tabs.generate_progress import job_card

BRIDGE = "making-bridge"
SHOWN_CAPTIONS = 6

NO_SWEEPS = one_line("""
<div class="df-empty"><p>No sweep yet. Choose what varies above: every image starts from the same
noise, so that what changes from place to place is what you vary.</p></div>
""")


@dataclass(frozen=True)
class SweepRun:
    """A sweep that runs or ran, its place in the queue, and its figure once there is one."""

    job: JobView
    position: int | None
    figure: Path | None


def preview_html(sweep: Sweep) -> str:
    """How many images a sweep makes, and in which words."""
    rows, columns = sweep.shape
    made = cells(sweep)
    steps = sum(request.steps for request in made)
    images = "1 image" if len(made) == 1 else f"{len(made):,} images"
    grid = f"{columns} across, {rows} down" if sweep.down else f"{columns} in a row"
    captions = list(dict.fromkeys(request.caption for request in made))
    listed = "".join(f"<li>{escape(caption)}</li>" for caption in captions[:SHOWN_CAPTIONS])
    more = len(captions) - SHOWN_CAPTIONS
    rest = f'<p class="df-dim">and {more:,} more</p>' if more > 0 else ""
    said = "One caption for all:" if len(captions) == 1 else f"{len(captions):,} captions:"
    return one_line(f"""
    <div role="status"><p><strong>{images}</strong> ({grid}), {steps:,} steps in all.
    {escape(sweep_title(sweep))}.</p><p>{said}</p><ul class="df-captions">{listed}</ul>{rest}</div>
    """)


def problem_html(sentence: str) -> str:
    """Why what is chosen cannot be made."""
    return f'<p class="df-message" role="status">{escape(sentence)}</p>'


def sweeps_html(runs: Sequence[SweepRun]) -> str:
    """The latest sweeps, each with its figure."""
    if not runs:
        return NO_SWEEPS
    return f'<div class="df-runs">{"".join(map(_card, runs))}</div>'


def _card(run: SweepRun) -> str:
    if run.figure is None:
        return job_card(run.job, run.position)
    source = file_url(run.figure, str(run.figure.stat().st_mtime_ns))
    alt = escape(f"{run.job.title}: labelled figure. Synthetic, not for diagnosis.")
    body = f'<img class="df-figure" src="{source}" alt="{alt}">'
    download = (
        f'<a class="df-button" href="{source}" download="sweep-{run.job.id}.png" '
        f'aria-label="Download figure: {escape(run.job.title)}">Download figure</a>'
    )
    images = button(
        "Show its images",
        bridge=BRIDGE,
        action="images",
        value=run.job.id,
        title=f"Show its images: {run.job.title}",
    )
    return job_card(run.job, run.position, body, download + images)
