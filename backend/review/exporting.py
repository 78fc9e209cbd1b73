"""Verdicts as rows, for tables and statistics elsewhere."""

from collections.abc import Iterator, Mapping

from sqlalchemy import select

from backend.exports.rows import csv_line, json_bytes
from backend.review.errors import ReviewForbiddenError
from backend.review.people import Actor, is_blinded, seat_of
from backend.store.database import Database
from backend.store.review_tables import ADJUDICATION, MARKED, ReviewItem, ReviewVerdict

COLUMNS = (
    *("item", "position", "dataset", "source", "label", "synthetic", "caption"),
    *("reviewer", "adjudication", "revision", "answer", *MARKED),
    *("text", "reason", "note", "seconds", "at"),
)


def verdict_rows(db: Database, actor: Actor, set_id: str) -> list[Mapping[str, object]]:
    """All verdicts of a set by item and reviewer; what was taken back is in the trail alone.

    Raises:
        ReviewForbiddenError: they do not keep the set, or review in it while it is blind.
    """
    with db.session() as session:
        seat = seat_of(session, actor, set_id)
        seat.require("keeper")
        if is_blinded(session, seat):
            raise ReviewForbiddenError(
                f"You review in the blind set '{seat.row.name}': export it once it is closed."
            )
        rows = session.execute(
            select(ReviewItem, ReviewVerdict)
            .join(ReviewVerdict, ReviewVerdict.item_id == ReviewItem.id)
            .where(ReviewItem.set_id == set_id, ReviewVerdict.answer.is_not(None))
            .order_by(ReviewItem.position, ReviewVerdict.round, ReviewVerdict.reviewer)
        )
        return [_row(item, verdict) for item, verdict in rows]


def csv_bytes(rows: list[Mapping[str, object]]) -> Iterator[bytes]:
    """A header and one line a verdict."""
    yield csv_line(COLUMNS)
    for row in rows:
        yield csv_line([row[name] for name in COLUMNS])


def jsonl_bytes(rows: list[Mapping[str, object]]) -> Iterator[bytes]:
    """One object a verdict."""
    for row in rows:
        yield json_bytes(dict(row)) + b"\n"


def _row(item: ReviewItem, verdict: ReviewVerdict) -> Mapping[str, object]:
    return {
        "item": item.id,
        "position": item.position,
        "dataset": item.dataset,
        "source": item.source,
        "label": item.label.value if item.label else None,
        "synthetic": item.synthetic,
        "caption": item.text,
        "reviewer": verdict.reviewer,
        "adjudication": verdict.round == ADJUDICATION,
        "revision": verdict.revision,
        "answer": verdict.answer.value if verdict.answer else None,
        **{name: mark.value if (mark := getattr(verdict, name)) else None for name in MARKED},
        "text": verdict.text,
        "reason": verdict.reason,
        "note": verdict.note,
        "seconds": verdict.seconds,
        "at": verdict.updated_at.isoformat(),
    }
