"""Processes by pid and start time: a pid alone may belong to another program by now."""

import os
import socket
from dataclasses import dataclass

import psutil

START_TOLERANCE_S = 1.0


@dataclass(frozen=True)
class WorkerIdentity:
    """A process on a machine; `started` in seconds since 1970."""

    host: str
    pid: int
    started: float

    @property
    def is_here(self) -> bool:
        """Whether it would run on this machine, where its pid can be looked up."""
        return self.host == socket.gethostname()


def this_process() -> WorkerIdentity:
    """The identity of the running process."""
    return identity_of(os.getpid())


def identity_of(pid: int) -> WorkerIdentity:
    """The identity of a process of this machine, also of one that is gone already."""
    try:
        started = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        started = 0.0
    return WorkerIdentity(socket.gethostname(), pid, started)


def is_alive(worker: WorkerIdentity) -> bool:
    """Whether a process of this machine still runs; one that waits to be buried does not."""
    try:
        process = psutil.Process(worker.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return abs(process.create_time() - worker.started) < START_TOLERANCE_S
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
