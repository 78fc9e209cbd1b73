"""The job that makes a review set: the set bears the id of its job, so that it is made once."""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import select

from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState
from backend.jobs.queue import JobError, JobView, get_job, list_jobs, queue_position, submit
from backend.jobs.states import OPEN, JobState
from backend.review.errors import ReviewError, ReviewMissingError, ReviewTakenError
from backend.review.making import check_recipe, make_set
from backend.review.people import Actor, keep
from backend.review.recipe import ReviewRecipe
from backend.review.views import MakingView
from backend.store.database import Database
from backend.store.review_tables import ReviewSet

KIND = "review_set"
MANY = 1_000
CANCELLED = "The job was cancelled before the set was made: make it again."


class SetTask(BaseModel):
    """What the job is to make, and for whom: as in Actor."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: ReviewRecipe
    name: str | None
    account: str | None


def submit_set(db: Database, actor: Actor, recipe: ReviewRecipe) -> str:
    """Queue the making of a set; returns the id of the job, which will be that of the set.

    Raises:
        ReviewTakenError: there is a set of this name, or one is being made.
        ReviewError: the recipe names what is not there.
        AccountError: the role does not allow it.
    """
    check_recipe(db, actor, recipe)
    jobs = list_jobs(db, states=OPEN, kinds=(KIND,), limit=MANY)
    if any(_name(job) == recipe.name for job in jobs):
        raise ReviewTakenError(
            f"A review set '{recipe.name}' is being made: wait for it, or choose another name."
        )
    task = SetTask(recipe=recipe, name=actor.name, account=actor.account)
    return submit(
        db,
        kind=KIND,
        payload=task.model_dump(mode="json"),
        title=f"Review set {recipe.name}",
        owner=actor.account,
    )


def run_review_set(context: JobContext, payload: dict[str, Any], warm: WarmState) -> None:
    """Make the set, unless an earlier attempt has made it.

    Raises:
        ReviewError: the task cannot be read, or the set cannot be made.
        AccountError: the role of who asked does not allow it any more.
        JobStopped: cancelled, interrupted or lost; there is no set then.
    """
    del warm
    try:
        task = SetTask.model_validate(payload)
    except ValidationError as error:
        raise ReviewError("The task of this job cannot be read: make the set again.") from error

    def step(words: str) -> None:
        context.progress(0, 0, words)
        context.check_cancelled()

    actor = Actor(task.name, task.account)
    make_set(context.database, actor, task.recipe, set_id=context.job.id, step=step)
    context.progress(1, 1, "the set is made")


def open_makings(db: Database, actor: Actor) -> list[MakingView]:
    """Sets that are being made or wait to be, the newest first.

    Raises:
        AccountError: the role does not allow making sets.
    """
    keep(db, actor)
    return [_view(db, job) for job in list_jobs(db, states=OPEN, kinds=(KIND,), limit=MANY)]


def get_making(db: Database, actor: Actor, job_id: str) -> MakingView:
    """How far a job is that makes a set.

    Raises:
        ReviewMissingError: there is no such job, or it makes something else.
        AccountError: the role does not allow making sets.
    """
    keep(db, actor)
    try:
        job = get_job(db, job_id)
    except JobError as error:
        raise ReviewMissingError(str(error)) from error
    if job.kind != KIND:
        raise ReviewMissingError(f"The job {job_id} makes no review set: look at the jobs.")
    return _view(db, job)


def _view(db: Database, job: JobView) -> MakingView:
    with db.session() as session:
        made = session.scalar(select(ReviewSet.id).where(ReviewSet.id == job.id))
    ended_without = job.state.ended and made is None
    error = CANCELLED if job.state is JobState.CANCELLED else job.error
    return MakingView(
        job=job.id,
        name=_name(job),
        state=job.state,
        text=_text(db, job),
        error=error if ended_without else None,
        set=made,
    )


def _text(db: Database, job: JobView) -> str:
    if job.state is not JobState.QUEUED:
        return job.message
    return f"waiting, number {queue_position(db, job.id) or 1} in the queue"


def _name(job: JobView) -> str:
    return str(job.payload["recipe"]["name"])
