"""Review sets found again: progress, pace, guidelines, closing."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import TextClause, func, select
from sqlalchemy.orm import Session

from backend.permissions import Deed, deeds_in
from backend.review.errors import ReviewMissingError, ReviewTakenError
from backend.review.holding import begin_writing, progress_of
from backend.review.people import Actor, Seat, seat_in, seat_of
from backend.review.recipe import NewGuidelines
from backend.review.states import (
    ANSWERS,
    ATTRIBUTES,
    MARKS,
    REASONS,
    Action,
    ReviewKind,
    SetState,
)
from backend.review.trail import record
from backend.review.views import (
    AttributeView,
    GuidelinesView,
    Progress,
    SetDetail,
    SetView,
)
from backend.store.columns import now
from backend.store.database import Database
from backend.store.review_tables import (
    DISPUTED,
    SETTLED,
    ReviewGuidelines,
    ReviewItem,
    ReviewMember,
    ReviewSet,
    ReviewWork,
)

ACTIVE = timedelta(minutes=15)
"""Who gave a verdict within this counts for the time that is left."""


def list_review_sets(db: Database, actor: Actor) -> list[SetView]:
    """All sets, the newest first."""
    with db.session() as session:
        rows = session.scalars(
            select(ReviewSet).order_by(ReviewSet.created_at.desc(), ReviewSet.id)
        ).all()
        deeds = deeds_in(session, actor.account)
        return [SetView(**_facts(session, seat_in(session, deeds, actor, row))) for row in rows]


def get_review_set(db: Database, actor: Actor, set_id: str) -> SetDetail:
    """One set with all that its page needs.

    Raises:
        ReviewMissingError: there is none.
    """
    with db.session() as session:
        return detail(session, seat_of(session, actor, set_id))


def find_set(db: Database, name: str) -> str:
    """The id of a set by its name or its id; raises ReviewMissingError for none."""
    with db.session() as session:
        found = session.scalar(
            select(ReviewSet.id).where((ReviewSet.name == name) | (ReviewSet.id == name))
        )
    if found is None:
        raise ReviewMissingError(f"There is no review set '{name}': `review list` shows them.")
    return found


def close_set(db: Database, actor: Actor, set_id: str) -> SetDetail:
    """End a set: it takes no verdict any more, and what was blind is shown."""
    return _turn(db, actor, set_id, SetState.CLOSED, Action.CLOSED)


def reopen_set(db: Database, actor: Actor, set_id: str) -> SetDetail:
    """Let a closed set take verdicts again.

    Raises:
        ReviewTakenError: it is a real-or-synthetic test, whose result is known now.
    """
    return _turn(db, actor, set_id, SetState.OPEN, Action.REOPENED)


def get_guidelines(
    db: Database, actor: Actor, set_id: str, version: int | None = None
) -> GuidelinesView:
    """The guidelines of a set, the newest unless a version is named.

    Raises:
        ReviewMissingError: there is no such set or version.
    """
    with db.session() as session:
        seat_of(session, actor, set_id)
        if version is None:
            return _guidelines(session, set_id)
        row = session.get(ReviewGuidelines, (set_id, version))
        if row is None:
            raise ReviewMissingError(f"These guidelines have no version {version}.")
        return _guidelines_view(row)


def write_guidelines(db: Database, actor: Actor, set_id: str, new: NewGuidelines) -> GuidelinesView:
    """A new version of the guidelines.

    Raises:
        ReviewTakenError: somebody else has written one meanwhile.
    """
    with db.session() as session:
        begin_writing(session)
        _hold(session, set_id)
        seat_of(session, actor, set_id).require("keeper")
        last = _guidelines(session, set_id)
        if last.version != new.version:
            raise ReviewTakenError(
                "Somebody has changed the guidelines meanwhile: read theirs, then write again."
            )
        row = ReviewGuidelines(
            set_id=set_id, version=new.version + 1, text=new.text, author=actor.name, at=now()
        )
        session.add(row)
        record(
            session,
            set_id,
            actor.name,
            Action.GUIDELINES,
            before={"version": last.version, "text": last.text},
            after={"version": row.version, "text": row.text},
        )
        return _guidelines_view(row)


def known_reviewers(db: Database) -> list[str]:
    """Names that have reviewed here before."""
    with db.session() as session:
        return list(
            session.scalars(select(ReviewWork.reviewer).distinct().order_by(ReviewWork.reviewer))
        )


def detail(session: Session, seat: Seat) -> SetDetail:
    """The set as its page shows it to this person."""
    row = seat.row
    members = session.execute(
        select(ReviewMember.part, ReviewMember.name)
        .where(ReviewMember.set_id == row.id)
        .order_by(ReviewMember.name)
    ).all()
    return SetDetail(
        **_facts(session, seat),
        recipe=row.recipe,
        attributes=tuple(
            AttributeView(name=name, question=question, marks=MARKS[row.kind])
            for name, question in ATTRIBUTES[row.kind].items()
        ),
        answers=ANSWERS[row.kind],
        reasons=REASONS[row.kind],
        reviewers=tuple(name for part, name in members if part == "reviewer"),
        adjudicators=tuple(name for part, name in members if part == "adjudicator"),
        guidelines=_guidelines(session, row.id),
    )


def progress(session: Session, seat: Seat) -> Progress:
    """How far a set is, from the counters of its reviewers: as quick for any number of items."""
    row = seat.row
    works = session.scalars(
        select(ReviewWork).where(ReviewWork.set_id == row.id).order_by(ReviewWork.reviewer)
    ).all()
    people = [progress_of(work) for work in works if work.last_at is not None]
    mine = next((one for one in people if one.reviewer == seat.actor.name), None)
    done = sum(work.completed for work in works)
    given = sum(work.given for work in works)
    needed = row.items * row.reviewers_per_item
    shown = people if "keeper" in seat.parts else [one for one in people if one is mine]
    return Progress(
        items=row.items,
        done=done,
        verdicts=given,
        verdicts_needed=needed,
        disputed=_count(session, row.id, DISPUTED),
        adjudicated=_count(session, row.id, SETTLED),
        seconds_left=0.0 if done >= row.items else _seconds_left(works, needed - given),
        mine=mine,
        reviewers=tuple(shown),
    )


def _seconds_left(works: Sequence[ReviewWork], left: int) -> float | None:
    """At the pace of who is at work now, else of everybody who was."""
    since = now() - ACTIVE
    paced = [work for work in works if work.pace_s]
    active = [work for work in paced if work.last_at and work.last_at > since]
    speed = sum(1 / work.pace_s for work in active or paced if work.pace_s)
    return max(0, left) / speed if speed else None


def _count(session: Session, set_id: str, condition: TextClause) -> int:
    statement = select(func.count()).select_from(ReviewItem)
    return session.scalar(statement.where(ReviewItem.set_id == set_id, condition)) or 0


def _facts(session: Session, seat: Seat) -> dict[str, object]:
    row = seat.row
    names = (
        *("id", "name", "kind", "strategy", "state", "blind", "reviewers_per_item"),
        *("created_by", "created_at", "closed_at", "captioner", "prompt"),
    )
    return {
        **{name: getattr(row, name) for name in names},
        "parts": tuple(sorted(seat.parts)),
        "progress": progress(session, seat),
    }


def _turn(db: Database, actor: Actor, set_id: str, state: SetState, action: Action) -> SetDetail:
    with db.session() as session:
        begin_writing(session)
        _hold(session, set_id)
        seat = seat_of(session, actor, set_id)
        seat.require("keeper")
        row = seat.row
        if state is SetState.OPEN and row.kind is ReviewKind.REAL_OR_SYNTHETIC:
            raise ReviewTakenError(
                "A real-or-synthetic test stays closed, since its result is known: make a new one."
            )
        if row.state is not state:
            before = row.state.value
            row.state = state
            row.closed_at = now() if state is SetState.CLOSED else None
            record(
                session,
                set_id,
                actor.name,
                action,
                before={"state": before},
                after={"state": state.value},
            )
        return detail(session, seat)


def _hold(session: Session, set_id: str) -> None:
    session.execute(select(ReviewSet.id).where(ReviewSet.id == set_id).with_for_update())


def _guidelines(session: Session, set_id: str) -> GuidelinesView:
    row = session.scalar(
        select(ReviewGuidelines)
        .where(ReviewGuidelines.set_id == set_id)
        .order_by(ReviewGuidelines.version.desc())
        .limit(1)
    )
    if row is None:
        return GuidelinesView(version=0, text="", author=None, at=None)
    return _guidelines_view(row)


def _guidelines_view(row: ReviewGuidelines) -> GuidelinesView:
    return GuidelinesView(version=row.version, text=row.text, author=row.author, at=row.at)


def may(db: Database, actor: Actor) -> tuple[str, ...]:
    """What the person's role allows in review sets, in words of the page."""
    words = {Deed.REVIEW: "review", Deed.ADJUDICATE: "adjudicate", Deed.KEEP_REVIEWS: "keep"}
    with db.session() as session:
        deeds = deeds_in(session, actor.account)
    return tuple(word for deed, word in words.items() if deed in deeds)
