"""Training runs as jobs: start, resume, stop, ask for something, write about, remove."""

import shutil
from collections.abc import Mapping

from backend.files import explained_files, write_file
from backend.finetuning.errors import FinetuningError
from backend.finetuning.run_folder import (
    Phase,
    RunFolder,
    Wish,
    find_run,
    grant,
    read_config,
    read_status,
    wish,
)
from backend.jobs.queue import JobView, cancel, list_jobs, retry, submit
from backend.jobs.states import OPEN, JobState
from backend.settings import Settings
from backend.store.database import Database

KIND = "train_lora"
JOBS_LOOKED_AT = 2_000
LONGEST_NOTES = 20_000
SAID: Mapping[Wish, str] = {
    Wish.STOP_NOW: "It stops after the step it is at.",
    Wish.STOP_AFTER_CHECKPOINT: "It stops once its next checkpoint is kept.",
    Wish.SAVE_NOW: "A checkpoint is kept after the step it is at.",
    Wish.SAMPLE_NOW: "Samples are made after the step it is at.",
}
"""What follows from a wish, for the person who pressed it."""


def run_title(run: RunFolder) -> str:
    """What a run is called: its title, or its name where it has none."""
    try:
        return read_config(run).title.strip() or run.path.name
    except FinetuningError:
        return run.path.name


def submit_run(db: Database, settings: Settings, run_id: str, owner: str | None = None) -> str:
    """Queue a planned run, or one that ended before its time, which goes on at its last checkpoint.

    Returns the id of the job: that of the last attempt where it can be tried again.

    Raises:
        FinetuningError: there is no such run, it is done, or it waits or runs already.
        StoreError: the database stands in the way.
    """
    run = find_run(settings, run_id)
    last = newest_job(db, run_id)
    if last is not None and not last.state.ended:
        raise FinetuningError(f"The run '{run_title(run)}' waits or runs already.")
    status = read_status(run)
    trained = status is not None and status.phase is Phase.DONE
    if trained and (last is None or last.state is JobState.DONE):
        raise FinetuningError(
            f"The run '{run_title(run)}' is done: start a new run to train further."
        )
    config = read_config(run)
    grant(run, *Wish)
    if last is not None and last.state.can_retry:
        return retry(db, last.id).id
    return submit(
        db,
        kind=KIND,
        payload={"run": run_id},
        title=f"Training {run_title(run)}",
        owner=owner,
        total=config.steps or (status.steps if status else 0),
    )


def newest_job(db: Database, run_id: str) -> JobView | None:
    """The job of a run that was queued last."""
    return newest_jobs(db).get(run_id)


def newest_jobs(db: Database) -> dict[str, JobView]:
    """The job of each run that was queued last, by the run's name; one that is open comes first."""
    newest: dict[str, JobView] = {}
    for job in list_jobs(db, kinds=(KIND,), limit=JOBS_LOOKED_AT):
        name = str(job.payload.get("run"))
        if name not in newest or (newest[name].state.ended and job.state in OPEN):
            newest[name] = job
    return newest


def ask(db: Database, settings: Settings, run_id: str, wanted: Wish) -> str:
    """Ask a run for something; returns what follows, in a sentence.

    A job that has not begun is cancelled where it is to stop.

    Raises:
        FinetuningError: there is no such run, or its program does not run.
        FileError: the workspace cannot be written.
    """
    run = find_run(settings, run_id)
    job = newest_job(db, run_id)
    stops = wanted in (Wish.STOP_NOW, Wish.STOP_AFTER_CHECKPOINT)
    if stops and job is not None and job.state is JobState.QUEUED:
        cancel(db, job.id)
        return "It had not begun, and is taken out of the queue."
    if job is not None and job.state is not JobState.RUNNING:
        raise FinetuningError(f"The run '{run_title(run)}' is not running: resume it first.")
    if wanted is Wish.STOP_NOW and job is not None:
        cancel(db, job.id)
    wish(run, wanted)
    return SAID[wanted]


def read_notes(run: RunFolder) -> str:
    """What people wrote about a run."""
    try:
        return run.notes.read_text("utf-8", errors="replace")
    except OSError:
        return ""


def keep_notes(settings: Settings, run_id: str, text: str) -> None:
    """Keep what is written about a run, in place of what was.

    Raises:
        FinetuningError: there is no such run, or the text is too long.
        FileError: the workspace cannot be written.
    """
    run = find_run(settings, run_id)
    if len(text) > LONGEST_NOTES:
        raise FinetuningError(
            f"The notes have {len(text):,} signs: shorten them to {LONGEST_NOTES:,}."
        )
    write_file(run.notes, text.encode())


def remove_run(db: Database, settings: Settings, run_id: str) -> None:
    """Delete the folder of a run: checkpoints, samples, figures. Its LoRA stays on the shelf.

    Raises:
        FinetuningError: there is no such run, or it waits or runs.
        FileError: the file system refuses.
    """
    run = find_run(settings, run_id)
    job = newest_job(db, run_id)
    if job is not None and not job.state.ended:
        raise FinetuningError(f"The run '{run_title(run)}' waits or runs: stop it first.")
    with explained_files(run.path):
        run.config.unlink(missing_ok=True)  # from here on it is no run, whatever else happens
        shutil.rmtree(run.path)
