"""Locks and counters that several reviewers meet on: one order, own work first, then the item.

Every transaction that writes takes its rows in this order, so none waits for another in a ring.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from backend.review.errors import ReviewMissingError
from backend.review.states import Answer, ReviewKind
from backend.review.views import PersonProgress
from backend.store.columns import now
from backend.store.review_tables import (
    ADJUDICATION,
    REVIEW,
    ReviewItem,
    ReviewLease,
    ReviewSet,
    ReviewVerdict,
    ReviewWork,
)
from backend.store.tables import Table

LEASE = timedelta(minutes=30)
BREAK_S = 300.0
"""A longer gap between two verdicts is a break, and says nothing of the pace."""
PACE_WEIGHT = 0.2
SWEPT_AT_ONCE = 100


@dataclass(frozen=True)
class Standing:
    """Whether an item has all its opinions, and whether they have to be settled."""

    complete: bool
    disputed: bool


def begin_writing(session: Session) -> None:
    """Take SQLite's write lock before anything is read, so that what is read still holds."""
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def insert_or_leave(session: Session, table: type[Table], values: dict[str, object]) -> None:
    """Add a row unless one with this key is there."""
    session.execute(_insert_of(session)(table).values(values).on_conflict_do_nothing())


def _insert_of(session: Session) -> Callable[..., Any]:
    """INSERT with ON CONFLICT, which both databases have and SQL has not."""
    postgres = session.connection().dialect.name == "postgresql"
    return postgres_insert if postgres else sqlite_insert


def hold_work(session: Session, set_id: str, reviewer: str) -> ReviewWork:
    """The reviewer's own row of the set, held until the transaction ends."""
    chosen = (
        select(ReviewWork)
        .where(ReviewWork.set_id == set_id, ReviewWork.reviewer == reviewer)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    row = session.scalar(chosen)
    if row is None:
        zero = dict.fromkeys(("given", "skipped", "flagged", "completed", "cursor"), 0)
        insert_or_leave(session, ReviewWork, {"set_id": set_id, "reviewer": reviewer, **zero})
        row = session.scalars(chosen).one()
    return row


def hold_item(session: Session, set_id: str, item_id: int) -> ReviewItem:
    """An item, held until the transaction ends; raises ReviewMissingError for none of the set."""
    row = session.scalar(
        select(ReviewItem)
        .where(ReviewItem.id == item_id, ReviewItem.set_id == set_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise ReviewMissingError(f"There is no item {item_id} in this set: ask for the next one.")
    return row


def standing_of(row: ReviewItem, found: ReviewSet) -> Standing:
    """As the item's counters say."""
    return Standing(row.given >= found.reviewers_per_item, row.disputed)


def recount(session: Session, found: ReviewSet, row: ReviewItem) -> Standing:
    """Bring the counters of a held item to what its verdicts and leases are."""
    session.flush()
    opinions = session.execute(
        select(ReviewVerdict.round, ReviewVerdict.answer, ReviewVerdict.text).where(
            ReviewVerdict.item_id == row.id,
            ReviewVerdict.answer.is_not(None),
            ReviewVerdict.answer != Answer.SKIP,
        )
    ).all()
    leases = session.scalar(
        select(func.count())
        .select_from(ReviewLease)
        .where(ReviewLease.item_id == row.id, ReviewLease.released.is_(False))
    )
    given = [(answer, said) for round_, answer, said in opinions if round_ == REVIEW]
    row.given = len(given)
    row.taken = row.given + (leases or 0)
    row.open = row.taken < found.reviewers_per_item
    row.adjudicated = any(round_ == ADJUDICATION for round_, _, _ in opinions)
    complete = row.given >= found.reviewers_per_item
    row.disputed = (
        complete
        and not row.adjudicated
        and found.kind is not ReviewKind.REAL_OR_SYNTHETIC
        and bool(reasons_of(given))
    )
    return Standing(complete, row.disputed)


def reasons_of(given: list[tuple[Answer | None, str | None]]) -> tuple[str, ...]:
    """Why the verdicts of an item have to be settled; empty where they need not."""
    answers = {answer for answer, _ in given if answer is not None and answer.decides}
    texts = {said for answer, said in given if answer is Answer.EDIT}
    why = []
    if any(answer is Answer.FLAG for answer, _ in given):
        why.append("flagged")
    if len(answers) > 1:
        why.append("answers")
    if len(texts) > 1:
        why.append("texts")
    return tuple(why)


def count_answer(work: ReviewWork, before: Answer | None, after: Answer | None) -> None:
    """Carry a change of one's answer into one's own counters."""
    for answer, step in ((before, -1), (after, 1)):
        if answer is None:
            continue
        work.given += step * (answer is not Answer.SKIP)
        work.skipped += step * (answer is Answer.SKIP)
        work.flagged += step * (answer is Answer.FLAG)


def keep_pace(work: ReviewWork, moment: datetime, seconds: float | None) -> float | None:
    """Note when the reviewer acted; returns the seconds that the item took, None after a break."""
    taken = seconds
    if taken is None and work.last_at is not None:
        taken = (moment - work.last_at).total_seconds()
    work.last_at = moment
    if taken is None or not 0 < taken <= BREAK_S:
        return None
    work.pace_s = (
        taken if work.pace_s is None else (1 - PACE_WEIGHT) * work.pace_s + PACE_WEIGHT * taken
    )
    return taken


def progress_of(work: ReviewWork) -> PersonProgress:
    """The reviewer's counters as a view."""
    return PersonProgress(
        reviewer=work.reviewer,
        given=work.given,
        skipped=work.skipped,
        flagged=work.flagged,
        pace=3600 / work.pace_s if work.pace_s else None,
        last_at=work.last_at,
    )


def drop_lease(session: Session, item_id: int, reviewer: str) -> None:
    """The reviewer has judged the item: it needs no lease."""
    session.execute(
        delete(ReviewLease).where(ReviewLease.item_id == item_id, ReviewLease.reviewer == reviewer)
    )


def lease(session: Session, set_id: str, items: list[int], reviewer: str) -> datetime:
    """Give items that are held to a reviewer, or prolong what they hold; returns until when."""
    until = now() + LEASE
    if items:
        build = _insert_of(session)(ReviewLease).values(
            [
                {
                    "item_id": one,
                    "reviewer": reviewer,
                    "set_id": set_id,
                    "expires_at": until,
                    "released": False,
                }
                for one in items
            ]
        )
        session.execute(
            build.on_conflict_do_update(
                index_elements=[ReviewLease.item_id, ReviewLease.reviewer],
                set_={"expires_at": until, "released": False},
            )
        )
    return until


def release_due(session: Session, found: ReviewSet) -> None:
    """Take back leases that have run out; what another transaction holds waits for the next."""
    due = session.scalars(
        select(ReviewLease.item_id)
        .where(
            ReviewLease.set_id == found.id,
            ReviewLease.released.is_(False),
            ReviewLease.expires_at < now(),
        )
        .limit(SWEPT_AT_ONCE)
    ).all()
    if not due:
        return
    rows = session.scalars(
        select(ReviewItem)
        .where(ReviewItem.id.in_(due))
        .order_by(ReviewItem.id)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).all()
    session.execute(
        update(ReviewLease)
        .where(
            ReviewLease.item_id.in_([row.id for row in rows]),
            ReviewLease.expires_at < now(),
        )
        .values(released=True)
        .execution_options(synchronize_session=False)
    )
    for row in rows:
        recount(session, found, row)
