"""Everything long that runs or ran, as one table."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from backend.jobs.queue import JobView, LogLine
from backend.jobs.states import JobState
from studio.markup import button, escape, one_line
from studio.tabs.generate_progress import duration, progress_bar, progress_text, state_badge

BRIDGE = "jobs-bridge"
KINDS: Mapping[str, str] = {
    "generate": "Images",
    "adherence": "Adherence test",
    "sweep": "Sweep",
    "build": "Synthetic set",
    "export": "Export",
    "download": "Download",
    "check_model": "Model check",
    "import": "Import",
    "corpus_export": "Corpus export",
    "relabel": "Labels",
    "caption": "Captions",
    "compare_captions": "Caption comparison",
    "review_set": "Review set",
    "convert_model": "Model from a file",
    "duplicates": "Duplicate search",
    "leakage": "Leakage report",
    "train_lora": "LoRA training",
    "classify": "Experiment",
    "evaluate": "Study report",
}

NO_JOBS = one_line("""
<div class="df-empty">
  <h2 class="df-section">No jobs</h2>
  <p>Everything that takes longer than a moment appears here as soon as it is started, for
  example by <strong>Generate</strong>. It goes on when this page is closed.</p>
</div>
""")


def jobs_table(jobs: Sequence[JobView], positions: Mapping[str, int | None], at: datetime) -> str:
    """One row a job; `positions` are their places in the queue."""
    if not jobs:
        return NO_JOBS
    rows = "".join(_row(job, positions.get(job.id), at) for job in jobs)
    return one_line(f"""
    <div class="df-scroll" tabindex="0" role="region" aria-label="Jobs">
    <table class="df-table df-jobs">
      <thead><tr><th scope="col">Job</th><th scope="col">State</th><th scope="col">Progress</th>
      <th scope="col">Time</th><th scope="col">Actions</th></tr></thead>
      <tbody>{rows}</tbody>
    </table></div>
    """)


def log_html(job: JobView, lines: Sequence[LogLine]) -> str:
    """The log of one job."""
    text = "\n".join(f"{line.at:%H:%M:%S} {line.level}: {line.text}" for line in lines)
    body = escape(text).replace("\n", "<br>") or "This job has written nothing yet."
    close = button("Close log", bridge=BRIDGE, action="close_log")
    return one_line(f"""
    <section class="df-log" aria-label="Log of {escape(job.title)}">
      <header class="df-row"><h2 class="df-section">Log: {escape(job.title)}</h2>{close}</header>
      <div class="df-log-lines" tabindex="0" role="region" aria-label="Log lines">{body}</div>
    </section>
    """)


def _row(job: JobView, position: int | None, at: datetime) -> str:
    kind = KINDS.get(job.kind, job.kind)
    owner = f" · {escape(job.owner)}" if job.owner else ""
    text = "" if job.state is JobState.DONE else escape(progress_text(job, position))
    attempt = f" · attempt {job.attempt}" if job.attempt > 1 else ""
    return (
        f'<tr data-job="{job.id}" data-state="{job.state}">'
        f'<th scope="row">{escape(job.title)}<span class="df-dim">{kind} · '
        f"{job.created_at:%Y-%m-%d %H:%M} UTC{owner}{attempt}</span></th>"
        f"<td>{state_badge(job.state)}</td>"
        f'<td class="df-job-progress">{progress_bar(job)}'
        f'<span class="df-dim">{text}</span></td>'
        f"<td>{_time(job, at)}</td>"
        f'<td><div class="df-row">{_actions(job)}</div></td></tr>'
    )


def _time(job: JobView, at: datetime) -> str:
    if job.started_at is None:
        return "not started"
    took = ((job.finished_at or at) - job.started_at).total_seconds()
    return duration(took) if job.state.ended else f"{duration(took)} so far"


def _actions(job: JobView) -> str:
    parts = []
    if not job.state.ended and not job.cancel_requested:
        parts.append(_button("Cancel", "cancel", job))
    if job.state.can_retry:
        parts.append(_button("Retry", "retry", job))
    parts.append(_button("Log", "log", job))
    if job.state.ended:
        question = "Remove this job and its log from the list? The images it made stay."
        parts.append(_button("Remove", "remove", job, question))
    return "".join(parts)


def _button(label: str, action: str, job: JobView, question: str = "") -> str:
    title = f"{label}: {job.title}, {job.created_at:%H:%M:%S}"
    return button(label, bridge=BRIDGE, action=action, value=job.id, title=title, confirm=question)
