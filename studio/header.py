"""The top of every page: what this is, what runs here, what it is not for."""

from collections.abc import Mapping

from backend.generation.models import ModelEntry
from backend.jobs.workers import WorkerState, WorkerStatus
from studio.markup import escape, one_line

WORKER_WORDS: Mapping[WorkerStatus, str] = {
    WorkerStatus.ABSENT: "Worker is not running",
    WorkerStatus.STARTING: "Worker is starting",
    WorkerStatus.IDLE: "Worker is ready",
    WorkerStatus.WORKING: "Worker is busy",
}

MARK = one_line("""
<svg class="df-logo" viewBox="0 0 40 40" width="36" height="36" aria-hidden="true">
  <circle cx="20" cy="20" r="17.5" fill="none" stroke="currentColor" stroke-width="2.5"></circle>
  <path d="M20 2.5v5M20 32.5v5M2.5 20h5M32.5 20h5" stroke="currentColor" stroke-width="2"></path>
  <path fill="currentColor" d="M14 13.5c3.4-2.6 8-2.4 10.800.4 2.6 2.6 3.7 6.4 1.7
    9.6-2 3.3-6.2 4.4-9.9 3.5-3.6-.9-6.3-3.6-6.2-7.200.1-2.7 1.5-4.7
    3.6-6.3z"></path>
</svg>
""")


def title_html(account: str | None) -> str:
    """Name, notice and the buttons of the page; `account` is who is signed in."""
    leave = f'<a class="df-button" href="/logout">Sign out {escape(account)}</a>' if account else ""
    return one_line(f"""
    <header class="df-header">
      <div class="df-brand">{MARK}<h1>DermaFlux Studio</h1></div>
      <p class="df-notice">Synthetic images. Not for diagnosis.</p>
      <div class="df-row df-tools">
        <button type="button" class="df-button" id="appearance" aria-pressed="false">Dark mode
        </button>
        <button type="button" class="df-button" data-opens="help">Help and keys</button>
        {leave}
      </div>
    </header>
    """)


def facts_html(device: str, model: ModelEntry | None, worker: WorkerState) -> str:
    """Device, model and worker."""
    title = model.title if model else "No model that can be used"
    return one_line(f"""
    <ul class="df-runs-here" aria-label="What runs here">
      <li>Device: <strong data-fact="device">{escape(device)}</strong></li>
      <li>Model: <strong data-fact="model">{escape(title)}</strong></li>
      <li class="df-worker df-worker-{worker.status}" data-fact="worker">
        {WORKER_WORDS[worker.status]}</li>
    </ul>
    """)
