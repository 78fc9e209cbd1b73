"""The studio started as a person starts it: `python app.py`, with its worker."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from backend.settings import REPOSITORY, Settings

STARTS_WITHIN_S = 240
ENDS_WITHIN_S = 60


@contextmanager
def running_studio(settings: Settings) -> Iterator[str]:
    """The address of a studio with these settings; its output is beside its workspace."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("DERMAFLUX_")
    }
    settings.workspace.mkdir(parents=True, exist_ok=True)
    output = settings.workspace.with_suffix(".txt")
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=REPOSITORY,
            env=environment | settings.environment(),
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        try:
            yield _wait_until_served(f"http://127.0.0.1:{settings.port}/", process, output)
        finally:
            _end(process)


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
