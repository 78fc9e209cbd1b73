"""A workspace's database carried to another: every row, or nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, text
from sqlalchemy import Table as SqlTable
from sqlalchemy.exc import DataError

from backend.store.database import Database
from backend.store.errors import StoreError
from backend.store.schema import schema_state
from backend.store.tables import Table

AT_ONCE = 1_000


@dataclass(frozen=True)
class Moved:
    """How many rows of each table are in the new database."""

    source: str
    target: str
    rows: dict[str, int]


def move_database(
    source: Database,
    target: Database,
    *,
    show: Callable[[str, int], None] = lambda _table, _rows: None,
) -> Moved:
    """Copy all rows from `source` to `target`, in one transaction there; `source` stays as it is.

    Tables follow one another so that what is referred to is there first. At the end the rows are
    counted and the sequences of PostgreSQL continue after the highest number.

    Raises:
        StoreError: the target has rows, the tables are not of this version, something else wrote
            to the source meanwhile, or a database refuses.
    """
    if source.engine.url == target.engine.url:
        raise StoreError("Both databases are the same one: name another to move to.")
    for database in (source, target):
        _require_current(database)
    with (
        source.explained(),
        target.explained(),
        source.engine.connect() as reading,
        target.engine.begin() as writing,
    ):
        _freeze(reading)
        tables = Table.metadata.sorted_tables
        _require_empty(writing, tables, target.place)
        rows = {table.name: _copy(reading, writing, table, show) for table in tables}
        _require_whole(reading, writing, tables)
        _continue_sequences(writing, tables)
    return Moved(source.place, target.place, rows)


def _require_current(database: Database) -> None:
    with database.explained():
        state = schema_state(database.engine)
    if not state.current:
        raise StoreError(
            f"The database {database.place} has not the tables of this version: run `python -m "
            "backend database upgrade` on it first."
        )


def _freeze(reading: Connection) -> None:
    """One snapshot for all tables: what is written meanwhile is in none of them."""
    if reading.dialect.name == "sqlite":
        reading.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        reading.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))


def _require_empty(writing: Connection, tables: Sequence[SqlTable], place: str) -> None:
    for table in tables:
        if writing.execute(select(1).select_from(table).limit(1)).first() is not None:
            raise StoreError(
                f"The database {place} is not empty (it has rows in {table.name}): move to a new "
                "one, made with `createdb`."
            )


def _copy(
    reading: Connection,
    writing: Connection,
    table: SqlTable,
    show: Callable[[str, int], None],
) -> int:
    copied = 0
    statement = select(table).order_by(*table.primary_key.columns)
    result = reading.execution_options(yield_per=AT_ONCE).execute(statement)
    for part in result.mappings().partitions():
        try:
            writing.execute(insert(table), [dict(row) for row in part])
        except DataError as error:
            fault = str(error.orig).strip().splitlines()[0]
            raise StoreError(
                f"A row of {table.name} cannot be kept in the new database ({fault}): nothing was "
                "moved; mend it in the old one first."
            ) from error
        copied += len(part)
        show(table.name, copied)
    return copied


def _require_whole(reading: Connection, writing: Connection, tables: Sequence[SqlTable]) -> None:
    for table in tables:
        count = select(func.count()).select_from(table)
        there, here = reading.scalar(count), writing.scalar(count)
        if there != here:
            raise StoreError(
                f"Of {there:,} rows of {table.name} only {here:,} arrived: nothing was moved; try "
                "again."
            )


def _continue_sequences(writing: Connection, tables: Sequence[SqlTable]) -> None:
    """Numbers that PostgreSQL gives go on after those that came along."""
    if writing.dialect.name != "postgresql":
        return
    for table in tables:
        column = table.autoincrement_column
        if column is None:
            continue
        sequence = writing.scalar(select(func.pg_get_serial_sequence(table.name, column.name)))
        if sequence is None:
            continue
        highest = select(func.max(column)).scalar_subquery()
        writing.execute(
            select(func.setval(sequence, func.coalesce(highest, 1), highest.is_not(None)))
        )
