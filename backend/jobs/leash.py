"""Runs a program that must not outlive the process that asked for it, however that one ends.

`python -m backend.jobs.leash GRACE COMMAND...` starts the command as a group of processes of its
own and ends the whole group once its standard input is closed: by the process at the other end, or
by the system when that process was killed. It knows the standard library alone, to start at once.
"""

import os
import signal
import subprocess
import sys
import threading
from types import FrameType

LOOK_EVERY_S = 0.1


def leash_command(command: list[str], *, grace_s: float) -> list[str]:
    """The command on a leash; `grace_s` is how long it may take to leave before it is killed."""
    return [sys.executable, "-m", "backend.jobs.leash", str(grace_s), *command]


def release(leash: "subprocess.Popen[bytes]") -> None:
    """End what was started on a leash whose standard input is a pipe of ours; does not wait."""
    if leash.stdin is not None:
        leash.stdin.close()


def main(arguments: list[str]) -> int:
    """Run the command and end as it ended: its exit code, or minus the signal that killed it."""
    grace_s, command = float(arguments[0]), arguments[1:]
    windows_group: int = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        creationflags=windows_group,
    )
    let_go = threading.Event()

    def ask(_signal: int, _frame: FrameType | None) -> None:
        let_go.set()

    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), ask)
    threading.Thread(target=_wait_for_end_of_input, args=(let_go,), daemon=True).start()
    while child.poll() is None and not let_go.wait(LOOK_EVERY_S):
        pass
    if child.poll() is None:
        _end(child, grace_s)
    _signal_group(child, getattr(signal, "SIGKILL", signal.SIGTERM))  # what the command started
    return child.wait()


def _wait_for_end_of_input(let_go: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    let_go.set()


def _end(child: "subprocess.Popen[bytes]", grace_s: float) -> None:
    _signal_group(child, signal.SIGTERM)
    try:
        child.wait(grace_s)
    except subprocess.TimeoutExpired:
        child.kill()


def _signal_group(child: "subprocess.Popen[bytes]", number: int) -> None:
    if sys.platform == "win32":
        if child.poll() is None:
            child.terminate()
        return
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.exit(code if code >= 0 else 128 - code)
