"""Progress of the runs, drawn from their job rows and preview files alone."""

import base64
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from backend.generation.gallery import ImageView
from backend.jobs.queue import JobView
from backend.jobs.states import JobState
from backend.jobs.units import unit_of
from studio.markup import button, escape, file_url, one_line
from studio.wording import NAMES

BRIDGE = "progress-bridge"
MAX_TILES = 8
INLINE_PREVIEW_BYTES = 256 * 1024
SUFFIXES = {1: "st", 2: "nd", 3: "rd"}
MINUTE_S, HOUR_S = 60, 3600

NOTHING_YET = one_line("""
<div class="df-empty">
  <h2 class="df-section">Nothing is being made right now</h2>
  <p>Write a caption here, or choose the lesion in <strong>Compose</strong>,
  then press <strong>Generate</strong>. Everything runs on this computer.</p>
</div>
""")


@dataclass(frozen=True)
class RunView:
    """One job with what there is to see of it.

    count: how many images were asked for; finished: the positions of those made; images: the
    newest of them; folder: where the previews are; position: its place in the queue.
    """

    job: JobView
    count: int
    finished: AbstractSet[int]
    images: Sequence[ImageView]
    folder: Path
    position: int | None


def runs_html(runs: Sequence[RunView]) -> str:
    """The panel: one card a run, the first with its images."""
    if not runs:
        return NOTHING_YET
    cards = [_card(run, with_images=index == 0) for index, run in enumerate(runs)]
    return f'<div class="df-runs">{"".join(cards)}</div>'


def state_badge(state: JobState) -> str:
    """The state of a job as a mark and a word."""
    return f'<span class="df-state df-state-{state}">{NAMES[state]}</span>'


def progress_bar(job: JobView) -> str:
    """A bar with its text inside the accessibility tree, not only as a width."""
    percent = round(100 * job.fraction)
    return (
        f'<div class="df-bar" role="progressbar" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}" aria-label="Progress of {escape(job.title)}">'
        f'<span style="width:{percent}%"></span></div>'
    )


def progress_text(job: JobView, position: int | None = None) -> str:
    """What a job is doing, how fast, and how long it will take."""
    if job.state is JobState.QUEUED:
        place = f"Waiting: {_place(position or 1)} in the queue"
        return f"{place} · {_sentence(job.message)}" if job.message else place
    if job.cancel_requested and job.state is JobState.RUNNING:
        return "Stopping at the next step"
    if job.state is JobState.DONE and job.started_at and job.finished_at:
        return f"Finished in {duration((job.finished_at - job.started_at).total_seconds())}"
    if job.state is not JobState.RUNNING:
        return job.error or _sentence(job.message)
    parts = [_sentence(job.message or "loading the model")]
    if job.rate:
        parts.append(f"{job.rate:.1f} {unit_of(job.kind)} per second")
    if job.eta_s is not None:
        parts.append(f"{duration(job.eta_s)} left")
    return " · ".join(parts)


def _sentence(message: str) -> str:
    return message[:1].upper() + message[1:]


def duration(seconds: float) -> str:
    """Seconds, minutes or hours in words a person plans with."""
    whole = max(1, round(seconds))
    if whole < MINUTE_S:
        return f"{whole} s"
    if whole < HOUR_S:
        return f"{whole // MINUTE_S} min {whole % MINUTE_S} s"
    return f"{whole // HOUR_S} h {whole % HOUR_S // MINUTE_S} min"


def _place(position: int) -> str:
    """A place in the queue: next, 2nd, 3rd, 11th, 22nd."""
    if position == 1:
        return "next"
    teen = position % 100 in (11, 12, 13)
    return f"{position}{'th' if teen else SUFFIXES.get(position % 10, 'th')}"


def _card(run: RunView, *, with_images: bool) -> str:
    dismiss = _control("Dismiss", "dismiss", run.job) if run.job.state.ended else ""
    return job_card(run.job, run.position, _tiles(run) if with_images else "", dismiss)


def job_card(
    job: JobView,
    position: int | None,
    body: str = "",
    controls: str = "",
    *,
    bridge: str = BRIDGE,
) -> str:
    """A job with its progress, `body` below, and buttons to cancel and retry before `controls`."""
    return one_line(f"""
    <article class="df-run" data-job="{job.id}" data-state="{job.state}">
      <header><h2 class="df-run-title">{escape(job.title)}</h2>{state_badge(job.state)}</header>
      {progress_bar(job)}
      <p class="df-run-text">{escape(progress_text(job, position))}</p>
      {body}
      <div class="df-row">{job_controls(job, bridge)}{controls}</div>
    </article>
    """)


def job_controls(job: JobView, bridge: str) -> str:
    """A button to cancel an open job, or to retry one that ended before its work did."""
    if not job.state.ended and not job.cancel_requested:
        return _control("Cancel", "cancel", job, bridge)
    return _control("Retry", "retry", job, bridge) if job.state.can_retry else ""


def _control(label: str, action: str, job: JobView, bridge: str = BRIDGE) -> str:
    return button(label, bridge=bridge, action=action, value=job.id, title=f"{label}: {job.title}")


def _tiles(run: RunView) -> str:
    """The last finished images and the one in the making, at most MAX_TILES of them."""
    images = {image.position: image for image in run.images}
    current = next((index for index in range(run.count) if index not in run.finished), run.count)
    first = max(0, min(current - MAX_TILES + 2, run.count - MAX_TILES))
    shown = range(first, min(run.count, first + MAX_TILES))
    tiles = "".join(_tile(run, index, images.get(index)) for index in shown)
    hidden = run.count - len(shown)
    more = f'<li class="df-more">and {hidden} more</li>' if hidden else ""
    return f'<ul class="df-tiles" aria-label="Images of this run">{tiles}{more}</ul>'


def _tile(run: RunView, index: int, image: ImageView | None) -> str:
    number = index + 1
    if image is not None:
        source, note = file_url(image.thumbnail, image.pixel_hash[:8]), f"Image {number}, finished"
        return f'<li class="df-tile df-finished"><img src="{source}" alt="{note}"></li>'
    source = preview_source(run.folder / f"preview-{index}.png")
    if source and not run.job.state.ended:
        alt = f"Preview of image {number}, still in the making"
        return f'<li class="df-tile"><img src="{source}" alt="{alt}" decoding="sync"></li>'
    state = "deleted" if index in run.finished else "not made yet"
    return (
        f'<li class="df-tile df-waiting"><span class="df-sr">Image </span>{number}'
        f'<span class="df-sr">, {state}</span></li>'
    )


def preview_source(path: Path) -> str:
    """The preview for an <img>; inline where it is small, so that it changes without a flash."""
    try:
        facts = path.stat()
        if facts.st_size > INLINE_PREVIEW_BYTES:
            return file_url(path, str(facts.st_mtime_ns))
        return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
    except FileNotFoundError:
        return ""
