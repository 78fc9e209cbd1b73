"""Which tables the database has, and bringing it to those that this version needs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

import backend.store.review_tables  # noqa: F401 - its tables join the same metadata
from backend.store.errors import StoreError
from backend.store.tables import Table

MIGRATIONS = Path(__file__).resolve().parent / "migrations"
ADVISORY_LOCK = 0x0DE2_F1C5


@dataclass(frozen=True)
class SchemaState:
    """Revision of a database, the newest this version knows, and what differs from the tables."""

    revision: str | None
    newest: str
    differences: tuple[str, ...]

    @property
    def current(self) -> bool:
        """Whether nothing has to be done."""
        return self.revision == self.newest and not self.differences


def upgrade(engine: Engine, place: str) -> None:
    """Run the migrations that are missing, all or none; safe when two processes start at once.

    Raises StoreError where the database was written by a newer version.
    """
    configuration = _configuration()
    script = ScriptDirectory.from_config(configuration)
    with engine.connect() as connection:
        if _revision(connection) == script.get_current_head():
            return
    with _alone(engine) as connection:
        _refuse_newer(script, _revision(connection), place)
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "head")


def schema_state(engine: Engine) -> SchemaState:
    """What the database has, compared with the tables of this version."""
    newest = ScriptDirectory.from_config(_configuration()).get_current_head() or ""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, Table.metadata)
        revision = context.get_current_revision()
    return SchemaState(revision, newest, tuple(str(difference) for difference in differences))


def damage(engine: Engine) -> tuple[str, ...]:
    """What SQLite's own check finds wrong with the file; PostgreSQL looks after itself."""
    if engine.dialect.name != "sqlite":
        return ()
    with engine.connect() as connection:
        findings = connection.execute(text("PRAGMA quick_check")).scalars()
        return tuple(finding for finding in findings if finding != "ok")


def _configuration() -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return configuration


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(script: ScriptDirectory, revision: str | None, place: str) -> None:
    known = {entry.revision for entry in script.walk_revisions()}
    if revision is not None and revision not in known:
        raise StoreError(
            f"The database {place} comes from a newer version of the studio: install that version, "
            "or set DERMAFLUX_WORKSPACE to another folder."
        )


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A transaction that no other migration runs beside.

    SQLite would otherwise run each table definition by itself, and leave half of them behind.
    """
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        yield connection
        connection.commit()
