"""Verdicts: saved once whatever the network does, never over another's, and taken back."""

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session, aliased

from backend.abc.caption_text import CaptionError, clean_caption
from backend.review.errors import (
    ReviewClosedError,
    ReviewError,
    ReviewForbiddenError,
    StaleVerdictError,
)
from backend.review.holding import (
    begin_writing,
    count_answer,
    drop_lease,
    hold_item,
    hold_work,
    keep_pace,
    lease,
    progress_of,
    recount,
    standing_of,
)
from backend.review.people import Actor, Seat, seat_of
from backend.review.recipe import NewVerdict, Undo
from backend.review.states import ANSWERS, ATTRIBUTES, MARKS, Action, Answer, Mark
from backend.review.trail import record
from backend.review.views import SavedView, UndoneView, VerdictView
from backend.store.columns import now
from backend.store.database import Database
from backend.store.review_tables import (
    ADJUDICATION,
    MARKED,
    REVIEW,
    ReviewEvent,
    ReviewItem,
    ReviewLease,
    ReviewVerdict,
    ReviewWork,
)

MOVED_ON = (
    "You have judged this item in another window: look at what is there now, then judge again."
)
SETTLED = "Another adjudicator has decided this item meanwhile: look at what is there now."
_TAKEN_BACK = (Action.VERDICT, Action.ADJUDICATED)


def save_verdict(
    db: Database, actor: Actor, set_id: str, item_id: int, new: NewVerdict
) -> SavedView:
    """Keep a reviewer's verdict on an item.

    Raises:
        StaleVerdictError: it was based on a revision that is no longer the newest.
        ReviewClosedError: the set is closed, or the item is adjudicated.
        ReviewForbiddenError: the item is not theirs.
        ReviewError: the set knows no such answer or mark, or a text or a reason is missing.
    """
    with db.session() as session:
        begin_writing(session)
        seat = seat_of(session, actor, set_id)
        seat.require("reviewer")
        content = _checked(seat, new)
        return _save(session, seat, item_id, new, content)


def adjudicate(db: Database, actor: Actor, set_id: str, item_id: int, new: NewVerdict) -> SavedView:
    """Decide an item that its reviewers disagree on, or that was flagged.

    Raises:
        ReviewForbiddenError: they reviewed it themselves, or may not adjudicate here.
        StaleVerdictError: another adjudicator was first.
        ReviewError: nothing is to be decided, or the verdict decides nothing.
    """
    with db.session() as session:
        begin_writing(session)
        seat = seat_of(session, actor, set_id)
        seat.require("adjudicator")
        if not new.answer.decides:
            raise ReviewError("An adjudication decides: approve, edit or reject.")
        content = _checked(seat, new)
        return _decide(session, seat, item_id, new, content)


def undo(db: Database, actor: Actor, set_id: str, wanted: Undo) -> UndoneView:
    """Take back the person's last action in a set that they have not taken back yet.

    Raises:
        ReviewError: there is none.
        ReviewClosedError: the set is closed.
    """
    name = actor.named
    with db.session() as session:
        begin_writing(session)
        seat = seat_of(session, actor, set_id)
        if "adjudicator" not in seat.parts:
            seat.require("reviewer")
        work = hold_work(session, set_id, name)
        repeated = _event_of(session, name, wanted.key)
        if repeated is not None:
            return _undone_again(session, seat, repeated)
        seat.require_open()
        last = _last_action(session, set_id, name)
        if last is None or last.item_id is None:
            raise ReviewError("There is nothing to take back: you have judged nothing here yet.")
        row = hold_item(session, set_id, last.item_id)
        round_ = REVIEW if last.action is Action.VERDICT else ADJUDICATION
        current = _verdict_of(session, row.id, name, round_)
        if current is None:
            raise ReviewError("What you did last cannot be taken back: it is no longer there.")
        if round_ == REVIEW and row.adjudicated:
            raise ReviewClosedError("The item was adjudicated meanwhile: it is settled.")
        said, was = verdict_content(current), standing_of(row, seat.row)
        answer_before = current.answer
        _write(session, current, last.before or _NOTHING, current.revision)
        if round_ == REVIEW and current.answer is None:
            lease(session, set_id, [row.id], name)
        standing = recount(session, seat.row, row)
        work.completed += int(standing.complete) - int(was.complete)
        if round_ == REVIEW:
            count_answer(work, answer_before, current.answer)
        left = verdict_content(current)
        record(
            session,
            set_id,
            name,
            Action.UNDONE,
            item=row.id,
            before=said,
            after=left,
            key=wanted.key,
            undoes=last.id,
        )
        return UndoneView(
            item=row.id,
            action=last.action,
            verdict=verdict_view(current),
            repeated=False,
            progress=progress_of(work),
        )


def verdict_view(row: ReviewVerdict) -> VerdictView:
    """The row as its reviewer sees it."""
    return VerdictView(
        revision=row.revision,
        answer=row.answer,
        marks=marks_of(row),
        text=row.text,
        reason=row.reason,
        note=row.note,
        at=row.updated_at,
    )


