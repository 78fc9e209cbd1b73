"""A real Ray cluster of this machine, started and ended with everything that it started."""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

RAY = Path(sys.executable).with_name("ray")
PROCESSORS = 2
STORE_BYTES = 80 * 2**20
TEST_ADDRESS = "DERMAFLUX_TEST_RAY_ADDRESS"
STARTS = 3
PATIENCE_ENDED = "timed out during startup"
MARK = "DERMAFLUX_TEST_CLUSTER"
"""In the environment of every process of a cluster, by which it is found at the end."""


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running_cluster() -> Iterator[str]:
    """The address of a dashboard: that of DERMAFLUX_TEST_RAY_ADDRESS, or of a cluster started here.

    It has two processors, no GPU and a token, and nothing of it is left afterwards.
    """
    given = os.environ.get(TEST_ADDRESS)
    if given:
        yield given
        return
    # Sockets lie in this folder, and their names must stay short.
    folder = Path(tempfile.mkdtemp(prefix="df-ray-", dir="/tmp"))
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    try:
        address = _started(folder, token)
        with pytest.MonkeyPatch.context() as environment:
            environment.delenv("RAY_AUTH_MODE", raising=False)
            environment.setenv("RAY_AUTH_TOKEN_PATH", str(token))
            yield address
    finally:
        _end(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _started(folder: Path, token: Path) -> str:
    """Ray gives itself 30 s for a node: a busy machine is asked again, then the tests skipped."""
    for _ in range(STARTS):
        port = free_port()
        said = _start(folder, token, port)
        if said is None:
            return f"http://127.0.0.1:{port}"
        _end(folder)
        if PATIENCE_ENDED not in said:
            raise AssertionError(f"Ray did not start: {said[-2000:]}")
    pytest.skip("no Ray cluster: this machine is too busy to start one in the 30 s that Ray allows")


def _start(folder: Path, token: Path, port: int) -> str | None:
    """None, or what Ray said where it did not start."""
    options = {
        "num-cpus": PROCESSORS,
        "num-gpus": 0,
        "object-store-memory": STORE_BYTES,
        "node-ip-address": "127.0.0.1",
        "port": free_port(),
        "ray-client-server-port": free_port(),
        "dashboard-agent-listen-port": free_port(),
        "dashboard-host": "127.0.0.1",
        "dashboard-port": port,
        "include-log-monitor": "false",
        "temp-dir": folder,
    }
    variables = {"RAY_AUTH_TOKEN_PATH": str(token), "RAY_AUTH_MODE": "token", MARK: str(folder)}
    output = folder / "start.txt"
    with output.open("wb") as stream:
        done = subprocess.run(
            [str(RAY), "start", "--head", "--disable-usage-stats"]
            + [f"--{name}={value}" for name, value in options.items()],
            cwd=folder,
            env=os.environ | variables,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    return output.read_text(errors="replace") if done.returncode else None


def _processes_of(folder: Path) -> list[psutil.Process]:
    """What the cluster of a folder started, in whatever family."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            # Those that rename themselves lose their environment, but stay in the folder.
            if process.cwd() == str(folder) or process.environ().get(MARK) == str(folder):
                found.append(process)
    return found


def _end(folder: Path) -> None:
    while family := _processes_of(folder):
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=20)
