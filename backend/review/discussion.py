"""What reviewers flagged or disagree on, for a third person, with letters in place of names."""

import random
from collections import defaultdict
from collections.abc import Sequence
from string import ascii_uppercase
from typing import Literal

from sqlalchemy import ColumnElement, TextClause, func, or_, select
from sqlalchemy.orm import Session

from backend.review.holding import reasons_of
from backend.review.items import item_views
from backend.review.people import Actor, Seat, is_blinded, seat_of
from backend.review.states import Answer, ReviewKind
from backend.review.verdicts import marks_of, verdict_view
from backend.review.views import DiscussionView, DisputeView, LetteredVerdict
from backend.store.database import Database
from backend.store.review_tables import (
    ADJUDICATION,
    DISPUTED,
    REVIEW,
    SETTLED,
    ReviewItem,
    ReviewVerdict,
)

Which = Literal["open", "all"]


def discussion(
    db: Database,
    actor: Actor,
    set_id: str,
    *,
    state: Which = "open",
    offset: int = 0,
    limit: int = 20,
) -> DiscussionView:
    """A page of disputes by position: those to be settled, or those settled too.

    Raises:
        ReviewForbiddenError: they do not adjudicate here.
    """
    with db.session() as session:
        seat = seat_of(session, actor, set_id)
        seat.require("adjudicator")
        if seat.row.kind is ReviewKind.REAL_OR_SYNTHETIC:
            return DiscussionView(disputes=(), total=0, open=0)
        wanted = DISPUTED if state == "open" else or_(DISPUTED, SETTLED)
        rows = session.scalars(
            select(ReviewItem)
            .where(ReviewItem.set_id == set_id, wanted)
            .order_by(ReviewItem.position)
            .offset(offset)
            .limit(limit)
        ).all()
        return DiscussionView(
            disputes=tuple(_disputes(session, seat, rows)),
            total=_count(session, set_id, wanted),
            open=_count(session, set_id, DISPUTED),
        )


def _disputes(session: Session, seat: Seat, rows: Sequence[ReviewItem]) -> list[DisputeView]:
    found: defaultdict[int, list[ReviewVerdict]] = defaultdict(list)
    decided: dict[int, ReviewVerdict] = {}
    statement = select(ReviewVerdict).where(
        ReviewVerdict.item_id.in_([row.id for row in rows]),
        ReviewVerdict.answer.is_not(None),
        ReviewVerdict.answer != Answer.SKIP,
    )
    for verdict in session.scalars(statement.order_by(ReviewVerdict.id)):
        if verdict.round == REVIEW:
            found[verdict.item_id].append(verdict)
        elif verdict.round == ADJUDICATION:
            decided[verdict.item_id] = verdict
    views = item_views(session, seat.row, rows, seat.actor)
    disputes = []
    blinded = is_blinded(session, seat)
    for row, view in zip(rows, views, strict=True):
        dealt = _dealt(row, found[row.id])
        mine = next((letter for letter, one in dealt if one.reviewer == seat.actor.name), None)
        hidden = blinded and mine is not None
        shown = [(letter, one) for letter, one in dealt if not hidden or letter == mine]
        decision = decided.get(row.id)
        disputes.append(
            DisputeView(
                item=view,
                why=reasons_of([(one.answer, one.text) for one in found[row.id]]),
                verdicts=tuple(_lettered(letter, one) for letter, one in shown),
                may_adjudicate=mine is None,
                mine=mine,
                adjudication=verdict_view(decision) if decision and not hidden else None,
            )
        )
    return disputes


def _dealt(row: ReviewItem, verdicts: list[ReviewVerdict]) -> list[tuple[str, ReviewVerdict]]:
    """Letters in an order that differs from item to item, and stays for one."""
    order = sorted(verdicts, key=lambda one: one.id)
    random.Random(f"{row.set_id}:{row.id}").shuffle(order)  # noqa: S311 - hides who was first
    return list(zip(ascii_uppercase, order, strict=False))


def _lettered(letter: str, verdict: ReviewVerdict) -> LetteredVerdict:
    return LetteredVerdict(
        letter=letter,
        answer=verdict.answer or Answer.SKIP,
        marks=marks_of(verdict),
        text=verdict.text,
        reason=verdict.reason,
        note=verdict.note,
    )


def _count(session: Session, set_id: str, wanted: ColumnElement[bool] | TextClause) -> int:
    statement = select(func.count()).select_from(ReviewItem)
    return session.scalar(statement.where(ReviewItem.set_id == set_id, wanted)) or 0
