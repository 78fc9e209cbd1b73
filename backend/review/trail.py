"""The audit trail: every action as it was before and after, never changed."""

from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from backend.review.people import Actor, seat_of
from backend.review.states import Action
from backend.review.views import AuditView, EventView
from backend.store.columns import now
from backend.store.database import Database
from backend.store.review_tables import ReviewEvent, ReviewItem

OF_ITEMS = (Action.VERDICT, Action.UNDONE, Action.ADJUDICATED)


def record(
    session: Session,
    set_id: str | None,
    actor: str | None,
    action: Action,
    *,
    item: int | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    key: str | None = None,
    undoes: int | None = None,
    at: datetime | None = None,
) -> None:
    """Add an event in the transaction of what it records."""
    session.add(
        ReviewEvent(
            set_id=set_id,
            item_id=item,
            at=at or now(),
            actor=actor,
            action=action,
            before=before,
            after=after,
            key=key,
            undoes=undoes,
        )
    )


def audit(
    db: Database, actor: Actor, set_id: str, *, before: int | None = None, limit: int = 100
) -> AuditView:
    """A page of the trail of a set, the newest first.

    A keeper sees all of it, others their own actions and those of the set. While a blind set is
    open, what others said of items is left out of its events.
    """
    with db.session() as session:
        seat = seat_of(session, actor, set_id)
        statement = (
            select(ReviewEvent, ReviewItem.position)
            .outerjoin(ReviewItem, ReviewItem.id == ReviewEvent.item_id)
            .where(ReviewEvent.set_id == set_id)
            .order_by(ReviewEvent.id.desc())
            .limit(limit + 1)
        )
        if before is not None:
            statement = statement.where(ReviewEvent.id < before)
        if "keeper" not in seat.parts:
            statement = statement.where(
                or_(ReviewEvent.actor == actor.name, ReviewEvent.action.not_in(OF_ITEMS))
            )
        hidden = seat.row.blind and seat.row.closed_at is None
        rows = session.execute(statement).all()
        events = [
            _event(row, position, veiled=hidden and row.actor != actor.name)
            for row, position in rows[:limit]
        ]
    return AuditView(
        events=tuple(events), next=events[-1].id if len(rows) > limit and events else None
    )


def _event(row: ReviewEvent, position: int | None, *, veiled: bool) -> EventView:
    veiled = veiled and row.action in OF_ITEMS
    return EventView(
        id=row.id,
        at=row.at,
        actor=row.actor,
        action=row.action,
        item=row.item_id,
        position=position,
        before=None if veiled else row.before,
        after=None if veiled else row.after,
    )
