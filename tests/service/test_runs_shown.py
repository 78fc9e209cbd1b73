"""The runs of the Generate tab are each shown once, also while the worker moves them on."""

from typing import Any

import pytest

from backend.jobs.processes import this_process
from backend.jobs.queue import JobView, claim_next, finish, list_jobs, submit
from backend.jobs.states import JobState
from backend.settings import Settings
from backend.store.database import Database
from studio.context import StudioContext
from studio.tabs import generate_runs


def test_a_job_that_ends_while_the_page_looks_is_shown_once_and_as_done(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(database, kind="generate", payload={"count": 1}, title="1 image")
    job = claim_next(database, this_process())
    assert job is not None

    def list_then_end(db: Database, **criteria: Any) -> list[JobView]:
        found = list_jobs(db, **criteria)
        if criteria.get("states") == (JobState.RUNNING,):
            finish(db, job, JobState.DONE)
        return found

    monkeypatch.setattr(generate_runs, "list_jobs", list_then_end)
    shown = generate_runs.find_runs(StudioContext(settings, database), dismissed=())
    assert [(run.job.id, run.job.state) for run in shown] == [(job_id, JobState.DONE)]