def marks_of(row: ReviewVerdict) -> dict[str, Mark]:
    """The attributes that were judged."""
    marks = {name: getattr(row, name) for name in MARKED}
    return {name: mark for name, mark in marks.items() if mark is not None}


def verdict_content(row: ReviewVerdict) -> dict[str, Any]:
    """The row as the trail keeps it."""
    return {
        "revision": row.revision,
        "answer": None if row.answer is None else row.answer.value,
        "marks": {name: mark.value for name, mark in marks_of(row).items()},
        "text": row.text,
        "reason": row.reason,
        "note": row.note,
    }


_NOTHING: dict[str, Any] = {"answer": None, "marks": {}, "text": None, "reason": "", "note": ""}


def _save(
    session: Session, seat: Seat, item_id: int, new: NewVerdict, content: dict[str, Any]
) -> SavedView:
    name, set_id = seat.actor.named, seat.row.id
    work = hold_work(session, set_id, name)
    row = hold_item(session, set_id, item_id)
    current = _verdict_of(session, item_id, name, REVIEW)
    repeated = _event_of(session, name, new.key)
    if repeated is not None:
        return _saved_again(repeated, item_id, content, current, work)
    seat.require_open()
    if row.adjudicated:
        raise ReviewClosedError("This item is adjudicated and takes no verdict: go on to the next.")
    if current is None and not row.open:
        _require_given(session, row, name)
    if (current.revision if current else 0) != new.revision:
        raise StaleVerdictError(MOVED_ON, verdict_view(current) if current else None)
    said = verdict_content(current) if current else None
    answer_before = current.answer if current else None
    was, moment = standing_of(row, seat.row), now()
    seconds = keep_pace(work, moment, new.seconds)
    current = _written(session, seat, row, current, REVIEW, new.revision, content, seconds)
    drop_lease(session, item_id, name)
    standing = recount(session, seat.row, row)
    work.completed += int(standing.complete) - int(was.complete)
    count_answer(work, answer_before, current.answer)
    record(
        session,
        set_id,
        name,
        Action.VERDICT,
        item=item_id,
        before=said,
        after=verdict_content(current),
        key=new.key,
        at=moment,
    )
    return SavedView(
        item=item_id, verdict=verdict_view(current), repeated=False, progress=progress_of(work)
    )


def _decide(
    session: Session, seat: Seat, item_id: int, new: NewVerdict, content: dict[str, Any]
) -> SavedView:
    name, set_id = seat.actor.named, seat.row.id
    work = hold_work(session, set_id, name)
    row = hold_item(session, set_id, item_id)
    decided = session.scalar(
        select(ReviewVerdict).where(
            ReviewVerdict.item_id == item_id,
            ReviewVerdict.round == ADJUDICATION,
            ReviewVerdict.answer.is_not(None),
        )
    )
    own = _verdict_of(session, item_id, name, ADJUDICATION)
    repeated = _event_of(session, name, new.key)
    if repeated is not None:
        return _saved_again(repeated, item_id, content, own, work)
    seat.require_open()
    if has_reviewed(session, item_id, name):
        raise ReviewForbiddenError(
            "You have reviewed this item yourself: a third person has to adjudicate it."
        )
    if decided is not None and decided.reviewer != name:
        raise StaleVerdictError(SETTLED, verdict_view(decided))
    if (own.revision if own else 0) != new.revision:
        raise StaleVerdictError(MOVED_ON, verdict_view(own) if own else None)
    if not row.disputed and decided is None:
        raise ReviewError("Nothing is to be decided here: the reviewers agree, or are not done.")
    said = verdict_content(own) if own else None
    own = _written(session, seat, row, own, ADJUDICATION, new.revision, content, new.seconds)
    recount(session, seat.row, row)
    record(
        session,
        set_id,
        name,
        Action.ADJUDICATED,
        item=item_id,
        before=said,
        after=verdict_content(own),
        key=new.key,
    )
    return SavedView(
        item=item_id, verdict=verdict_view(own), repeated=False, progress=progress_of(work)
    )


def has_reviewed(session: Session, item_id: int, name: str) -> bool:
    """Whether the person had an opinion on the item, one that was taken back included."""
    verdict = _verdict_of(session, item_id, name, REVIEW)
    return verdict is not None and verdict.answer is not Answer.SKIP


def _written(
    session: Session,
    seat: Seat,
    row: ReviewItem,
    current: ReviewVerdict | None,
    round_: int,
    revision: int,
    content: dict[str, Any],
    seconds: float | None,
) -> ReviewVerdict:
    """The verdict with the content, new or in place of the revision that was seen."""
    if current is None:
        current = ReviewVerdict(
            set_id=seat.row.id,
            item_id=row.id,
            reviewer=seat.actor.named,
            round=round_,
            revision=revision + 1,
            seconds=seconds,
            updated_at=now(),
            **_columns(content),
        )
        session.add(current)
        return current
    current.seconds = seconds
    _write(session, current, content, revision)
    return current


