"""The studio started as a person starts it: `python app.py`, with its worker."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from backend.jobs.queue import get_job
from backend.jobs.states import JobState
from backend.settings import REPOSITORY, Settings
from backend.store.database import Database

STARTS_WITHIN_S = 240
ENDS_WITHIN_S = 60
MADE_WITHIN_S = 180


@contextmanager
def running_studio(settings: Settings, *program: str) -> Iterator[str]:
    """The address of a studio with these settings; its output is beside its workspace.

    `program` are Python's arguments where another page than that of `app.py` is to be served.
    """
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("DERMAFLUX_")
    }
    settings.workspace.mkdir(parents=True, exist_ok=True)
    output = settings.workspace.with_suffix(".txt")
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, *(program or ("app.py",))],
            cwd=REPOSITORY,
            env=environment | settings.environment(),
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        try:
            yield _wait_until_served(f"http://127.0.0.1:{settings.port}/", process, output)
        finally:
            _end(process)


def wait_until_done(database: Database, job_id: str) -> None:
    """Wait for a job of the studio's worker; AssertionError where it ends otherwise."""
    deadline = time.monotonic() + MADE_WITHIN_S
    while (job := get_job(database, job_id)).state is not JobState.DONE:
        assert not job.state.ended, job.error
        assert time.monotonic() < deadline, "The worker did not finish in time."
        time.sleep(0.2)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def _wait_until_served(address: str, process: subprocess.Popen[bytes], output: Path) -> str:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{address}healthz").is_success:
                return address
        except httpx.TransportError:
            time.sleep(0.2)
    raise RuntimeError(f"The studio did not start:\n{output.read_text(errors='replace')}")
