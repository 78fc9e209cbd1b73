"""The worker: takes jobs one after another and does them in this process."""

import errno
import logging
import signal
import threading
import time
import traceback
from collections.abc import Callable, Mapping

from backend.errors import DermaFluxError
from backend.jobs.cluster.dispatch import Dispatcher
from backend.jobs.context import JobCancelled, JobContext, JobInterrupted, JobLost
from backend.jobs.kinds import HANDLERS, SHARDED, JobHandler, WarmState, find_handler
from backend.jobs.processes import WorkerIdentity, is_alive, this_process
from backend.jobs.queue import JobView, claim_next, finish, write_log
from backend.jobs.reconcile import delete_partial_files, reconcile
from backend.jobs.states import JobState
from backend.jobs.workers import BEAT_EVERY_S, leave, report
from backend.settings import Settings
from backend.store.database import Database, open_database
from backend.store.errors import StoreError

POLL_S = 0.25
STORE_PAUSE_S = 2.0
STOPPED = "The worker was told to end: press Retry to finish this job; what it has made is kept."
CRASHED = (
    "Something went wrong inside this job ({kind}): its log says where; press Retry, and report "
    "it if it happens again."
)
REFUSED = (
    "The disk refused to write ({reason}): free some space, or check that the workspace can be "
    "written, then press Retry; what was made is kept."
)
REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
OUT_OF_MEMORY = (
    "Memory ran out{attempting}: {remedy}choose a smaller size or model, or close other programs, "
    "then press Retry."
)

log = logging.getLogger(__name__)


class Worker:
    """Guards what is kept warm, the job at hand, and the wish to stop.

    `handlers` maps kinds to functions; `parent` is a process without which the worker leaves
    once the queue is empty.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        *,
        handlers: Mapping[str, str | JobHandler] = HANDLERS,
        parent: WorkerIdentity | None = None,
    ) -> None:
        self.identity = this_process()
        self.stopping = threading.Event()
        self._settings = settings
        self._database = database
        self._handlers = handlers
        self._parent = parent
        self._leaving = SHARDED if settings.runner == "ray" else ()
        self.warm = WarmState()
        self._job_id: str | None = None
        self._ready = False

    def run(self) -> None:
        """Work until `stopping` is set; survives a database that is away for a while."""
        heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        heart.start()
        self._reported(lambda: reconcile(self._database, self._settings))
        self._ready = True
        self._report()
        log.info("worker ready", extra={"worker": self.identity.pid})
        while not self.stopping.is_set():
            if not self._work_once() and self._is_left_alone():
                break
        self.stopping.set()
        heart.join()
        self._reported(lambda: leave(self._database, self.identity))
        log.info("worker left", extra={"worker": self.identity.pid})

    def run_job(self, job: JobView) -> JobState:
        """Do a claimed job to its end, whatever that is; returns the state it ended in.

        A job that was taken away meanwhile is left as it is.
        """
        started = time.monotonic()
        log.info("job started", extra={"job": job.id, "kind": job.kind, "attempt": job.attempt})
        try:
            state, error = self._outcome(job)
        except JobLost:
            log.warning("job is no longer ours", extra={"job": job.id})
            return JobState.INTERRUPTED
        delete_partial_files(self._settings, job.id)
        self._finish_surely(job, state, error)
        seconds = round(time.monotonic() - started, 2)
        log.info("job ended", extra={"job": job.id, "state": state, "seconds": seconds})
        return state

    def _work_once(self) -> bool:
        """Do the next job; False where there was none."""
        try:
            job = claim_next(self._database, self.identity, leaving=self._leaving)
        except StoreError:
            log.warning("queue not readable", exc_info=True)
            self.stopping.wait(STORE_PAUSE_S)
            return True
        if job is None:
            self.stopping.wait(POLL_S)
            return False
        self._job_id = job.id
        self._report()
        self.run_job(job)
        self._job_id = None
        self._report()
        return True

    def _outcome(self, job: JobView) -> tuple[JobState, str | None]:
        """Run the handler; the state the job ends in, and the sentence for the person.

        Raises JobLost.
        """
        context: JobContext | None = None
        try:
            handler = find_handler(job.kind, self._handlers)
            context = JobContext(self._settings, self._database, job, self.stopping)
            context.check_cancelled()
            handler(context, job.payload, self.warm)
        except JobLost:
            raise
        except JobCancelled:
            return JobState.CANCELLED, None
        except JobInterrupted:
            return JobState.INTERRUPTED, STOPPED
        except DermaFluxError as error:
            log.warning("job failed", extra={"job": job.id}, exc_info=True)
            return JobState.FAILED, str(error)
        except Exception as error:
            log.exception("job crashed", extra={"job": job.id})
            return JobState.FAILED, self._explain(job, error, context)
        return JobState.DONE, None

    def _explain(self, job: JobView, error: Exception, context: JobContext | None) -> str:
        text = "".join(traceback.format_exception(error))
        self._reported(lambda: write_log(self._database, job.id, text, "error"))
        if isinstance(error, OSError) and error.errno in REFUSALS:
            return REFUSED.format(reason=(error.strerror or "no reason given").lower())
        if not _is_out_of_memory(error):
            return CRASHED.format(kind=type(error).__name__)
        attempting = context.attempting if context else ""
        _let_go(error)
        self.warm.release()
        remedy = context.remedy if context else ""
        return OUT_OF_MEMORY.format(
            attempting=f" while trying {attempting}" if attempting else "",
            remedy=f"{remedy}, or " if remedy else "",
        )

    def _finish_surely(self, job: JobView, state: JobState, error: str | None) -> None:
        """Write the end of a job, waiting for a database that is locked or full.

        Where the worker must leave before that, reconcile will end the job as interrupted.
        """
        while True:
            try:
                finish(self._database, job, state, error)
            except StoreError:
                log.warning("end of job not written yet", extra={"job": job.id}, exc_info=True)
                if self.stopping.wait(STORE_PAUSE_S):
                    return
            else:
                return

    def _beat(self) -> None:
        while True:
            self._report()
            if self.stopping.wait(BEAT_EVERY_S):
                return

    def _report(self) -> None:
        self._reported(
            lambda: report(self._database, self.identity, ready=self._ready, job_id=self._job_id)
        )

    def _is_left_alone(self) -> bool:
        return self._parent is not None and not is_alive(self._parent)

    @staticmethod
    def _reported(write: Callable[[], object]) -> None:
        """Do something that the job can go on without."""
        try:
            write()
        except StoreError:
            log.warning("database not writable", exc_info=True)


def run_worker(
    settings: Settings,
    *,
    handlers: Mapping[str, str | JobHandler] = HANDLERS,
    parent: WorkerIdentity | None = None,
) -> None:
    """Work until SIGTERM or Ctrl+C, which end the job at hand at its next step as interrupted."""
    database = open_database(settings)
    worker = Worker(settings, database, handlers=handlers, parent=parent)
    dispatcher = Dispatcher(settings, database)
    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda _signal, _frame: worker.stopping.set())
    try:
        if parent is None and settings.runner == "ray":
            dispatcher.start()  # with a parent, the supervisor there hands jobs over
        worker.run()
    finally:
        dispatcher.stop()
        database.close()


def _let_go(error: BaseException | None) -> None:
    """Drop what the frames of an error still hold, so that its tensors' memory is given back."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _is_out_of_memory(error: Exception) -> bool:
    """Python's, torch's on a GPU, and that of torch's allocator on a CPU, without torch here."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and "not enough memory" in str(error).lower()
