"""The rows of the corpus: written with their counts, removed, and written out in one fixed form."""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import RowMapping, Select, bindparam, delete, func, insert, select, update
from sqlalchemy.orm import Session

from backend.corpus.exclusions import LeftOut, Reason
from backend.exports.rows import csv_cell
from backend.store.database import Database
from backend.store.tables import CorpusCell, CorpusDropped, CorpusImage, CorpusLeftOut

Row = Mapping[str, Any]

AT_ONCE = 500
CELL_FIELDS = (
    *("dataset", "split", "label", "diagnosis", "modality", "skin_tone", "site", "decade"),
    *("sex", "synthetic", "target"),
)
NOT_LABELLED = {"label": None, "cell": ""}
"""What a row holds that its rule drops: it stands in CorpusDropped, and nothing counts it."""
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
    values = {name: row.get(name) for name in CELL_FIELDS}
    return values | {"decade": decade_of(row["age"]), "target": row.get("target", "")}


def cell_id(row: Row) -> str:
    """Names the combination that `cell_values` are; empty for a row without a label."""
    if row["label"] is None:
        return ""
    text = "\n".join(str(value) for value in cell_values(row).values())
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def known_rows(db: Database, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The rows of images that were imported, by id; those that are dropped have no label."""
    with db.session() as session:
        return _known(session, ids)


def write_rows(db: Database, rows: Sequence[Row]) -> int:
    """Put rows into the catalogue, or in the place of those with their ids; counts go with them.

    Rows without a label are kept apart. Returns how many differed from what was there.
    """
    with db.session() as session:
        known = _known(session, [row["id"] for row in rows])
        changed = [row for row in rows if known.get(row["id"]) != row]
        if not changed:
            return 0
        replaced = [known[row["id"]] for row in changed if row["id"] in known]
        stays = [row for row in changed if _is_beside(row, known.get(row["id"]))]
        staying = {row["id"] for row in stays}
        _update(session, stays, known)
        _delete(session, [row for row in replaced if row["id"] not in staying])
        _insert(session, [row for row in changed if row["id"] not in staying])
        _recount(session, replaced, changed)
        return len(changed)


def remove_rows(db: Database, dataset: str, source_ids: Sequence[str]) -> int:
    """Take images out of the catalogue, if they are there; their files stay."""
    removed = 0
    for first in range(0, len(source_ids), AT_ONCE):
        ids = [image_id(dataset, one) for one in source_ids[first : first + AT_ONCE]]
        known = known_rows(db, ids)
        if known:
            with db.session() as session:
                _delete(session, list(known.values()))
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


def count_left_out_by_dataset(db: Database) -> dict[tuple[str, Reason], int]:
    """What was left out, by dataset and kind of reason."""
    both = (CorpusLeftOut.dataset, CorpusLeftOut.reason)
    statement = select(*both, func.count()).group_by(*both).order_by(*both)
    with db.session() as session:
        rows = session.execute(statement)
        return {(dataset, Reason(reason)): count for dataset, reason, count in rows}


def catalogue_lines(db: Database) -> Iterator[str]:
    """The whole catalogue as lines of CSV in an order of its own: equal catalogues, equal bytes."""
    columns = CorpusImage.__table__.columns
    images = select(*columns).order_by(CorpusImage.dataset, CorpusImage.source_id)
    yield csv_line(EXPORTED)
    with db.session() as session:
        for row in session.execute(images.execution_options(yield_per=AT_ONCE)):
            yield csv_line(row)
    yield from left_out_lines(db)


def left_out_lines(
    db: Database, dataset: str | None = None, reason: Reason | None = None
) -> Iterator[str]:
    """What was left out, as lines of CSV in which no cell is a formula."""
    yield csv_line(EXPORTED_LEFT_OUT)
    for name, one in list_left_out(db, dataset, reason, limit=None):
        yield csv_line((name, one.place, one.reason.value, one.detail))


def row_query(table: type[CorpusImage] | type[CorpusDropped]) -> Select[Any]:
    """All columns of either table, for `full_row`."""
    return select(*table.__table__.columns)


def full_row(row: RowMapping) -> dict[str, Any]:
    """A row of either table as `write_rows` takes it."""
    return NOT_LABELLED | dict(row)


def _known(session: Session, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    known: dict[str, dict[str, Any]] = {}
    for table in (CorpusImage, CorpusDropped):
        rows = session.execute(row_query(table).where(table.id.in_(ids))).mappings()
        known |= {row["id"]: full_row(row) for row in rows}
    return known


def _is_beside(row: Row, known: Row | None) -> bool:
    """Whether a row belongs into the table that the known one stands in."""
    return known is not None and (row["label"] is None) == (known["label"] is None)


def _update(session: Session, rows: Sequence[Row], known: Mapping[str, Row]) -> None:
    """Only what differs is written: an index over the rest costs more than the row."""
    for table, labelled in ((CorpusImage, True), (CorpusDropped, False)):
        values = [
            {"id": row["id"], **_differences(row, known[row["id"]])}
            for row in rows
            if (row["label"] is not None) == labelled
        ]
        if values:
            # Rows with the same columns are written together where they follow each other
            session.execute(update(table), sorted(values, key=sorted))


def _differences(row: Row, known: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if known.get(name) != value}


def _delete(session: Session, rows: Sequence[Row]) -> None:
    for table, ids in ((CorpusImage, _ids(rows)), (CorpusDropped, _ids(rows, labelled=False))):
        if ids:
            session.execute(delete(table).where(table.id.in_(ids)))


def _ids(rows: Iterable[Row], *, labelled: bool = True) -> list[str]:
    return [row["id"] for row in rows if (row["label"] is not None) == labelled]


def _insert(session: Session, rows: Sequence[Row]) -> None:
    labelled = [dict(row) for row in rows if row["label"] is not None]
    dropped = [
        {name: value for name, value in row.items() if name not in NOT_LABELLED}
        for row in rows
        if row["label"] is None
    ]
    for table, new in ((CorpusImage, labelled), (CorpusDropped, dropped)):
        if new:
            session.connection().execute(insert(table), new)


def _recount(session: Session, gone: Iterable[Row], come: Iterable[Row]) -> None:
    come = [row for row in come if row["label"] is not None]
    change = Counter(row["cell"] for row in come)
    change.subtract(row["cell"] for row in gone if row["label"] is not None)
    values = {row["cell"]: cell_values(row) for row in come}
    known = set(session.scalars(select(CorpusCell.id).where(CorpusCell.id.in_(list(change)))))
    differences = {cell: images for cell, images in change.items() if images}
    counted = update(CorpusCell).where(CorpusCell.id == bindparam("cell"))
    counted = counted.values(images=CorpusCell.images + bindparam("difference"))
    of_known = [
        {"cell": cell, "difference": images}
        for cell, images in differences.items()
        if cell in known
    ]
    of_new = [
        {"id": cell, **values[cell], "images": images}
        for cell, images in differences.items()
        if cell not in known
    ]
    for statement, rows in ((counted, of_known), (insert(CorpusCell), of_new)):
        if rows:
            session.connection().execute(statement, rows)
    session.execute(delete(CorpusCell).where(CorpusCell.images <= 0))


def csv_line(cells: Iterable[object]) -> str:
    """One line of CSV; None is an empty cell, an enum its value."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(
        [csv_cell(getattr(cell, "value", cell)) for cell in cells]
    )
    return buffer.getvalue()
