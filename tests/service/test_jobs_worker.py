"""What a worker makes of a job: done, cancelled, failed with a sentence, or out of memory."""

import errno
import os
import threading
import time
from collections.abc import Callable

import pytest

from backend.jobs.context import JobCancelled, JobContext, JobInterrupted, JobLost
from backend.jobs.kinds import HANDLERS, WarmState, find_handler
from backend.jobs.processes import this_process
from backend.jobs.queue import (
    JobError,
    JobView,
    cancel,
    claim_next,
    finish,
    get_job,
    job_log,
    list_jobs,
    retry,
    submit,
)
from backend.jobs.states import JobState
from backend.jobs.worker import Worker
from backend.jobs.workers import WorkerStatus, worker_state
from backend.settings import Settings
from backend.store.database import Database, open_database
from tests.service import counting

CAPTION = "A secret caption about Mrs Miller"


def count_job(db: Database, steps: int, pause: float = 0.0) -> str:
    payload = {"steps": steps, "pause": pause}
    return submit(db, kind="count", payload=payload, title=CAPTION, total=steps)


def claimed(db: Database) -> JobView:
    job = claim_next(db, this_process())
    assert job is not None
    return job


def run_claimed(settings: Settings, db: Database) -> JobView:
    worker = Worker(settings, db, handlers=counting.HANDLERS)
    job = claimed(db)
    worker.run_job(job)
    return get_job(db, job.id)


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_a_job_is_done_with_its_progress_and_log(
    any_settings: Settings, any_database: Database
) -> None:
    job_id = count_job(any_database, 5)
    job = run_claimed(any_settings, any_database)
    assert (job.id, job.state, job.done, job.total) == (job_id, JobState.DONE, 5, 5)
    assert (job.message, job.fraction, job.error) == ("step 5 of 5", 1.0, None)
    assert job.started_at is not None
    assert job.finished_at is not None
    assert job.started_at <= job.finished_at
    assert [line.text for line in job_log(any_database, job_id)] == ["counting to 5"]


def test_cancel_ends_a_running_job_at_its_next_step(
    any_settings: Settings, any_database: Database
) -> None:
    job_id = count_job(any_database, 1000, pause=0.02)
    worker = Worker(any_settings, any_database, handlers=counting.HANDLERS)
    thread = threading.Thread(target=worker.run)
    thread.start()
    wait_for(lambda: get_job(any_database, job_id).done > 2)
    running = get_job(any_database, job_id)
    assert running.rate is not None
    assert running.eta_s == pytest.approx((1000 - running.done) / running.rate)
    assert worker_state(any_database).job_id == job_id

    cancel(any_database, job_id)
    wait_for(lambda: get_job(any_database, job_id).state is JobState.CANCELLED)
    wait_for(lambda: worker_state(any_database).status is WorkerStatus.IDLE)
    worker.stopping.set()
    thread.join()
    assert worker_state(any_database).status is WorkerStatus.ABSENT
    kept = sorted(any_settings.images_dir.iterdir())
    assert 0 < len(kept) < 1000
    assert [file.suffix for file in kept] == [".txt"] * len(kept)


def test_retry_keeps_what_was_made(settings: Settings, database: Database) -> None:
    job_id = count_job(database, 30, pause=0.02)
    worker = Worker(settings, database, handlers=counting.HANDLERS)
    thread = threading.Thread(target=worker.run_job, args=[claimed(database)])
    thread.start()
    wait_for(lambda: len(list(settings.images_dir.glob("*.txt"))) > 2)
    worker.stopping.set()
    thread.join()
    assert get_job(database, job_id).state is JobState.INTERRUPTED
    before = {file: file.stat().st_mtime_ns for file in settings.images_dir.iterdir()}
    assert 0 < len(before) < 30

    retry(database, job_id)
    assert run_claimed(settings, database).state is JobState.DONE
    after = {file: file.stat().st_mtime_ns for file in settings.images_dir.iterdir()}
    assert len(after) == 30
    assert before.items() <= after.items()


def test_an_error_for_the_person_is_shown_as_it_is(settings: Settings, database: Database) -> None:
    count_job(database, -1)
    job = run_claimed(settings, database)
    assert job.state is JobState.FAILED
    assert job.error == "Counting to a negative number is not possible: choose 0 or more."


def test_a_bug_is_one_sentence_and_its_traceback_in_the_job_log(
    any_settings: Settings, any_database: Database
) -> None:
    payload = {"error": "bug", "message": CAPTION}
    submit(any_database, kind="fail", payload=payload, title="fails")
    job = run_claimed(any_settings, any_database)
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert job.error.startswith("Something went wrong inside this job (KeyError)")
    assert CAPTION not in job.error
    assert "counting.py" in job_log(any_database, job.id)[-1].text


@pytest.mark.parametrize(
    ("error", "message"),
    [("memory", ""), ("torch", "[enforce fail] DefaultCPUAllocator: not enough memory")],
)
def test_out_of_memory_says_what_was_tried_and_frees_it(
    settings: Settings, database: Database, error: str, message: str
) -> None:
    submit(database, kind="fail", payload={"error": error, "message": message}, title="too large")
    worker = Worker(settings, database, handlers=counting.HANDLERS)
    assert worker.run_job(claimed(database)) is JobState.FAILED
    job = list_jobs(database)[0]
    assert job.error is not None
    assert job.error.startswith("Memory ran out while trying 4 images of 2048 x 2048 px: choose")
    assert worker.warm.get("counter", lambda: "made again") == "made again"


