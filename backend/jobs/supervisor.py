"""Keeps one worker running beside the web process, the job table true, and a cluster at work."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import psutil

from backend.jobs.cluster.dispatch import Dispatcher
from backend.jobs.processes import this_process
from backend.jobs.reconcile import reconcile
from backend.jobs.workers import living
from backend.settings import REPOSITORY, Settings
from backend.store.database import Database
from backend.store.errors import StoreError
from backend.store.tables import WorkerProcess

CHECK_EVERY_S = 2.0
STOP_WITHIN_S = 10.0
STEADY_AFTER_S = 30.0
LONGEST_PAUSE_S = 30.0

log = logging.getLogger(__name__)


class Supervisor:
    """Guards the worker process: starts it, starts it again when it dies, ends it.

    A worker of this machine that lives already, say from before the page was restarted, is
    left to its work, and a new one is started only when it leaves. `command` is what runs a
    worker.
    """

    def __init__(
        self, settings: Settings, database: Database, *, command: Sequence[str] | None = None
    ) -> None:
        self._settings = settings
        self._database = database
        self._command = list(command or _worker_command())
        self._dispatcher = Dispatcher(settings, database)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._worker: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._failures = 0

    def start(self) -> None:
        """Begin to watch; returns at once.

        Raises ClusterError where jobs are to run on a cluster and Ray is not installed.
        """
        if self._settings.runner == "ray":
            self._dispatcher.start()
        self._stopping.clear()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the worker that was started here; a job it does becomes interrupted."""
        self._dispatcher.stop()
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._worker is not None and self._worker.poll() is None:
            _end(self._worker)
        self._worker = None
        self._checked_reconcile()

    @property
    def worker_pid(self) -> int | None:
        """The process that was started here, while it runs."""
        worker = self._worker
        return worker.pid if worker is not None and worker.poll() is None else None

    def _watch(self) -> None:
        while True:
            self._checked_reconcile()
            try:
                self._keep_worker()
            except Exception:
                log.exception("worker not looked after")
            if self._stopping.wait(CHECK_EVERY_S):
                return

    def _checked_reconcile(self) -> None:
        try:
            reconcile(self._database, self._settings)
        except StoreError:
            log.warning("jobs not reconciled", exc_info=True)

    def _keep_worker(self) -> None:
        if self._worker is not None and not self._has_died(self._worker):
            return
        if time.monotonic() - self._started_at < self._pause_s() or self._another_lives():
            return
        self._start_worker()

    def _has_died(self, worker: subprocess.Popen[bytes]) -> bool:
        code = worker.poll()
        if code is None:
            return False
        steady = time.monotonic() - self._started_at > STEADY_AFTER_S
        self._failures = 0 if steady else self._failures + 1
        self._worker = None
        log.warning("worker died", extra={"worker": worker.pid, "exit": code})
        return True

    def _pause_s(self) -> float:
        """No pause after one death; 2, 4, 8 ... s where the worker dies as soon as it starts."""
        return 0.0 if self._failures < 2 else min(LONGEST_PAUSE_S, 2.0 ** (self._failures - 1))

    def _another_lives(self) -> bool:
        try:
            host = this_process().host
            return any(row.host == host and _takes_jobs(row) for row in living(self._database))
        except StoreError:
            log.warning("workers not readable", exc_info=True)
            return False

    def _start_worker(self) -> None:
        self._started_at = time.monotonic()
        windows_group: int = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
        try:
            self._worker = subprocess.Popen(
                self._command,
                cwd=REPOSITORY,
                env=self._settings.process_environment(),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                creationflags=windows_group,
            )
        except OSError:
            self._failures += 1
            log.exception("worker could not be started")
            return
        log.info("worker started", extra={"worker": self._worker.pid})


def _takes_jobs(row: WorkerProcess) -> bool:
    """A command that does its own job here reports as well, but takes no other."""
    return row.ready or row.job_id is None


def _worker_command() -> list[str]:
    return [sys.executable, "-m", "backend", "worker", "--parent", str(os.getpid())]


def _end(worker: subprocess.Popen[bytes]) -> None:
    """Ask the worker to leave, and kill it with its children where it does not."""
    if sys.platform == "win32":
        worker.send_signal(signal.CTRL_BREAK_EVENT)
    else:
        worker.terminate()
    try:
        worker.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        log.warning("worker killed", extra={"worker": worker.pid})
        for child in psutil.Process(worker.pid).children(recursive=True):
            child.kill()
        worker.kill()
        worker.wait()
