"""The one way to the database: open it, migrate it, and work in sessions."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from backend.settings import Settings
from backend.store.errors import StoreError, store_error
from backend.store.schema import upgrade

LOCK_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5


class Database:
    """Guards an engine: hands out sessions and turns driver errors into sentences."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.place = place_of(engine.url)
        self._sessions = sessionmaker(engine, expire_on_commit=False)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session that commits at the end, or rolls back on an error.

        Raises StoreError where the database is locked, read-only, full or gone.
        """
        with self.explained(), self._sessions.begin() as session:
            yield session

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turns what a driver raises inside into a StoreError."""
        try:
            yield
        except DBAPIError as error:
            sentence = store_error(error, self.place)
            if sentence is None:
                raise
            raise sentence from error

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def open_database(
    target: Settings | str, *, migrate: bool = True, lock_timeout_s: float = LOCK_TIMEOUT_S
) -> Database:
    """The database of the settings or of a URL, brought up to this version's tables.

    Raises StoreError, one sentence, where it cannot be opened or was written by a newer version.
    """
    url = parse_url(target.database if isinstance(target, Settings) else target)
    if url.get_backend_name() == "sqlite":
        _prepare_folder(url)
    database = Database(_engine(url, lock_timeout_s))
    if migrate:
        try:
            with database.explained():
                upgrade(database.engine, database.place)
        except BaseException:
            database.close()
            raise
    return database


def parse_url(text: str) -> URL:
    """A URL of SQLite or of PostgreSQL by psycopg; raises StoreError for any other."""
    try:
        url = make_url(text.replace("postgres://", "postgresql://", 1))
    except ArgumentError:
        raise StoreError(
            "DERMAFLUX_DATABASE_URL is not a database URL: write it like "
            "postgresql://user:password@host:5432/dermaflux."
        ) from None
    name = url.get_backend_name()
    if name == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if name != "sqlite":
        raise StoreError(
            f"DERMAFLUX_DATABASE_URL names a database of the kind '{name}': "
            "use sqlite or postgresql."
        )
    if url.database in (None, "", ":memory:"):
        raise StoreError(
            "A database in memory cannot be shared with the worker: name a file, like "
            "sqlite:///studio.db."
        )
    return url.set(drivername="sqlite")


def place_of(url: URL) -> str:
    """The database by name, without password: a file, or host/name."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return f"{url.host or 'localhost'}/{url.database or ''}"


def _prepare_folder(url: URL) -> None:
    if str(url.database).startswith("file:"):
        return
    folder = Path(str(url.database)).absolute().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The folder {folder} for the database cannot be made "
            f"({(error.strerror or str(error)).lower()}): set DERMAFLUX_WORKSPACE to a folder "
            "of yours."
        ) from error


def _engine(url: URL, lock_timeout_s: float) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": lock_timeout_s})
        event.listen(engine, "connect", _set_up_sqlite)
        return engine
    timeout = {"connect_timeout": CONNECT_TIMEOUT_S}
    engine = create_engine(url, connect_args=timeout, pool_pre_ping=True)

    def set_up_postgres(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {int(lock_timeout_s * 1000)}")
            cursor.execute("SET timezone = 'UTC'")
        connection.commit()

    event.listen(engine, "connect", set_up_postgres)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    """WAL lets the page read while the worker writes; NORMAL is safe with it (sqlite.org/wal)."""
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode = WAL")
