"""Which jobs work on a dataset: two that write its rows must not run at once."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from backend.corpus.errors import CorpusError
from backend.jobs.queue import JobView, list_jobs
from backend.jobs.reconcile import is_orphan
from backend.jobs.states import OPEN, JobState
from backend.store.database import Database

IMPORT, RELABEL = "import", "relabel"
MANY = 1000
_NAMES: Mapping[str, str] = MappingProxyType({IMPORT: "name", RELABEL: "dataset"})
"""The field of a job's payload that says its dataset."""


def jobs_on(
    db: Database, dataset: str, kind: str, states: Sequence[JobState] = (), limit: int = MANY
) -> list[JobView]:
    """Jobs of a kind on a dataset, newest first, among the last `limit` of that kind."""
    jobs = list_jobs(db, states=states, kinds=(kind,), limit=limit)
    return [job for job in jobs if job.payload.get(_NAMES[kind]) == dataset]


def require_no_import(db: Database, dataset: str) -> None:
    """Raises CorpusError while an import of the dataset runs."""
    if _living(db, dataset, IMPORT, (JobState.RUNNING,)):
        raise CorpusError(
            f"An import of {dataset} is running: change its labels when it has ended."
        )


def require_no_relabelling(
    db: Database, dataset: str, states: Sequence[JobState] = (JobState.RUNNING,)
) -> None:
    """Raises CorpusError while a job changes the labels of the dataset."""
    if _living(db, dataset, RELABEL, states):
        raise CorpusError(
            f"The labels of {dataset} are being changed by a job: wait until it has ended, or "
            "cancel it."
        )


def require_no_other_change(db: Database, dataset: str) -> None:
    """Raises CorpusError while anything writes the rows of the dataset, or waits to relabel it."""
    require_no_import(db, dataset)
    require_no_relabelling(db, dataset, OPEN)


def _living(db: Database, dataset: str, kind: str, states: Sequence[JobState]) -> list[JobView]:
    """Jobs whose process died do not count: their rows say running until somebody looks."""
    return [
        job
        for job in jobs_on(db, dataset, kind, states)
        if job.state is not JobState.RUNNING or not is_orphan(db, job)
    ]