def _write(
    session: Session, current: ReviewVerdict, content: dict[str, Any], revision: int
) -> None:
    """Raises StaleVerdictError where the row is no longer at this revision."""
    changed = session.execute(
        update(ReviewVerdict)
        .where(ReviewVerdict.id == current.id, ReviewVerdict.revision == revision)
        .values(
            revision=revision + 1,
            updated_at=now(),
            seconds=current.seconds,
            **_columns(content),
        )
        .returning(ReviewVerdict.id)
        .execution_options(synchronize_session=False)
    ).first()
    session.refresh(current)
    if changed is None:
        raise StaleVerdictError(MOVED_ON, verdict_view(current))


def _columns(content: dict[str, Any]) -> dict[str, Any]:
    marks = content["marks"]
    answer = content["answer"]
    return {
        "answer": None if answer is None else Answer(answer),
        **{name: Mark(marks[name]) if name in marks else None for name in MARKED},
        "text": content["text"],
        "reason": content["reason"],
        "note": content["note"],
    }


def _checked(seat: Seat, new: NewVerdict) -> dict[str, Any]:
    """The content of a verdict that the set can take."""
    kind = seat.row.kind
    if new.answer not in ANSWERS[kind]:
        raise ReviewError(f"This set takes no '{new.answer}': answer {', '.join(ANSWERS[kind])}.")
    for name, mark in new.marks.items():
        if name not in ATTRIBUTES[kind] or mark not in MARKS[kind]:
            raise ReviewError(f"This set asks for no '{name}: {mark}': look at its attributes.")
    text, reason = new.text, " ".join(new.reason.split())
    if new.answer is Answer.EDIT:
        try:
            text = clean_caption(text or "")
        except CaptionError as error:
            raise ReviewError(f"The edited caption cannot be kept: {error}") from error
    elif text is not None:
        raise ReviewError("Only an edit brings a text: answer 'edit', or leave the text out.")
    if new.answer is Answer.REJECT and not reason:
        raise ReviewError("Say why it is rejected: choose a reason, or write one.")
    return {
        "answer": new.answer.value,
        "marks": {name: mark.value for name, mark in new.marks.items()},
        "text": text,
        "reason": reason,
        "note": new.note.strip(),
    }


def _require_given(session: Session, row: ReviewItem, name: str) -> None:
    if session.get(ReviewLease, (row.id, name)) is None:
        raise ReviewForbiddenError("This item has its reviewers already: go on to the next.")


def _require_same(event: ReviewEvent, item_id: int, content: dict[str, Any]) -> None:
    after = {name: value for name, value in (event.after or {}).items() if name != "revision"}
    if event.item_id != item_id or after != content:
        raise ReviewError("This key was used for another verdict: make a new one for each press.")


def _saved_again(
    event: ReviewEvent,
    item_id: int,
    content: dict[str, Any],
    current: ReviewVerdict | None,
    work: ReviewWork,
) -> SavedView:
    """The answer to a key that was sent before. Raises ReviewError where it is another verdict."""
    _require_same(event, item_id, content)
    return SavedView(
        item=item_id,
        verdict=_as_saved(event, current),
        repeated=True,
        progress=progress_of(work),
    )


def _as_saved(event: ReviewEvent, current: ReviewVerdict | None) -> VerdictView:
    """What is there now; what the event wrote where that is gone."""
    if current is not None:
        return verdict_view(current)
    return VerdictView(**(event.after or {}), at=event.at)


def _event_of(session: Session, actor: str, key: str) -> ReviewEvent | None:
    return session.scalar(
        select(ReviewEvent).where(ReviewEvent.actor == actor, ReviewEvent.key == key)
    )


def _verdict_of(session: Session, item_id: int, reviewer: str, round_: int) -> ReviewVerdict | None:
    return session.scalar(
        select(ReviewVerdict)
        .where(
            ReviewVerdict.item_id == item_id,
            ReviewVerdict.round == round_,
            ReviewVerdict.reviewer == reviewer,
        )
        .execution_options(populate_existing=True)
    )


def _last_action(session: Session, set_id: str, name: str) -> ReviewEvent | None:
    taken_back = aliased(ReviewEvent)
    return session.scalar(
        select(ReviewEvent)
        .where(
            ReviewEvent.set_id == set_id,
            ReviewEvent.actor == name,
            ReviewEvent.action.in_(_TAKEN_BACK),
            ~select(taken_back.id).where(taken_back.undoes == ReviewEvent.id).exists(),
        )
        .order_by(ReviewEvent.id.desc())
        .limit(1)
    )


def _undone_again(session: Session, seat: Seat, event: ReviewEvent) -> UndoneView:
    if event.action is not Action.UNDONE or event.item_id is None or event.undoes is None:
        raise ReviewError("This key was used for something else: make a new one for each press.")
    undone = session.get(ReviewEvent, event.undoes)
    name = seat.actor.named
    action = undone.action if undone else Action.VERDICT
    round_ = REVIEW if action is Action.VERDICT else ADJUDICATION
    current = _verdict_of(session, event.item_id, name, round_)
    return UndoneView(
        item=event.item_id,
        action=action,
        verdict=_as_saved(event, current),
        repeated=True,
        progress=progress_of(hold_work(session, seat.row.id, name)),
    )
