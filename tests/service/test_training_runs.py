"""Training runs as jobs: started once, followed, stopped, resumed, and told from their files."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from backend.finetuning import running
from backend.finetuning.errors import FinetuningError
from backend.finetuning.metrics import measure_run
from backend.finetuning.run_folder import Phase, RunFolder, Wish, read_status, wish, wishes
from backend.finetuning.runs import (
    RunFilter,
    RunState,
    compare_runs,
    find_runs,
    get_run,
    metrics_mark,
)
from backend.finetuning.shelving import name_on_shelf, put_on_shelf
from backend.finetuning.submitting import (
    KIND,
    LONGEST_NOTES,
    ask,
    keep_notes,
    remove_run,
    submit_run,
)
from backend.generation.lora.shelf import get_lora
from backend.jobs.leash import leash_command
from backend.jobs.processes import this_process
from backend.jobs.queue import JobView, cancel, claim_next, get_job, list_jobs, refuse
from backend.jobs.states import JobState
from backend.jobs.worker import Worker
from backend.settings import REPOSITORY, Settings
from backend.store.database import Database
from tests.lora_files import kohya_lora, save_lora
from tests.training_runs import a_run, add_lines, step_line, trained

SOON_S = 30.0


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has the job run a program that behaves so, in place of a training that takes long."""

    def behave(behaviour: str) -> None:
        monkeypatch.setattr(
            running,
            "program_command",
            lambda run, _config: [
                *(sys.executable, "-m", "tests.training_runs", str(run.path), behaviour)
            ],
        )

    return behave


def do(settings: Settings, database: Database) -> JobView:
    """Take the next job and do it here."""
    job = claim_next(database, this_process())
    assert job is not None
    Worker(settings, database).run_job(job)
    return get_job(database, job.id)


