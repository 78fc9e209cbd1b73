"""A worker killed with -9: its job is interrupted within 10 s, a new one comes, Retry ends it."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from backend.jobs.processes import WorkerIdentity, identity_of, is_alive, this_process
from backend.jobs.queue import (
    JobView,
    cancel,
    claim_next,
    count_jobs,
    get_job,
    list_jobs,
    retry,
    submit,
)
from backend.jobs.reconcile import reconcile
from backend.jobs.states import JobState
from backend.jobs.supervisor import Supervisor
from backend.jobs.workers import WorkerStatus, report, worker_state
from backend.settings import REPOSITORY, Settings
from backend.store.columns import now
from backend.store.database import Database
from backend.store.tables import WorkerProcess

COUNTING_WORKER = [sys.executable, "-m", "tests.service.counting"]


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> float:
    """Seconds until the condition held."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, "waited in vain"
        time.sleep(0.05)
    return time.monotonic() - started


def count_job(db: Database, steps: int, pause: float = 0.0) -> str:
    payload = {"steps": steps, "pause": pause}
    return submit(db, kind="count", payload=payload, title="counting", total=steps)


def state_of(db: Database, job_id: str) -> JobState:
    return get_job(db, job_id).state


def start_worker(settings: Settings) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        COUNTING_WORKER,
        cwd=REPOSITORY,
        env=os.environ | settings.environment(),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture
def supervisor(any_settings: Settings, any_database: Database) -> Iterator[Supervisor]:
    supervisor = Supervisor(any_settings, any_database, command=COUNTING_WORKER)
    supervisor.start()
    yield supervisor
    supervisor.stop()


def test_a_worker_killed_in_the_middle_loses_nothing(
    any_settings: Settings, any_database: Database, supervisor: Supervisor
) -> None:
    job_id = count_job(any_database, 60, pause=0.05)
    wait_for(lambda: get_job(any_database, job_id).done > 3)
    first = supervisor.worker_pid
    assert first is not None
    psutil.Process(first).kill()

    seconds = wait_for(lambda: state_of(any_database, job_id) is JobState.INTERRUPTED, 10.0)
    assert seconds < 10
    job = get_job(any_database, job_id)
    assert job.error is not None
    assert "press Retry" in job.error
    made = {file: file.stat().st_mtime_ns for file in any_settings.images_dir.iterdir()}
    assert 3 < len(made) < 60
    assert not [file for file in made if file.suffix == ".partial"]

    wait_for(lambda: worker_state(any_database).status is WorkerStatus.IDLE)
    assert supervisor.worker_pid not in (None, first)
    retry(any_database, job_id)
    wait_for(lambda: state_of(any_database, job_id) is JobState.DONE)
    after = {file: file.stat().st_mtime_ns for file in any_settings.images_dir.iterdir()}
    assert len(after) == 60
    assert made.items() <= after.items()


def test_stop_ends_the_worker_and_leaves_its_job_to_be_tried_again(
    settings: Settings, database: Database
) -> None:
    supervisor = Supervisor(settings, database, command=COUNTING_WORKER)
    supervisor.start()
    job_id = count_job(database, 1000, pause=0.05)
    wait_for(lambda: get_job(database, job_id).done > 1)
    worker = supervisor.worker_pid
    assert worker is not None
    identity = identity_of(worker)
    supervisor.stop()
    assert not is_alive(identity)
    assert state_of(database, job_id) is JobState.INTERRUPTED
    assert worker_state(database).status is WorkerStatus.ABSENT
    assert not list(settings.images_dir.glob("*.partial"))


def test_a_worker_that_lives_already_is_left_to_its_work(
    settings: Settings, database: Database
) -> None:
    with start_worker(settings) as earlier:
        wait_for(lambda: worker_state(database).status is WorkerStatus.IDLE)
        supervisor = Supervisor(settings, database, command=COUNTING_WORKER)
        supervisor.start()
        job_id = count_job(database, 3)
        wait_for(lambda: state_of(database, job_id) is JobState.DONE)
        time.sleep(2.5)
        assert supervisor.worker_pid is None
        earlier.terminate()
        assert earlier.wait(30) == 0
        wait_for(lambda: supervisor.worker_pid is not None)
        supervisor.stop()


def test_a_worker_that_cannot_start_is_not_started_over_and_over(
    settings: Settings, database: Database
) -> None:
    starts = settings.workspace / "starts"
    program = f"open({str(starts)!r}, 'a').write('x'); raise SystemExit(3)"
    supervisor = Supervisor(settings, database, command=[sys.executable, "-S", "-c", program])
    supervisor.start()
    wait_for(lambda: starts.exists() and len(starts.read_text()) >= 2)
    time.sleep(5)
    supervisor.stop()
    assert 2 <= len(starts.read_text()) <= 4


