"""The rows of the corpus: written with their counts, removed, and written out in one fixed form."""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from backend.corpus.exclusions import LeftOut, Reason
from backend.store.database import Database
from backend.store.tables import CorpusCell, CorpusImage, CorpusLeftOut

Row = Mapping[str, Any]

AT_ONCE = 500
CELL_FIELDS = (
    *("dataset", "split", "label", "diagnosis", "modality", "skin_tone", "site", "decade"),
    *("sex", "synthetic"),
)
EXPORTED = tuple(column.key for column in CorpusImage.__table__.columns)
EXPORTED_LEFT_OUT = ("dataset", "place", "reason", "detail")


def image_id(dataset: str, source_id: str) -> str:
    """The id of an image follows from its dataset and its name there."""
    return hashlib.sha256(f"{dataset}\n{source_id}".encode()).hexdigest()[:26]


def decade_of(age: int | None) -> int:
    """The age rounded down to tens; -1 where it is not said."""
    return -1 if age is None else age // 10 * 10


def cell_values(row: Row) -> dict[str, Any]:
    """What a row is counted by."""
    return {**{name: row.get(name) for name in CELL_FIELDS}, "decade": decade_of(row["age"])}


def cell_id(row: Row) -> str:
    """Names the combination that `cell_values` are."""
    text = "\n".join(str(value) for value in cell_values(row).values())
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def known_rows(db: Database, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The rows of images that are in the catalogue, by id."""
    with db.session() as session:
        return _known(session, ids)


def write_rows(db: Database, rows: Sequence[Row]) -> int:
    """Put rows into the catalogue, or in the place of those with their ids; counts go with them.

    Returns how many differed from what was there.
    """
    with db.session() as session:
        known = _known(session, [row["id"] for row in rows])
        changed = [row for row in rows if known.get(row["id"]) != row]
        if not changed:
            return 0
        replaced = [row["id"] for row in changed if row["id"] in known]
        session.execute(delete(CorpusImage).where(CorpusImage.id.in_(replaced)))
        session.connection().execute(insert(CorpusImage), [dict(row) for row in changed])
        _recount(session, [known[key] for key in replaced], changed)
        return len(changed)


def remove_rows(db: Database, dataset: str, source_ids: Sequence[str]) -> int:
    """Take images out of the catalogue, if they are there; their files stay."""
    removed = 0
    for first in range(0, len(source_ids), AT_ONCE):
        ids = [image_id(dataset, one) for one in source_ids[first : first + AT_ONCE]]
        known = known_rows(db, ids)
        if known:
            with db.session() as session:
                session.execute(delete(CorpusImage).where(CorpusImage.id.in_(list(known))))
                _recount(session, list(known.values()), [])
            removed += len(known)
    return removed


def write_left_out(db: Database, dataset: str, left_out: Iterable[LeftOut]) -> None:
    """What the import of a dataset left out, in the place of what an earlier one did."""
    rows = [
        {
            "dataset": dataset,
            "position": position,
            "place": one.place,
            "reason": one.reason.value,
            "detail": one.detail,
        }
        for position, one in enumerate(sorted(set(left_out)))
    ]
    with db.session() as session:
        session.execute(delete(CorpusLeftOut).where(CorpusLeftOut.dataset == dataset))
        if rows:
            session.execute(insert(CorpusLeftOut), rows)


def list_left_out(
    db: Database,
    dataset: str | None = None,
    reason: Reason | None = None,
    *,
    limit: int | None = 100,
    offset: int = 0,
) -> list[tuple[str, LeftOut]]:
    """What was left out, with the dataset it belongs to."""
    statement = select(CorpusLeftOut).order_by(CorpusLeftOut.dataset, CorpusLeftOut.position)
    if dataset is not None:
        statement = statement.where(CorpusLeftOut.dataset == dataset)
    if reason is not None:
        statement = statement.where(CorpusLeftOut.reason == reason.value)
    with db.session() as session:
        rows = session.scalars(statement.limit(limit).offset(offset))
        return [(row.dataset, LeftOut(row.place, Reason(row.reason), row.detail)) for row in rows]


def count_left_out(db: Database, dataset: str | None = None) -> dict[Reason, int]:
    """What was left out, by the kind of reason."""
    statement = select(CorpusLeftOut.reason, func.count()).group_by(CorpusLeftOut.reason)
    if dataset is not None:
        statement = statement.where(CorpusLeftOut.dataset == dataset)
    with db.session() as session:
        rows = session.execute(statement.order_by(CorpusLeftOut.reason))
        return {Reason(reason): count for reason, count in rows}


def catalogue_lines(db: Database) -> Iterator[str]:
    """The whole catalogue as lines of CSV in an order of its own: equal catalogues, equal bytes."""
    columns = CorpusImage.__table__.columns
    images = select(*columns).order_by(CorpusImage.dataset, CorpusImage.source_id)
    yield _line(EXPORTED)
    with db.session() as session:
        for row in session.execute(images.execution_options(yield_per=AT_ONCE)):
            yield _line(row)
    yield from left_out_lines(db)


def left_out_lines(
    db: Database, dataset: str | None = None, reason: Reason | None = None
) -> Iterator[str]:
    """What was left out, as lines of CSV."""
    yield _line(EXPORTED_LEFT_OUT)
    for name, one in list_left_out(db, dataset, reason, limit=None):
        yield _line((name, one.place, one.reason.value, one.detail))


def _known(session: Session, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    columns = CorpusImage.__table__.columns
    rows = session.execute(select(*columns).where(CorpusImage.id.in_(ids))).mappings()
    return {row["id"]: dict(row) for row in rows}


def _recount(session: Session, gone: Iterable[Row], come: Sequence[Row]) -> None:
    change = Counter(row["cell"] for row in come)
    change.subtract(row["cell"] for row in gone)
    values = {row["cell"]: cell_values(row) for row in come}
    known = set(session.scalars(select(CorpusCell.id).where(CorpusCell.id.in_(list(change)))))
    for cell, difference in change.items():
        if cell in known:
            counted = update(CorpusCell).where(CorpusCell.id == cell)
            session.execute(counted.values(images=CorpusCell.images + difference))
        elif difference:
            session.execute(insert(CorpusCell).values(id=cell, **values[cell], images=difference))
    session.execute(delete(CorpusCell).where(CorpusCell.images <= 0))


def _line(cells: Iterable[object]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(
        ["" if cell is None else getattr(cell, "value", cell) for cell in cells]
    )
    return buffer.getvalue()
