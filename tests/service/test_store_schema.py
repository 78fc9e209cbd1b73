"""The tables are what the migrations make, on both databases, whoever comes first."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, event, inspect, text

from backend.settings import Settings
from backend.store.database import Database, open_database
from backend.store.errors import StoreError
from backend.store.schema import damage, schema_state, upgrade


def test_migrations_make_exactly_the_tables(new_settings: Settings) -> None:
    database = open_database(new_settings)
    state = schema_state(database.engine)
    database.close()
    assert state.differences == ()
    assert state.revision == state.newest
    assert state.current


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE job DROP COLUMN message",
        "ALTER TABLE job ADD COLUMN colour VARCHAR(8)",
        "DROP INDEX ix_job_queue",
    ],
)
def test_a_table_that_differs_is_seen(new_settings: Settings, change: str) -> None:
    database = open_database(new_settings)
    with database.engine.begin() as connection:
        connection.execute(text(change))
    state = schema_state(database.engine)
    database.close()
    assert len(state.differences) == 1
    assert not state.current


def test_processes_that_start_at_once_migrate_once(new_settings: Settings) -> None:
    barrier = threading.Barrier(4)

    def start(_: int) -> None:
        barrier.wait()
        open_database(new_settings).close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(start, range(4)))

    database = open_database(new_settings)
    assert schema_state(database.engine).current
    database.close()


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "studio.db"
    engine = create_engine(f"sqlite:///{file}")
    event.listen(
        engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count = 9")
    )
    with pytest.raises(StoreError, match="full"), Database(engine).explained():
        upgrade(engine, str(file))
    assert inspect(engine).get_table_names() == []
    engine.dispose()

    database = open_database(f"sqlite:///{file}")
    assert schema_state(database.engine).current
    database.close()


def test_a_database_of_a_newer_version_is_refused_and_kept(new_settings: Settings) -> None:
    database = open_database(new_settings)
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="newer version of the studio"):
        open_database(new_settings)
    assert schema_state(database.engine).revision == "9999"
    database.close()


def test_sqlite_reads_while_another_writes(database: Database) -> None:
    with database.engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
    assert damage(database.engine) == ()
