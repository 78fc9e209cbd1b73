"""Items as one screen shows them, with nothing of what others said."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.abc.parser import parse
from backend.abc.reading import FRAME, Reading
from backend.captioning.findings import Check, Severity
from backend.captioning.records import seen_of
from backend.captioning.seen import Seen
from backend.review.errors import ReviewForbiddenError, ReviewMissingError
from backend.review.people import Actor, Seat, seat_of
from backend.review.states import Answer, ReviewKind
from backend.review.verdicts import verdict_view
from backend.review.views import FindingView, ItemView, MeasuredView, SpanView
from backend.store.attributes import measured_attributes
from backend.store.database import Database
from backend.store.review_tables import (
    REVIEW,
    ReviewItem,
    ReviewLease,
    ReviewSet,
    ReviewVerdict,
)
from backend.store.tables import CaptionFinding, CorpusImage, Image, ImageMeasurement

ROOM = "/review/api"
_LETTERS = {"asymmetry": "A", "border": "B", "edge": "B", "colours": "C", "pattern": "C"}
_SHOWN = ("asymmetry", "border", "edge", "colours", "pattern", "skin_tone")


def get_item(db: Database, actor: Actor, set_id: str, item_id: int) -> ItemView:
    """One item for this person.

    Raises:
        ReviewMissingError: there is none.
        ReviewForbiddenError: the set is blind and the item was not given to them.
    """
    with db.session() as session:
        seat = seat_of(session, actor, set_id)
        row = item_of(session, seat, item_id)
        held = None if actor.name is None else session.get(ReviewLease, (row.id, actor.name))
        leases = {row.id: held.expires_at} if held and not held.released else {}
        return item_views(session, seat.row, [row], actor, leases=leases)[0]


def my_items(
    db: Database,
    actor: Actor,
    set_id: str,
    *,
    answer: Answer | None = None,
    before: datetime | None = None,
    limit: int = 20,
) -> list[ItemView]:
    """What the person has judged here, the newest first."""
    name = actor.named
    statement = (
        select(ReviewItem)
        .join(ReviewVerdict, ReviewVerdict.item_id == ReviewItem.id)
        .where(
            ReviewVerdict.set_id == set_id,
            ReviewVerdict.reviewer == name,
            ReviewVerdict.round == REVIEW,
            ReviewVerdict.answer.is_not(None),
        )
        .order_by(ReviewVerdict.updated_at.desc(), ReviewVerdict.id.desc())
        .limit(limit)
    )
    if answer is not None:
        statement = statement.where(ReviewVerdict.answer == answer)
    if before is not None:
        statement = statement.where(ReviewVerdict.updated_at < before)
    with db.session() as session:
        seat = seat_of(session, actor, set_id)
        seat.require("reviewer")
        rows = list(session.scalars(statement))
        return item_views(session, seat.row, rows, actor)


def item_of(session: Session, seat: Seat, item_id: int) -> ReviewItem:
    """The row; raises as `get_item` does."""
    row = session.get(ReviewItem, item_id)
    if row is None or row.set_id != seat.row.id:
        raise ReviewMissingError(f"There is no item {item_id} in this set: ask for the next one.")
    if seat.parts & {"adjudicator", "keeper"} or not seat.row.blind:
        return row
    name = seat.actor.named
    own = session.get(ReviewLease, (item_id, name)) or session.scalar(
        select(ReviewVerdict.id).where(
            ReviewVerdict.item_id == item_id,
            ReviewVerdict.round == REVIEW,
            ReviewVerdict.reviewer == name,
        )
    )
    if own is None:
        raise ReviewForbiddenError("This item was not given to you: go on to the next.")
    return row


def item_views(
    session: Session,
    found: ReviewSet,
    rows: Sequence[ReviewItem],
    actor: Actor,
    *,
    leases: Mapping[int, datetime] | None = None,
) -> list[ItemView]:
    """The items in their order; a few queries for all of them."""
    if not rows:
        return []
    own = _own_verdicts(session, rows, actor)
    veiled = found.kind is ReviewKind.REAL_OR_SYNTHETIC
    facts = {} if veiled else _facts(session, rows)
    findings = {} if veiled else _findings(session, rows)
    views = []
    for row in rows:
        known = facts.get(row.id, _Facts())
        verdict = own.get(row.id)
        address = f"{ROOM}/sets/{found.id}/items/{row.id}/image?size="
        version = f"&v={known.version or found.id[:8]}"
        views.append(
            ItemView(
                id=row.id,
                position=row.position,
                image_url=f"{address}full{version}",
                thumbnail_url=f"{address}thumbnail{version}",
                overlay_url=None if veiled or not known.there else f"{address}overlay{version}",
                text="" if veiled else row.text,
                spans=() if veiled else tuple(spans_of(row.text, parse(row.text))),
                findings=tuple(findings.get(row.caption_id or "", ())),
                measured=known.measured,
                label="" if veiled or row.label is None else row.label.value,
                label_words="" if veiled else _label_words(row, known.diagnosis),
                dataset="" if veiled else row.dataset,
                source="" if veiled else row.source,
                verdict=verdict_view(verdict) if verdict else None,
                lease_until=(leases or {}).get(row.id),
                adjudicated=row.adjudicated,
            )
        )
    return views


def spans_of(text: str, reading: Reading) -> Iterable[SpanView]:
    """The words that say something, none over another; the letter is for colouring."""
    end = 0
    for said in sorted(reading.evidence, key=lambda one: one.start):
        if said.start < end or said.end > len(text):
            continue
        kind = cast("Literal['A', 'B', 'C', 'frame']", _LETTERS.get(said.field, FRAME))
        yield SpanView(
            start=said.start,
            end=said.end,
            kind=kind,
            field=said.field,
            value=said.value,
            negated=said.negated,
        )
        end = said.end


class _Facts:
    """What is known of an item's image besides the item itself."""

    def __init__(
        self,
        version: str = "",
        diagnosis: str = "",
        measured: tuple[MeasuredView, ...] = (),
        *,
        there: bool = False,
    ) -> None:
        self.version = version
        self.diagnosis = diagnosis
        self.measured = measured
        self.there = there


