"""What the tabs show of jobs that the worker moves on while they look."""

from typing import Any

import gradio as gr
import pytest

from backend.jobs.processes import this_process
from backend.jobs.queue import JobView, claim_next, finish, get_job, list_jobs, submit
from backend.jobs.states import JobState
from backend.settings import Settings
from backend.store.database import Database
from studio.context import StudioContext
from studio.tabs import generate, generate_runs, jobs
from studio.tabs.generate import build_generate
from studio.tabs.generate_progress import RunView


def test_a_job_that_ends_while_the_page_looks_is_shown_once_and_as_done(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = _running(database, kind="generate", payload={"count": 1})

    def list_then_end(db: Database, **criteria: Any) -> list[JobView]:
        found = list_jobs(db, **criteria)
        if criteria.get("states") == (JobState.RUNNING,):
            finish(db, job, JobState.DONE)
        return found

    monkeypatch.setattr(generate_runs, "list_jobs", list_then_end)
    shown = generate_runs.find_runs(StudioContext(settings, database), dismissed=())
    assert [(run.job.id, run.job.state) for run in shown] == [(job.id, JobState.DONE)]


def test_a_job_that_ends_while_generate_looks_is_looked_at_once_more(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = StudioContext(settings, database)
    with gr.Blocks():
        tab = build_generate(studio)
    values = {component: component.value for component in tab.watched}
    job = _running(database, kind="generate", payload={"count": 1})

    def find_then_end(*question: Any) -> list[RunView]:
        found = generate_runs.find_runs(*question)
        _end(database, job)
        return found

    monkeypatch.setattr(generate, "find_runs", find_then_end)
    drawn = tab.look(studio, values)
    assert 'data-state="running"' in drawn[tab.runs]
    assert drawn[tab.timer].active
    drawn = tab.look(studio, values)
    assert 'data-state="done"' in drawn[tab.runs]
    assert not drawn[tab.timer].active


def test_a_job_that_ends_while_jobs_looks_is_looked_at_once_more(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = StudioContext(settings, database)
    with gr.Blocks():
        tab = jobs.build_jobs(studio)
    values = {component: component.value for component in tab.inputs}
    job = _running(database, kind="generate", payload={"count": 1})

    def list_then_end(db: Database, **criteria: Any) -> list[JobView]:
        found = list_jobs(db, **criteria)
        _end(db, job)
        return found

    monkeypatch.setattr(jobs, "list_jobs", list_then_end)
    assert tab.draw(studio, values)[tab.timer].active
    assert not tab.draw(studio, values)[tab.timer].active


def _running(database: Database, **wanted: Any) -> JobView:
    submit(database, title="1 image", **wanted)
    job = claim_next(database, this_process())
    assert job is not None
    return job


def _end(database: Database, job: JobView) -> None:
    if not get_job(database, job.id).state.ended:
        finish(database, job, JobState.DONE)
