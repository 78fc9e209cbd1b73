"""Review sets made by a job: what is refused at once, what the job says, and made once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from backend.accounts import create_account, set_disabled
from backend.jobs.queue import cancel, count_jobs, retry, submit
from backend.jobs.reconcile import reconcile
from backend.jobs.states import JobState
from backend.review.making import make_set
from backend.review.people import Actor
from backend.review.queue import next_items
from backend.review.recipe import ReviewRecipe
from backend.review.running import get_making, open_makings, submit_set
from backend.review.sets import list_review_sets
from backend.review.trail import audit
from backend.settings import REPOSITORY, Settings
from backend.store.database import Database
from backend.store.tables import Role
from studio.review_api import review_routes
from tests.service.reviewing import (
    ANNA,
    CARL,
    add_captions,
    add_generated,
    add_images,
    work,
)
from tests.service.studio import wait_for

ROOM = "/review/api"
WHO = {"X-Reviewer": "carl"}
RECIPE = ReviewRecipe(name="Pilot", size=None)


@pytest.fixture
def client(settings: Settings, database: Database) -> TestClient:
    """A studio on its own machine, without a worker, over six captions."""
    add_images(database, 6)
    add_captions(database, 6)
    app = FastAPI()
    app.include_router(review_routes(settings, database, signed_in=False))
    return TestClient(app)


def test_a_set_is_asked_for_and_found_when_the_job_has_made_it(
    client: TestClient, settings: Settings, database: Database
) -> None:
    asked = client.post(f"{ROOM}/sets", headers=WHO, json={"name": "Pilot", "size": 4})
    assert asked.status_code == 202
    job = asked.json()["job"]
    waiting = {
        "job": job,
        "name": "Pilot",
        "state": "queued",
        "text": "waiting, number 1 in the queue",
        "error": None,
        "set": None,
    }
    assert client.get(f"{ROOM}/jobs/{job}", headers=WHO).json() == waiting
    assert client.get(f"{ROOM}/jobs", headers=WHO).json() == [waiting]
    assert client.get(f"{ROOM}/sets", headers=WHO).json() == []
    ended = work(settings, database)
    assert (ended.state, ended.message, ended.fraction) == (JobState.DONE, "the set is made", 1.0)
    made = client.get(f"{ROOM}/jobs/{job}", headers=WHO).json()
    assert (made["state"], made["error"]) == ("done", None)
    view = client.get(f"{ROOM}/sets/{made['set']}", headers=WHO).json()
    assert (view["name"], view["created_by"], view["progress"]["items"]) == ("Pilot", "carl", 4)
    assert client.get(f"{ROOM}/jobs", headers=WHO).json() == []


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"name": "Old"}, 409, "There is a review set 'Old' already"),
        ({"name": "Asked"}, 409, "A review set 'Asked' is being made"),
        ({"captioner": "nobody"}, 400, "The captioner nobody has written nothing yet"),
        ({"prompt": "9"}, 400, "The captioner measured has written nothing yet by its version '9'"),
        ({"subset": "none"}, 400, "There is no subset 'none'"),
        ({"dataset": "none"}, 400, "There is no image of a dataset 'none'"),
        ({"kind": "images", "image_set": "none"}, 400, "There is no set of images 'none'"),
        ({"kind": "real_or_synthetic", "subset": "none"}, 400, "There is no subset 'none'"),
        ({"reviewers": ["x" * 65]}, 400, "The name of a reviewer has 1 to 64 signs"),
        ({"size": 0}, 422, "size: "),
    ],
)
def test_what_is_known_without_reading_captions_is_refused_at_once(
    client: TestClient, database: Database, body: dict[str, object], status: int, words: str
) -> None:
    make_set(database, CARL, ReviewRecipe(name="Old"))
    submit_set(database, CARL, ReviewRecipe(name="Asked"))
    refused = client.post(f"{ROOM}/sets", headers=WHO, json={"name": "New", **body})
    assert (refused.status_code, refused.json()["detail"][: len(words)]) == (status, words)
    assert count_jobs(database) == 1


def test_what_only_the_job_can_know_ends_it_with_a_sentence(
    client: TestClient, settings: Settings, database: Database
) -> None:
    add_images(database, 1, dataset="bare")
    add_generated(database, 1)
    for body, sentence in (
        ({"dataset": "bare"}, "Nothing matches: widen the choice, or caption images first."),
        ({"kind": "real_or_synthetic"}, "There are 7 real and 1 generated images to mix: "),
    ):
        asked = client.post(f"{ROOM}/sets", headers=WHO, json={"name": "New", **body})
        assert asked.status_code == 202
        assert work(settings, database).state is JobState.FAILED
        failed = client.get(f"{ROOM}/jobs/{asked.json()['job']}", headers=WHO).json()
        assert (failed["state"], failed["set"]) == ("failed", None)
        assert failed["error"].startswith(sentence)
    assert client.get(f"{ROOM}/sets", headers=WHO).json() == []
    assert client.get(f"{ROOM}/jobs", headers=WHO).json() == []


def test_a_name_that_is_taken_meanwhile_ends_the_job(
    settings: Settings, database: Database
) -> None:
    add_images(database, 2)
    add_captions(database, 2)
    job_id = submit_set(database, CARL, RECIPE)
    make_set(database, ANNA, RECIPE)
    work(settings, database)
    failed = get_making(database, CARL, job_id)
    assert (failed.set, failed.error) == (
        None,
        "There is a review set 'Pilot' already: choose another name.",
    )


def test_whose_account_is_closed_meanwhile_gets_no_set(
    settings: Settings, database: Database
) -> None:
    add_images(database, 2)
    add_captions(database, 2)
    create_account(database, "rob", "four green apples fall", Role.RESEARCHER)
    submit_set(database, Actor("rob", "rob"), RECIPE)
    set_disabled(database, "rob", disabled=True)
    ended = work(settings, database)
    assert (ended.state, ended.owner) == (JobState.FAILED, "rob")
    assert "This account is closed" in (ended.error or "")
    assert list_review_sets(database, CARL) == []


def test_a_cancelled_job_says_so_and_can_be_retried(settings: Settings, database: Database) -> None:
    add_images(database, 2)
    add_captions(database, 2)
    job_id = submit_set(database, CARL, RECIPE)
    cancel(database, job_id)
    assert "cancelled" in (get_making(database, CARL, job_id).error or "")
    retry(database, job_id)
    assert [one.state for one in open_makings(database, CARL)] == [JobState.QUEUED]
    assert work(settings, database).state is JobState.DONE
    assert get_making(database, CARL, job_id).set == job_id


@pytest.mark.parametrize("place", ["before", "after"])
def test_killed_and_retried_a_set_is_made_once(
    any_settings: Settings, any_database: Database, tmp_path: Path, place: str
) -> None:
    add_images(any_database, 6)
    add_captions(any_database, 6)
    job_id = submit_set(any_database, CARL, RECIPE)
    reached = tmp_path / "reached"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.service.dying_maker", place, str(reached)],
        cwd=REPOSITORY,
        env={**os.environ, **any_settings.environment()},
    )
    wait_for(lambda: reached.exists() or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert reconcile(any_database, any_settings) == [job_id]
    made = [one.id for one in list_review_sets(any_database, CARL)]
    assert made == ([job_id] if place == "after" else [])
    assert get_making(any_database, CARL, job_id).set == (job_id if made else None)

    retry(any_database, job_id)
    again = work(any_settings, any_database)
    assert (again.state, again.error, again.attempt) == (JobState.DONE, None, 2)
    (view,) = list_review_sets(any_database, CARL)
    assert (view.id, view.progress.items) == (job_id, 6)
    assert [one.action for one in audit(any_database, CARL, job_id).events] == ["created"]
    assert len(next_items(any_database, ANNA, job_id, 20).items) == 6


def test_a_job_that_makes_something_else_is_none_of_reviewing(
    client: TestClient, database: Database
) -> None:
    other = submit(database, kind="caption", payload={}, title="Captions")
    for job_id in (other, "none"):
        answer = client.get(f"{ROOM}/jobs/{job_id}", headers=WHO)
        assert (answer.status_code, answer.json()["detail"].endswith(".")) == (404, True)
    assert client.get(f"{ROOM}/jobs", headers=WHO).json() == []