def _own_verdicts(
    session: Session, rows: Sequence[ReviewItem], actor: Actor
) -> dict[int, ReviewVerdict]:
    if actor.name is None:
        return {}
    statement = select(ReviewVerdict).where(
        ReviewVerdict.item_id.in_([row.id for row in rows]),
        ReviewVerdict.round == REVIEW,
        ReviewVerdict.reviewer == actor.name,
    )
    return {row.item_id: row for row in session.scalars(statement)}


def _facts(session: Session, rows: Sequence[ReviewItem]) -> dict[int, _Facts]:
    real = [row for row in rows if not row.synthetic]
    made = [row for row in rows if row.synthetic]
    facts = {}
    if real:
        rows_by_image = {row.image_id: row for row in real}
        statement = (
            select(CorpusImage.id, CorpusImage.pixel_hash, CorpusImage.diagnosis, ImageMeasurement)
            .outerjoin(ImageMeasurement, ImageMeasurement.image_id == CorpusImage.id)
            .where(CorpusImage.id.in_(list(rows_by_image)))
        )
        for image_id, pixel_hash, diagnosis, measurement in session.execute(statement):
            seen = seen_of(measurement) if measurement is not None else None
            facts[rows_by_image[image_id].id] = _Facts(
                pixel_hash[:8], diagnosis, _measured(seen), there=True
            )
    if made:
        images = {
            one.id: one
            for one in session.scalars(
                select(Image).where(Image.id.in_([row.image_id for row in made]))
            )
        }
        for row in made:
            image = images.get(row.image_id)
            if image is not None:
                facts[row.id] = _Facts(
                    image.pixel_hash[:8],
                    image.diagnosis.value if image.diagnosis else "",
                    _measured_on(image),
                    there=True,
                )
    return facts


def _measured(seen: Seen | None) -> tuple[MeasuredView, ...]:
    if seen is None:
        return ()
    return tuple(
        MeasuredView(field=name, value=value, confidence=seen.confidence.get(name))
        for name, value in _said(seen.attributes)
    )


def _measured_on(image: Image) -> tuple[MeasuredView, ...]:
    if not image.found:
        return ()
    return tuple(
        MeasuredView(field=name, value=value, confidence=image.measured_confidence)
        for name, value in _said(measured_attributes(image))
    )


def _said(attributes: Any) -> Iterable[tuple[str, str]]:
    for name in _SHOWN:
        value = getattr(attributes, name)
        if name == "colours":
            value = ", ".join(colour.value for colour in value)
        elif name == "skin_tone" and value is not None:
            value = value.name
        if value:
            yield name, str(value)


def _findings(session: Session, rows: Sequence[ReviewItem]) -> dict[str, list[FindingView]]:
    ids = [row.caption_id for row in rows if row.caption_id]
    if not ids:
        return {}
    statement = (
        select(CaptionFinding)
        .where(CaptionFinding.caption_id.in_(ids))
        .order_by(CaptionFinding.caption_id, CaptionFinding.position)
    )
    found: dict[str, list[FindingView]] = {}
    for one in session.scalars(statement):
        found.setdefault(one.caption_id, []).append(
            finding_view(one.check, one.severity, one.reason, one.spans)
        )
    return found


def finding_view(
    check: Check, severity: Severity, reason: str, spans: Sequence[Sequence[int]]
) -> FindingView:
    """What speaks against a caption, with its name in words."""
    return FindingView(
        check=check.value,
        words=check.words,
        severity=severity.value,
        reason=reason,
        spans=tuple((first, end) for first, end in spans),
    )


def _label_words(row: ReviewItem, diagnosis: str) -> str:
    label = row.label.value.capitalize() if row.label else ""
    said = diagnosis.replace("_", " ")
    return f"{label}: {said}" if label and said else label or said.capitalize()
