"""Real databases for the service tests: SQLite files, and a PostgreSQL server of our own."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError

from backend.settings import Settings, prepare_workspace
from backend.store.database import Database, open_database, parse_url
from backend.store.tables import Table

TEST_URL = "DERMAFLUX_TEST_POSTGRES_URL"


@pytest.fixture(autouse=True)
def _no_foreign_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of the person who runs the tests stay out of them."""
    for name in list(os.environ):
        if name.startswith("DERMAFLUX_") and not name.startswith("DERMAFLUX_TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A fresh workspace."""
    settings = Settings(workspace=tmp_path / "workspace")
    prepare_workspace(settings)
    return settings


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with this version's tables and no rows, because migrating takes long."""
    file = tmp_path_factory.mktemp("migrated") / "migrated.db"
    open_database(f"sqlite:///{file}").close()
    return file


@pytest.fixture
def database(settings: Settings, migrated_file: Path) -> Iterator[Database]:
    """The SQLite database of the workspace, migrated."""
    _copy_tables(migrated_file, settings)
    database = open_database(settings)
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgres"])
def any_settings(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    """A fresh workspace, once with SQLite and once with PostgreSQL, whose tables are empty."""
    if request.param == "sqlite":
        return settings
    return _with_database(settings, request.getfixturevalue("postgres_without_rows"))


@pytest.fixture
def any_database(any_settings: Settings, migrated_file: Path) -> Iterator[Database]:
    """The migrated database of `any_settings`."""
    _copy_tables(migrated_file, any_settings)
    database = open_database(any_settings)
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgres"])
def new_settings(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    """Like `any_settings`, but the database has no tables and may be altered."""
    if request.param == "sqlite":
        return settings
    return _with_database(settings, request.getfixturevalue("postgres_url"))


@pytest.fixture
def postgres_url(postgres_server: URL) -> Iterator[str]:
    """A database without tables on the PostgreSQL server, dropped after the test."""
    with _new_postgres_database(postgres_server) as url:
        yield url


@pytest.fixture
def postgres_without_rows(postgres_migrated: Database) -> str:
    """A migrated PostgreSQL database that the tests share, emptied."""
    with postgres_migrated.engine.begin() as connection:
        # What may only grow is emptied all the same, here alone: triggers rest in this transaction.
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        for table in reversed(Table.metadata.sorted_tables):
            connection.execute(table.delete())
    return postgres_migrated.engine.url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def postgres_migrated(postgres_server: URL) -> Iterator[Database]:
    """One database with this version's tables, because making one takes long."""
    with _new_postgres_database(postgres_server) as url:
        database = open_database(url)
        yield database
        database.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    """A PostgreSQL server: the one of DERMAFLUX_TEST_POSTGRES_URL, or one started here."""
    given = os.environ.get(TEST_URL)
    if given:
        url = parse_url(given)
        try:
            _administer(url, "SELECT 1")
        except DBAPIError as error:
            pytest.fail(f"{TEST_URL} does not lead to a PostgreSQL server: {error.orig}")
        yield url
        return
    binaries = _postgres_binaries()
    if binaries is None:
        pytest.skip(f"no PostgreSQL: initdb is not installed and {TEST_URL} is not set")
    with tempfile.TemporaryDirectory(prefix="dermaflux-pg-") as folder:
        yield from _run_server(binaries, Path(folder))


def _copy_tables(migrated: Path, settings: Settings) -> None:
    """Spare the migration of the workspace's own SQLite file, where nobody has made it yet."""
    url = parse_url(settings.database)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        shutil.copyfile(migrated, str(url.database))


def _run_server(binaries: Path, folder: Path) -> Iterator[URL]:
    """A cluster that trusts its own socket, without fsync since nobody needs it tomorrow."""
    as_user = _as_unprivileged_user(folder)
    data = folder / "data"
    _run([*as_user, binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N"], folder)
    options = (
        f"-c listen_addresses='' -c unix_socket_directories='{folder}' "
        "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=60"
    )
    control = [*as_user, binaries / "pg_ctl", "-D", data, "-w", "-t", "60"]
    _run([*control, "-l", folder / "server.txt", "-o", options, "start"], folder)
    try:
        yield URL.create(
            "postgresql+psycopg",
            username="postgres",
            database="postgres",
            query={"host": str(folder)},
        )
    finally:
        _run([*control, "-m", "immediate", "stop"], folder)


def _postgres_binaries() -> Path | None:
    """The folder with initdb and pg_ctl: on the path, or where Debian keeps the newest."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    installed = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(installed, key=lambda folder: int(folder.parent.name), default=None)


def _as_unprivileged_user(folder: Path) -> list[str]:
    """PostgreSQL refuses to run as root: a prefix that runs a command as `postgres` then."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return []
    if shutil.which("runuser") is None:
        pytest.skip("no PostgreSQL: the tests run as root and runuser is not installed")
    try:
        shutil.chown(folder, "postgres")
    except LookupError:
        pytest.skip("no PostgreSQL: the tests run as root and there is no user `postgres`")
    return ["runuser", "-u", "postgres", "--"]


def _run(command: list[str | Path], folder: Path) -> None:
    """Output goes to a file: pg_ctl's server would keep a pipe open for ever."""
    log = folder / "commands.txt"
    with log.open("ab") as output:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    if done.returncode:
        pytest.fail(f"PostgreSQL did not start: {log.read_text(errors='replace')}")


@contextmanager
def _new_postgres_database(server: URL) -> Iterator[str]:
    name = f"dermaflux_test_{secrets.token_hex(6)}"
    _administer(server, f"CREATE DATABASE {name}")
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


def _with_database(settings: Settings, url: str) -> Settings:
    return settings.model_copy(update={"database_url": url})


def _administer(server: URL, statement: str) -> None:
    engine = create_engine(make_url(server), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(statement))
    finally:
        engine.dispose()
