"""Cancel, retry and remove: what the buttons of a job do, wherever on the page they are."""

from collections.abc import Callable, Mapping

from backend.jobs.queue import cancel, remove, retry
from backend.store.database import Database
from studio.context import StudioContext
from studio.permissions import permit_on_job

_ACTIONS: Mapping[str, Callable[[Database, str], object]] = {
    "cancel": cancel,
    "retry": retry,
    "remove": remove,
}


def act_on_job(studio: StudioContext, action: str, job_id: str) -> bool:
    """Do with a job what was pressed; False, and nothing done, for what concerns no job.

    Raises AccountError where the person may not, JobError where the job does not allow it.
    """
    if action not in _ACTIONS:
        return False
    permit_on_job(studio, job_id)
    _ACTIONS[action](studio.database, job_id)
    return True
