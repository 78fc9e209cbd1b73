"""The queue: first come, first served, each job to one worker, every change where it is allowed."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from backend.jobs.processes import WorkerIdentity, this_process
from backend.jobs.queue import (
    JobError,
    cancel,
    claim_next,
    count_jobs,
    finish,
    get_job,
    job_log,
    list_jobs,
    new_id,
    queue_position,
    remove,
    retry,
    submit,
    write_log,
)
from backend.jobs.states import JobState
from backend.settings import Settings
from backend.store.database import Database

ENDS = [JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.INTERRUPTED]


def submit_many(db: Database, count: int, kind: str = "count") -> list[str]:
    return [submit(db, kind=kind, payload={"n": n}, title=f"job {n}") for n in range(count)]


def ended_job(db: Database, state: JobState) -> str:
    job_id = submit(db, kind="count", payload={}, title="one", total=3)
    job = claim_next(db, this_process())
    assert job is not None
    assert finish(db, job, state, "why")
    return job_id


def test_a_job_comes_back_as_it_was_submitted(any_database: Database) -> None:
    payload = {"caption": "Ein Muttermal – größer als 5 mm 🙂", "seed": 2**32 - 1, "sizes": [1.5]}
    job_id = submit(
        any_database, kind="generate", payload=payload, title="4 images", owner="anna", total=80
    )
    job = get_job(any_database, job_id)
    assert job.payload == payload
    assert (job.state, job.attempt, job.done, job.total) == (JobState.QUEUED, 1, 0, 80)
    assert (job.owner, job.title, job.error) == ("anna", "4 images", None)


def test_ids_are_in_order_of_time_and_differ() -> None:
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert [job_id[:10] for job_id in ids] == sorted(job_id[:10] for job_id in ids)
    assert {len(job_id) for job_id in ids} == {26}


def test_jobs_are_claimed_in_the_order_they_came(any_database: Database) -> None:
    ids = submit_many(any_database, 5)
    assert [queue_position(any_database, job_id) for job_id in ids] == [1, 2, 3, 4, 5]
    claimed = [claim_next(any_database, this_process()) for _ in range(6)]
    assert [job.id for job in claimed if job] == ids
    assert claimed[5] is None
    assert queue_position(any_database, ids[0]) is None


def test_200_jobs_submitted_at_once_go_to_one_worker_each(any_database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        batches = list(pool.map(lambda _: submit_many(any_database, 25), range(8)))
    submitted = {job_id for batch in batches for job_id in batch}
    barrier = threading.Barrier(4)

    def drain(number: int) -> list[str]:
        worker = WorkerIdentity("host", number, 0.5)
        claimed = []
        barrier.wait()
        while job := claim_next(any_database, worker):
            assert job.worker_pid == number
            claimed.append(job.id)
        return claimed

    with ThreadPoolExecutor(4) as pool:
        shares = list(pool.map(drain, range(1, 5)))
    claimed = [job_id for share in shares for job_id in share]
    assert len(claimed) == len(submitted) == 200
    assert set(claimed) == submitted
    assert count_jobs(any_database, states=[JobState.RUNNING]) == 200


def test_cancel_ends_a_queued_job_at_once(any_database: Database) -> None:
    (job_id,) = submit_many(any_database, 1)
    assert cancel(any_database, job_id).state is JobState.CANCELLED
    assert claim_next(any_database, this_process()) is None
    assert get_job(any_database, job_id).finished_at is not None


def test_cancel_asks_a_running_job_to_end(any_database: Database) -> None:
    (job_id,) = submit_many(any_database, 1)
    claim_next(any_database, this_process())
    job = cancel(any_database, job_id)
    assert (job.state, job.cancel_requested) == (JobState.RUNNING, True)


@pytest.mark.parametrize("state", ENDS)
def test_cancel_of_an_ended_job_is_refused(database: Database, state: JobState) -> None:
    job_id = ended_job(database, state)
    with pytest.raises(JobError, match=f"has ended \\({state}\\)"):
        cancel(database, job_id)


@pytest.mark.parametrize("state", ENDS[1:])
def test_retry_goes_to_the_end_of_the_queue_under_the_same_id(
    any_database: Database, state: JobState
) -> None:
    job_id = ended_job(any_database, state)
    submit_many(any_database, 2)
    job = retry(any_database, job_id)
    assert (job.id, job.state, job.attempt) == (job_id, JobState.QUEUED, 2)
    assert (job.error, job.finished_at, job.worker_pid, job.cancel_requested) == (
        None,
        None,
        None,
        False,
    )
    assert queue_position(any_database, job_id) == 3


def test_retry_of_a_job_that_is_done_queued_or_running_is_refused(database: Database) -> None:
    done = ended_job(database, JobState.DONE)
    running, queued = submit_many(database, 2)
    claim_next(database, this_process())
    for job_id in (done, running, queued):
        with pytest.raises(JobError, match="only a failed, cancelled or interrupted job"):
            retry(database, job_id)


def test_remove_takes_the_log_and_the_folder_along(
    any_database: Database, any_settings: Settings
) -> None:
    job_id = ended_job(any_database, JobState.DONE)
    write_log(any_database, job_id, "a line")
    folder = any_settings.jobs_dir / job_id
    folder.mkdir()
    (folder / "preview-0.png").write_bytes(b"pixels")
    remove(any_database, job_id, jobs_dir=any_settings.jobs_dir)
    assert not folder.exists()
    with pytest.raises(JobError, match="There is no job"):
        job_log(any_database, job_id)


def test_remove_of_an_open_job_is_refused(database: Database) -> None:
    running, queued = submit_many(database, 2)
    claim_next(database, this_process())
    for job_id in (running, queued):
        with pytest.raises(JobError, match="cancel it before you remove it"):
            remove(database, job_id)


def test_only_the_worker_that_holds_a_job_can_end_it(any_database: Database) -> None:
    (job_id,) = submit_many(any_database, 1)
    first = claim_next(any_database, WorkerIdentity("host", 1, 0.5))
    assert first is not None
    assert finish(any_database, first, JobState.INTERRUPTED)
    retry(any_database, job_id)
    second = claim_next(any_database, WorkerIdentity("host", 2, 0.25))
    assert second is not None
    assert not finish(any_database, first, JobState.DONE)
    assert get_job(any_database, job_id).state is JobState.RUNNING
    assert finish(any_database, second, JobState.DONE)


def test_jobs_are_listed_newest_first_by_state_and_kind(any_database: Database) -> None:
    counts = submit_many(any_database, 3)
    others = submit_many(any_database, 2, kind="other")
    cancel(any_database, counts[1])
    listed = [job.id for job in list_jobs(any_database)]
    assert listed == [*others[::-1], *counts[::-1]]
    assert [job.id for job in list_jobs(any_database, kinds=["other"])] == others[::-1]
    assert [job.id for job in list_jobs(any_database, states=[JobState.CANCELLED])] == [counts[1]]
    assert [job.id for job in list_jobs(any_database, limit=2, offset=1)] == listed[1:3]
    assert count_jobs(any_database, states=[JobState.QUEUED], kinds=["count"]) == 2


def test_the_log_keeps_order_and_gives_the_last_lines(any_database: Database) -> None:
    (job_id,) = submit_many(any_database, 1)
    for number in range(5):
        write_log(any_database, job_id, f"line {number}", "warning")
    lines = job_log(any_database, job_id, limit=2)
    assert [(line.text, line.level) for line in lines] == [
        ("line 3", "warning"),
        ("line 4", "warning"),
    ]


@pytest.mark.parametrize("ask", [get_job, cancel, retry, remove, queue_position, job_log])
def test_an_unknown_job_is_one_sentence(database: Database, ask: object) -> None:
    with pytest.raises(JobError, match="There is no job nothing: it may have been removed"):
        ask(database, "nothing")
