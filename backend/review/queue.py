"""The next items for a reviewer: begun ones first, then free ones, never one to two people.

An item is free while it is `open`. It is found from the reviewer's cursor on through the partial
index of open items, which is short where the set is long, and then from the start for what others
gave back.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from backend.review.holding import (
    LEASE,
    begin_writing,
    hold_work,
    lease,
    release_due,
)
from backend.review.items import item_views
from backend.review.people import Actor, seat_of
from backend.review.views import NextView
from backend.store.columns import now
from backend.store.database import Database
from backend.store.review_tables import (
    OPEN,
    REVIEW,
    ReviewItem,
    ReviewLease,
    ReviewSet,
    ReviewVerdict,
    ReviewWork,
)


def next_items(db: Database, actor: Actor, set_id: str, count: int = 1) -> NextView:
    """Up to `count` items to judge, leased to the reviewer for half an hour.

    Raises:
        ReviewClosedError: the set is closed.
        ReviewForbiddenError: they do not review here.
    """
    name = actor.named
    with db.session() as session:
        begin_writing(session)
        seat = seat_of(session, actor, set_id)
        seat.require("reviewer")
        seat.require_open()
        work = hold_work(session, set_id, name)
        found = {row.id: (row, until) for row, until in _begun(session, set_id, name, count)}
        wanted = [key for key, (_, until) in found.items() if until < now() + LEASE / 2]
        taken = _claim(session, seat.row, work, count - len(found)) if len(found) < count else []
        wanted += [row.id for row in taken]
        until = lease(session, set_id, wanted, name)
        found |= {row.id: (row, until) for row in taken}
        views = item_views(
            session,
            seat.row,
            [row for row, _ in found.values()],
            actor,
            leases={key: until if key in wanted else held for key, (_, held) in found.items()},
        )
        waiting = 0 if found else _held_by_others(session, set_id, name)
    return NextView(items=tuple(views), finished=not views, waiting=waiting)


def _begun(
    session: Session, set_id: str, name: str, count: int
) -> list[tuple[ReviewItem, datetime]]:
    """What the reviewer holds and has not judged, with the end of its lease."""
    held = (
        select(ReviewItem, ReviewLease.expires_at)
        .join(ReviewLease, ReviewLease.item_id == ReviewItem.id)
        .where(
            ReviewLease.set_id == set_id,
            ReviewLease.reviewer == name,
            ReviewLease.released.is_(False),
            ReviewItem.adjudicated.is_(False),
        )
        .order_by(ReviewItem.position)
        .limit(count)
    )
    return [(row, until) for row, until in session.execute(held)]


def _claim(session: Session, found: ReviewSet, work: ReviewWork, count: int) -> list[ReviewItem]:
    """Free items, held and counted as taken; the caller leases them.

    What others are taking at this moment is passed over. Only where nothing else is left, leases
    that have run out come back, and what others take is waited for: it may be free for two.
    """
    rows = _free(session, work, count, ReviewItem.position > work.cursor)
    if rows:
        work.cursor = rows[-1].position
    elif work.cursor:
        rows = _free(session, work, count, ReviewItem.position <= work.cursor)
    if not rows:
        release_due(session, found)
        rows = _free(session, work, count, ReviewItem.position > 0, wait=True)
    for row in rows:
        row.taken += 1
        row.open = row.taken < found.reviewers_per_item
    return rows


def _free(
    session: Session,
    work: ReviewWork,
    count: int,
    where: ColumnElement[bool],
    *,
    wait: bool = False,
) -> list[ReviewItem]:
    judged = select(ReviewVerdict.id).where(
        ReviewVerdict.item_id == ReviewItem.id,
        ReviewVerdict.round == REVIEW,
        ReviewVerdict.reviewer == work.reviewer,
        ReviewVerdict.answer.is_not(None),
    )
    held = select(ReviewLease.item_id).where(
        ReviewLease.item_id == ReviewItem.id,
        ReviewLease.reviewer == work.reviewer,
        ReviewLease.released.is_(False),
    )
    statement = (
        select(ReviewItem)
        .where(
            ReviewItem.set_id == work.set_id,
            OPEN,
            where,
            ~judged.exists(),
            ~held.exists(),
        )
        .order_by(ReviewItem.position)
        .limit(count)
        .with_for_update(skip_locked=not wait, of=ReviewItem)
        .execution_options(populate_existing=True)
    )
    return list(session.scalars(statement))


def _held_by_others(session: Session, set_id: str, name: str) -> int:
    statement = (
        select(func.count())
        .select_from(ReviewLease)
        .where(
            ReviewLease.set_id == set_id,
            ReviewLease.released.is_(False),
            ReviewLease.reviewer != name,
        )
    )
    return session.scalar(statement) or 0
