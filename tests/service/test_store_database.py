"""A database that is locked, read-only, full, broken or away: one sentence, and work goes on."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, StatementError

from backend.jobs.queue import get_job, list_jobs, submit
from backend.settings import Settings
from backend.store.database import Database, open_database, parse_url, place_of
from backend.store.errors import StoreError
from backend.store.tables import Account, Job, Role


def submit_one(db: Database, words: int = 1) -> str:
    return submit(db, kind="generate", payload={"caption": "word " * words}, title="one")


def is_one_sentence(error: StoreError) -> bool:
    message = str(error)
    return message.endswith(".") and "\n" not in message and "sqlite3" not in message


def test_a_session_that_fails_changes_nothing(any_database: Database) -> None:
    job_id = submit_one(any_database)

    def change_and_fail() -> None:
        with any_database.session() as session:
            session.get_one(Job, job_id).title = "changed"
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change_and_fail()
    assert get_job(any_database, job_id).title == "one"


def test_a_locked_sqlite_file_is_one_sentence_and_can_still_be_read(settings: Settings) -> None:
    database = open_database(settings, lock_timeout_s=0.2)
    submit_one(database)
    other = sqlite3.connect(settings.workspace / "studio.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match=r"studio\.db is locked by another program") as caught:
        submit_one(database)
    assert is_one_sentence(caught.value)
    assert len(list_jobs(database)) == 1

    other.execute("ROLLBACK")
    other.close()
    submit_one(database)
    assert len(list_jobs(database)) == 2
    database.close()


def test_a_locked_postgres_table_is_one_sentence(postgres_url: str) -> None:
    database = open_database(postgres_url, lock_timeout_s=0.2)
    with database.engine.begin() as other:
        other.execute(text("LOCK TABLE job IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(StoreError, match="is locked by another program") as caught:
            submit_one(database)
    assert is_one_sentence(caught.value)
    assert submit_one(database)
    database.close()


def test_a_read_only_sqlite_file_is_one_sentence_and_can_still_be_read(
    database: Database, settings: Settings
) -> None:
    job_id = submit_one(database)
    file = settings.workspace / "studio.db"
    readable = open_database(f"sqlite:///file:{file}?mode=ro&uri=true", lock_timeout_s=0.2)
    with pytest.raises(StoreError, match="is read-only") as caught:
        submit_one(readable)
    assert is_one_sentence(caught.value)
    assert get_job(readable, job_id).title == "one"
    readable.close()


def test_a_read_only_postgres_database_is_one_sentence(postgres_url: str) -> None:
    database = open_database(postgres_url)
    name = make_url(postgres_url).database
    with database.engine.begin() as connection:
        connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    database.close()
    readable = open_database(postgres_url)
    with pytest.raises(StoreError, match="is read-only") as caught:
        submit_one(readable)
    assert is_one_sentence(caught.value)
    assert list_jobs(readable) == []
    readable.close()


@contextmanager
def full_disk(engine: Engine) -> Iterator[None]:
    """SQLite itself refuses another page, as it does when a write returns ENOSPC."""

    def limit(connection: sqlite3.Connection, *_: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    event.listen(engine, "checkout", limit)
    yield
    event.remove(engine, "checkout", limit)
    engine.dispose()


def test_a_full_disk_is_one_sentence_and_nothing_is_lost(database: Database) -> None:
    job_id = submit_one(database)
    with full_disk(database.engine):
        with pytest.raises(StoreError, match=r"disk that holds the database .* is full") as caught:
            submit_one(database, words=100_000)
        assert is_one_sentence(caught.value)
        assert [job.id for job in list_jobs(database)] == [job_id]

    submit_one(database, words=100_000)
    assert len(list_jobs(database)) == 2


def test_a_file_that_is_no_database_is_one_sentence_and_kept(settings: Settings) -> None:
    file = settings.workspace / "studio.db"
    file.write_bytes(b"a text, not a database\n" * 200)
    with pytest.raises(StoreError, match="is not a sound database") as caught:
        open_database(settings)
    assert is_one_sentence(caught.value)
    assert file.read_bytes().startswith(b"a text")


def test_a_database_without_tables_says_what_to_run(new_settings: Settings) -> None:
    database = open_database(new_settings, migrate=False)
    with pytest.raises(StoreError, match="python -m backend database upgrade"):
        list_jobs(database)
    database.close()


def test_a_server_that_does_not_answer_is_one_sentence() -> None:
    with pytest.raises(StoreError, match=r"server of 127\.0\.0\.1/none does not answer") as caught:
        open_database("postgresql://somebody:secret@127.0.0.1:1/none")
    assert "secret" not in str(caught.value)


def test_a_connection_that_the_server_dropped_is_replaced(postgres_url: str) -> None:
    database = open_database(postgres_url)
    job_id = submit_one(database)
    drop = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
    server = create_engine(make_url(postgres_url).set(database="postgres"))
    with server.connect() as connection:
        dropped = connection.execute(drop, {"name": make_url(postgres_url).database}).all()
    server.dispose()
    assert dropped
    assert get_job(database, job_id).title == "one"
    database.close()


def test_a_missing_postgres_database_is_one_sentence(postgres_server: object) -> None:
    url = make_url(str(postgres_server)).set(database="dermaflux_none")
    with pytest.raises(StoreError, match=r"has no database .*dermaflux_none"):
        open_database(url.render_as_string(hide_password=False))


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://host/name", "of the kind 'mysql'"),
        ("no url at all", "is not a database URL"),
        ("sqlite://", "in memory cannot be shared"),
        ("sqlite:///:memory:", "in memory cannot be shared"),
    ],
)
def test_a_url_that_cannot_be_used_is_one_sentence(url: str, sentence: str) -> None:
    with pytest.raises(StoreError, match=sentence):
        parse_url(url)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgres_is_psycopg(scheme: str) -> None:
    url = parse_url(f"{scheme}://anna:secret@host:5432/studio")
    assert url.drivername == "postgresql+psycopg"
    assert place_of(url) == "host/studio"


def test_a_fault_of_ours_is_not_blamed_on_the_disk(any_database: Database) -> None:
    account = {"name": "anna", "role": Role.ADMIN, "password_hash": "x"}
    with any_database.session() as session:
        session.add(Account(**account))
    with pytest.raises(IntegrityError), any_database.session() as session:
        session.add(Account(**account))


def test_moments_come_back_in_utc(any_database: Database) -> None:
    job_id = submit_one(any_database)
    far_east = datetime(2026, 3, 1, 9, 30, 15, 123456, timezone(timedelta(hours=9)))
    with any_database.session() as session:
        session.get_one(Job, job_id).created_at = far_east
    read = get_job(any_database, job_id).created_at
    assert read == far_east
    assert read.tzinfo is UTC


def test_a_moment_without_a_zone_is_refused(any_database: Database) -> None:
    job_id = submit_one(any_database)
    with (
        pytest.raises(StatementError, match="without a time zone"),
        any_database.session() as session,
    ):
        session.get_one(Job, job_id).created_at = datetime(2026, 3, 1)  # noqa: DTZ001


def test_the_folder_of_the_database_is_made(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "studio.db"
    open_database(f"sqlite:///{file}").close()
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM job")).scalar() == 0
    engine.dispose()
