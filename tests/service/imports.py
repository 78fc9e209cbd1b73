"""An import that runs here and now, for the tests of the corpus."""

from pathlib import Path

from backend.corpus.importing import KIND, import_title, plan_task
from backend.jobs.here import run_here
from backend.jobs.states import JobState
from backend.settings import Settings
from backend.store.database import Database


def import_folder(
    settings: Settings, database: Database, folder: Path, source: str = "folder", **choices: object
) -> None:
    """Import a folder to the end, at 64 px and in this process unless chosen otherwise."""
    task = plan_task(source, folder, **{"side": 64, "processes": 1, **choices})
    job = run_here(
        settings,
        database,
        kind=KIND,
        payload=task.model_dump(mode="json"),
        title=import_title(task),
        total=0,
        show=lambda _: None,
    )
    assert (job.state, job.error) == (JobState.DONE, None)