def soon(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_run_is_trained_and_its_lora_put_onto_the_shelf(
    settings: Settings, database: Database, program: Callable[[str], None]
) -> None:
    run = a_run(settings)
    program("done")
    save_lora(run.lora, kohya_lora(hidden=16), {"modelspec.title": "First try"})
    job_id = submit_run(database, settings, run.path.name)
    assert get_run(database, settings, run.path.name).state is RunState.QUEUED
    job = do(settings, database)
    assert (job.id, job.state, job.done, job.total) == (job_id, JobState.DONE, 40, 40)
    view = get_run(database, settings, run.path.name)
    assert (view.state, view.fraction, view.error) == (RunState.DONE, 1.0, None)
    assert name_on_shelf(database, settings, run) == "First-try"
    assert get_lora(database, settings, "First-try").title == "First try"
    assert put_on_shelf(database, settings, run) == "First-try"
    assert "begun done" in running.read_log_tail(run)
    with pytest.raises(FinetuningError, match="is done"):
        submit_run(database, settings, run.path.name)


def test_a_run_waits_or_runs_once_and_goes_on_after_it_was_stopped(
    settings: Settings, database: Database, program: Callable[[str], None]
) -> None:
    run = a_run(settings)
    program("wait")
    job_id = submit_run(database, settings, run.path.name)
    with pytest.raises(FinetuningError, match="waits or runs already"):
        submit_run(database, settings, run.path.name)
    stopping = threading.Thread(target=_ask_once_it_trains, args=(settings, database, run))
    stopping.start()
    assert do(settings, database).state is JobState.CANCELLED
    stopping.join()
    assert get_run(database, settings, run.path.name).state is RunState.STOPPED
    assert not wishes(run)
    program("crash")
    assert submit_run(database, settings, run.path.name) == job_id
    crashed = do(settings, database)
    assert (crashed.state, crashed.attempt) == (JobState.FAILED, 2)
    assert crashed.error is not None
    assert "ended without saying why (exit code 3)" in crashed.error
    assert get_run(database, settings, run.path.name).error == crashed.error


def _ask_once_it_trains(settings: Settings, database: Database, run: RunFolder) -> None:
    soon(lambda: (status := read_status(run)) is not None and status.phase is Phase.TRAINING)
    assert "checkpoint" in ask(database, settings, run.path.name, Wish.STOP_AFTER_CHECKPOINT)


def test_a_failed_program_is_told_in_its_own_words(
    settings: Settings, database: Database, program: Callable[[str], None]
) -> None:
    run = a_run(settings)
    program("fail")
    submit_run(database, settings, run.path.name)
    assert do(settings, database).error == "The disk is full: free some."
    view = get_run(database, settings, run.path.name)
    assert (view.state, view.error) == (RunState.FAILED, "The disk is full: free some.")


def test_cancelling_ends_a_program_that_does_not_listen(
    settings: Settings,
    database: Database,
    program: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(running, "CANCEL_WITHIN_S", 0.3)
    run = a_run(settings)
    program("deaf")
    job_id = submit_run(database, settings, run.path.name)

    def stop() -> None:
        soon(lambda: (run.path / "pid").is_file() and run.status.is_file())
        cancel(database, job_id)

    thread = threading.Thread(target=stop)
    thread.start()
    assert do(settings, database).state is JobState.CANCELLED
    thread.join()
    assert not psutil.pid_exists(int((run.path / "pid").read_text()))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_the_program_leaves_with_a_worker_that_is_killed(tmp_path: Path) -> None:
    """Also what the program itself has started."""
    pids = tmp_path / "pids"
    inner = f"import os,time; open({str(pids)!r},'a').write(f'{{os.getpid()}} '); time.sleep(60)"
    outer = f"import subprocess,sys; subprocess.Popen([sys.executable,'-c',{inner!r}]); {inner}"
    leash = leash_command([sys.executable, "-c", outer], grace_s=1.0)
    worker = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            f"import subprocess, time; subprocess.Popen({leash!r}, stdin=-1); time.sleep(60)",
        ],
        cwd=REPOSITORY,
    )
    soon(lambda: pids.is_file() and len(pids.read_text().split()) == 2)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    soon(lambda: not any(_runs(int(pid)) for pid in pids.read_text().split()))


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_state_follows_from_the_files_and_the_job_alone(
    settings: Settings, database: Database
) -> None:
    def state(run: RunFolder) -> RunState:
        return get_run(database, settings, run.path.name).state

    run = a_run(settings)
    assert state(run) is RunState.PLANNED
    trained(run, 5)
    assert state(run) is RunState.TRAINING  # by a command, which has no job
    for file in (run.status, run.metrics):
        os.utime(file, (1e9, 1e9))
    assert state(run) is RunState.INTERRUPTED
    submit_run(database, settings, run.path.name)
    assert state(run) is RunState.QUEUED
    job = claim_next(database, this_process())
    assert job is not None
    assert state(run) is RunState.TRAINING
    run.config.write_text("{}")
    view = get_run(database, settings, run.path.name)
    assert view.config is None
    assert view.error is not None
    assert "cannot be read" in view.error


def test_a_queued_run_that_is_stopped_leaves_the_queue(
    settings: Settings, database: Database
) -> None:
    run = a_run(settings)
    submit_run(database, settings, run.path.name)
    with pytest.raises(FinetuningError, match="not running"):
        ask(database, settings, run.path.name, Wish.SAVE_NOW)
    assert "out of the queue" in ask(database, settings, run.path.name, Wish.STOP_NOW)
    assert get_run(database, settings, run.path.name).state is RunState.STOPPED
    assert not list_jobs(database, states=(JobState.QUEUED,), kinds=(KIND,))