def test_two_worker_processes_share_200_jobs_and_do_each_once(
    any_settings: Settings, any_database: Database
) -> None:
    workers = [start_worker(any_settings) for _ in range(2)]
    wait_for(lambda: ready_workers(any_database) == 2)
    for _ in range(200):
        count_job(any_database, 1)
    done = [JobState.DONE]
    wait_for(lambda: count_jobs(any_database, states=done) == 200, 120.0)
    for worker in workers:
        worker.terminate()
    assert [worker.wait(30) for worker in workers] == [0, 0]
    jobs = list_jobs(any_database, limit=200)
    assert {job.worker_pid for job in jobs} == {worker.pid for worker in workers}
    assert {job.attempt for job in jobs} == {1}
    assert len(list(any_settings.images_dir.glob("*.txt"))) == 200


def test_a_command_that_does_its_own_job_does_not_keep_the_worker_away(
    settings: Settings, database: Database
) -> None:
    report(database, this_process(), ready=False, job_id="its own")
    supervisor = Supervisor(settings, database, command=COUNTING_WORKER)
    supervisor.start()
    job_id = count_job(database, 1)
    wait_for(lambda: state_of(database, job_id) is JobState.DONE)
    supervisor.stop()


def test_a_worker_whose_studio_was_killed_empties_the_queue_and_leaves(
    settings: Settings, database: Database
) -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as studio:
        worker = subprocess.Popen(
            [sys.executable, "-m", "backend", "worker", "--parent", str(studio.pid)],
            cwd=REPOSITORY,
            env=os.environ | settings.environment(),
        )
        wait_for(lambda: worker_state(database).status is WorkerStatus.IDLE)
        studio.kill()
    assert worker.wait(30) == 0
    assert worker_state(database).status is WorkerStatus.ABSENT


def ready_workers(db: Database) -> int:
    with db.session() as session:
        return session.query(WorkerProcess).filter(WorkerProcess.ready).count()


def dead_process() -> WorkerIdentity:
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as child:
        return identity_of(child.pid)


def claimed_by(db: Database, worker: WorkerIdentity) -> JobView:
    count_job(db, 3)
    job = claim_next(db, worker)
    assert job is not None
    return job


def test_a_job_of_a_living_worker_is_left_alone(any_database: Database) -> None:
    job = claimed_by(any_database, this_process())
    assert reconcile(any_database) == []
    assert state_of(any_database, job.id) is JobState.RUNNING


def test_a_job_of_a_dead_worker_is_interrupted_and_its_leftovers_deleted(
    any_settings: Settings, any_database: Database
) -> None:
    job = claimed_by(any_database, dead_process())
    folder = any_settings.jobs_dir / job.id
    leftovers: list[Path] = [
        folder / "preview-0.png",
        any_settings.images_dir / job.id / f"{job.id}-0001.png.77.partial",
        any_settings.thumbnails_dir / f"{job.id}-0001.webp.partial",
    ]
    kept = [
        any_settings.images_dir / job.id / f"{job.id}-0000.png",
        any_settings.images_dir / "other" / "other-0000.png.78.partial",
        folder / "report.json",
    ]
    for file in leftovers + kept:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"x")
    assert reconcile(any_database, any_settings) == [job.id]
    assert state_of(any_database, job.id) is JobState.INTERRUPTED
    assert [file.exists() for file in leftovers] == [False] * 3
    assert [file.exists() for file in kept] == [True] * 3
    assert reconcile(any_database, any_settings) == []


def test_a_reused_pid_is_another_process(any_database: Database) -> None:
    me = this_process()
    job = claimed_by(any_database, WorkerIdentity(me.host, me.pid, me.started - 100))
    assert reconcile(any_database) == [job.id]


def test_a_job_that_was_being_cancelled_becomes_cancelled(any_database: Database) -> None:
    job = claimed_by(any_database, dead_process())
    cancel(any_database, job.id)
    assert reconcile(any_database) == [job.id]
    assert state_of(any_database, job.id) is JobState.CANCELLED


def test_a_worker_of_another_machine_is_judged_by_its_heartbeat(any_database: Database) -> None:
    elsewhere = WorkerIdentity("elsewhere.example", 1, 0.5)
    report(any_database, elsewhere, ready=True, job_id=None)
    job = claimed_by(any_database, elsewhere)
    assert reconcile(any_database) == []
    with any_database.session() as session:
        (row,) = session.query(WorkerProcess)
        row.seen_at = now() - timedelta(minutes=2)
    assert reconcile(any_database) == [job.id]


def test_two_reconcilers_end_a_job_once(any_database: Database) -> None:
    jobs = {claimed_by(any_database, dead_process()).id for _ in range(3)}
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.extend(reconcile(any_database))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(jobs)


def test_the_web_process_needs_no_torch_for_jobs() -> None:
    program = (
        "import sys; import backend.jobs.queue, backend.jobs.supervisor, backend.store.captions, "
        "backend.accounts, backend.jobs.worker; "
        "print({'torch', 'diffusers', 'transformers', 'timm', 'gradio'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.stdout.strip() == "set()", done.stderr