def test_out_of_memory_says_what_would_fit_where_the_job_knows_it(
    settings: Settings, database: Database
) -> None:
    payload = {"error": "memory", "message": "", "remedy": "choose the profile 12gb"}
    submit(database, kind="fail", payload=payload, title="too large")
    assert str(run_claimed(settings, database).error).endswith(
        "px: choose the profile 12gb, or choose a smaller size or model, or close other programs, "
        "then press Retry."
    )


def test_a_kind_that_nobody_does_is_one_sentence(settings: Settings, database: Database) -> None:
    submit(database, kind="paint", payload={}, title="unknown")
    job = run_claimed(settings, database)
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert "cannot do jobs of the kind 'paint'" in job.error


def test_every_kind_of_the_studio_has_its_function() -> None:
    for kind in HANDLERS:
        assert callable(find_handler(kind, HANDLERS))
    with pytest.raises(JobError):
        find_handler("paint", HANDLERS)


def test_what_is_warm_is_kept_until_another_is_asked_for() -> None:
    warm, made = WarmState(), []

    def make(name: str) -> Callable[[], str]:
        return lambda: made.append(name) or name

    assert [warm.get(key, make(key)) for key in ("a", "a", "b", "a")] == ["a", "a", "b", "a"]
    assert made == ["a", "b", "a"]


def test_a_thing_that_could_not_be_made_is_not_kept() -> None:
    warm = WarmState()
    warm.get("a", lambda: "first")
    with pytest.raises(ZeroDivisionError):
        warm.get("b", lambda: 1 // 0)
    assert warm.get("b", lambda: "second") == "second"


def test_progress_is_written_at_most_five_times_a_second(
    settings: Settings, database: Database
) -> None:
    count_job(database, 10_000)
    context = JobContext(settings, database, claimed(database))
    started = time.monotonic()
    seen = set()
    while time.monotonic() - started < 1.0:
        context.progress(len(seen) + 1, 10_000)
        seen.add(get_job(database, context.job.id).updated_at)
    assert 1 <= len(seen) <= 7
    context.progress(10_000, 10_000, "last")
    assert get_job(database, context.job.id).message == "last"


def test_a_step_costs_less_than_a_millisecond(settings: Settings, database: Database) -> None:
    count_job(database, 2000)
    context = JobContext(settings, database, claimed(database))
    started = time.process_time()
    for step in range(1000):
        context.check_cancelled()
        context.progress(step, 2000, "a step")
    assert (time.process_time() - started) / 1000 < 0.001


def test_a_worker_that_lost_its_job_stops(any_settings: Settings, any_database: Database) -> None:
    count_job(any_database, 3)
    job = claimed(any_database)
    context = JobContext(any_settings, any_database, job)
    finish(any_database, job, JobState.INTERRUPTED)
    with pytest.raises(JobLost):
        context.progress(1, 3)
    assert get_job(any_database, job.id).done == 0


def test_a_worker_that_lost_its_job_does_not_end_it(settings: Settings, database: Database) -> None:
    job_id = count_job(database, 1000, pause=0.01)
    worker = Worker(settings, database, handlers=counting.HANDLERS)
    job = claimed(database)
    thread = threading.Thread(target=worker.run_job, args=[job])
    thread.start()
    wait_for(lambda: get_job(database, job_id).done > 2)
    finish(database, job, JobState.INTERRUPTED, "taken for dead")
    retry(database, job_id)
    thread.join()
    assert get_job(database, job_id).state is JobState.QUEUED
    assert get_job(database, job_id).error is None


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_refuses_is_one_sentence(
    settings: Settings, database: Database, code: int
) -> None:
    payload = {"error": "disk", "message": code}
    submit(database, kind="fail", payload=payload, title="too large")
    job = run_claimed(settings, database)
    assert job.error is not None
    assert job.error.startswith(f"The disk refused to write ({os.strerror(code).lower()}): free")


def test_a_stop_is_seen_before_and_without_the_database(
    settings: Settings, database: Database
) -> None:
    job_id = count_job(database, 3)
    stopping = threading.Event()
    context = JobContext(settings, database, claimed(database), stopping)
    context.check_cancelled()
    cancel(database, job_id)
    time.sleep(0.25)
    with pytest.raises(JobCancelled):
        context.check_cancelled()
    stopping.set()
    with pytest.raises(JobInterrupted):
        context.check_cancelled()


def test_a_locked_database_costs_progress_but_not_the_job(settings: Settings) -> None:
    database = open_database(settings, lock_timeout_s=0.1)
    job_id = count_job(database, 3)
    context = JobContext(settings, database, claimed(database))
    with database.engine.connect() as other:
        other.exec_driver_sql("BEGIN EXCLUSIVE")
        context.progress(1, 3, "not written")
        other.rollback()
    time.sleep(0.25)
    context.progress(2, 3, "written")
    assert get_job(database, job_id).message == "written"
    database.close()
