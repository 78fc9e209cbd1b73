"""Whether the person behind the running handler may do what they pressed."""

from gradio.context import LocalContext

from backend.jobs.queue import get_job
from backend.permissions import Deed, authorise
from studio.context import StudioContext


def permit(studio: StudioContext, deed: Deed) -> None:
    """Go on only if the person may do this.

    Raises AccountError naming what their role forbids.
    """
    authorise(studio.database, signed_in(), deed)


def permit_on_job(studio: StudioContext, job_id: str) -> None:
    """Go on only if the person may cancel, retry or remove this job.

    Raises AccountError, or JobError for a job that is not there.
    """
    owner = get_job(studio.database, job_id).owner
    authorise(studio.database, signed_in(), Deed.RUN_JOBS, owner=owner)


def signed_in() -> str | None:
    """The account of the request that Gradio is handling; None where nobody signs in."""
    request = LocalContext.request.get(None)
    name: str | None = getattr(request, "username", None)
    return name