def test_metrics_become_curves_and_broken_lines_are_left_out(settings: Settings) -> None:
    run = a_run(settings)
    trained(run, 20)
    add_lines(run, [{"kind": "step", "step": "x"}, {"kind": "what"}, step_line(21, float("nan"))])
    with run.metrics.open("a") as stream:
        stream.write('[1]\n{"kind": "step", "st')
    measured = measure_run(run)
    assert measured.per_step["loss"].steps == tuple(range(1, 22))
    assert measured.smoothed.values[0] == pytest.approx(1.0)
    assert measured.smoothed.values[20] == measured.smoothed.values[19]
    assert measured.overall.lowest == (20, pytest.approx(1.05))
    assert set(measured.validation["timestep"]) == {"0.0625", "0.9375"}
    assert sum(measured.shares.values()) == pytest.approx(1)
    assert list(measured.samples) == [10, 20]
    assert measured.samples[20][0].file.is_file()
    assert measured.agreement["colours"].values == (0.5, 0.5)


def test_a_sample_outside_of_the_run_is_not_shown(settings: Settings) -> None:
    run = a_run(settings)
    image = {"file": "../../studio.db", "caption": "x", "agreement": {}}
    add_lines(run, [{"kind": "samples", "step": 1, "images": [image]}])
    assert measure_run(run).samples == {1: ()}


def test_metrics_are_drawn_anew_a_hundred_times_and_not_at_each_step(settings: Settings) -> None:
    run = a_run(settings)
    marks = set()
    for step in range(1, 2_000):
        add_lines(run, [step_line(step)])
        marks.add(metrics_mark(run))
    assert 100 < len(marks) < 900


def test_runs_are_compared_by_images_seen(settings: Settings, database: Database) -> None:
    first = a_run(settings, "20260101-a")
    second = a_run(settings, "20260102-b", title="Second", batch=4, learning_rate=0.001)
    trained(first, 20)
    trained(second, 10)
    found = compare_runs(database, settings, [first.path.name, second.path.name])
    differing = {one.setting: one.values for one in found.differences}
    assert differing == {"batch": ("2", "4"), "learning_rate": ("0.0001", "0.001")}
    assert [curve.steps[-1] for curve in found.smoothed] == [40, 40]
    with pytest.raises(FinetuningError, match="two runs"):
        compare_runs(database, settings, [first.path.name, first.path.name])


def test_runs_are_found_by_words_state_and_base(settings: Settings, database: Database) -> None:
    first = a_run(settings, "20260101-a", title="Melanoma")
    a_run(settings, "20260102-b", title="Nevus", base="flux")
    keep_notes(settings, first.path.name, "too high a rate")
    everything = find_runs(database, settings)
    assert [view.title for view in everything] == ["Nevus", "Melanoma"]

    def admitted(criteria: RunFilter) -> list[str]:
        return [view.title for view in everything if criteria.admits(view)]

    assert admitted(RunFilter(text="HIGH")) == ["Melanoma"]
    assert admitted(RunFilter(base="flux")) == ["Nevus"]
    assert admitted(RunFilter(state=RunState.DONE)) == []


def test_a_removed_run_is_gone_and_an_open_one_stays(
    settings: Settings, database: Database
) -> None:
    run = a_run(settings)
    submit_run(database, settings, run.path.name)
    with pytest.raises(FinetuningError, match="stop it first"):
        remove_run(database, settings, run.path.name)
    refuse(database, list_jobs(database, kinds=(KIND,))[0], "not today")
    remove_run(database, settings, run.path.name)
    assert find_runs(database, settings) == []
    for name in (run.path.name, "../..", ""):
        with pytest.raises(FinetuningError, match="no training run"):
            remove_run(database, settings, name)


def test_notes_have_an_end(settings: Settings) -> None:
    run = a_run(settings)
    with pytest.raises(FinetuningError, match="shorten them"):
        keep_notes(settings, run.path.name, "x" * (LONGEST_NOTES + 1))


def test_a_wish_that_was_left_over_does_not_stop_the_next_start(
    settings: Settings, database: Database, program: Callable[[str], None]
) -> None:
    run = a_run(settings)
    wish(run, Wish.STOP_NOW)
    submit_run(database, settings, run.path.name)
    program("crash")
    assert do(settings, database).state is JobState.FAILED
