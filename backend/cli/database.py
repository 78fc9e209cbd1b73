"""Commands for the database."""

from __future__ import annotations

from typing import Annotated

import typer

from backend.cli.output import JsonOption, emit
from backend.errors import DermaFluxError


def register(app: typer.Typer) -> None:
    """Add `database`."""
    database = typer.Typer(no_args_is_help=True, help="Find, check, upgrade and move the database.")
    commands = (("upgrade", upgrade), ("check", check), ("path", path), ("move", move))
    for name, command in commands:
        database.command(name)(command)
    app.add_typer(database, name="database")


def upgrade(as_json: JsonOption = False) -> None:
    """Bring the tables to those of this version; nothing happens where they are.

    The studio does this when it starts; run it here before several workers start at once.
    """
    from backend.cli.workspace import open_workspace
    from backend.store.schema import schema_state

    with open_workspace() as (_, database), database.explained():
        state = schema_state(database.engine)
    emit(state, as_json, f"{database.place} is at revision {state.revision}.")


def check(as_json: JsonOption = False) -> None:
    """Compare the tables with those of this version and look for damage; exit code 1 if any."""
    from backend.settings import load_settings
    from backend.store.database import open_database
    from backend.store.schema import damage, schema_state

    database = open_database(load_settings(), migrate=False)
    with database.explained():
        state = schema_state(database.engine)
        broken = damage(database.engine)
    database.close()
    sound = state.current and not broken
    verdict = "is sound" if sound else "is not as this version needs it"
    text = [f"{database.place} {verdict} (revision {state.revision}, newest {state.newest})."]
    report = {
        "sound": sound,
        "revision": state.revision,
        "newest": state.newest,
        "differences": state.differences,
        "damage": broken,
    }
    emit(report, as_json, text)
    if not sound:
        problems = [*state.differences, *broken]
        raise DermaFluxError(
            f"The database {database.place} needs care "
            f"({problems[0] if problems else 'it is empty'}): run `python -m backend database "
            "upgrade`, or restore a backup."
        )


def path(as_json: JsonOption = False) -> None:
    """Print where the database is: a file, or host and name; never a password."""
    from backend.settings import load_settings
    from backend.store.database import parse_url, place_of

    url = parse_url(load_settings().database)
    emit({"kind": url.get_backend_name(), "place": place_of(url)}, as_json, place_of(url))


def move(
    to: Annotated[
        str,
        typer.Option(
            help="URL of the new database, like postgresql://studio:secret@localhost/dermaflux."
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Carry every row to a new, empty database, all or nothing; the old one stays as it is.

    Stop the studio and its workers first. Afterwards set DERMAFLUX_DATABASE_URL to the new URL.
    """
    from filelock import FileLock, Timeout

    from backend.cli.workspace import open_workspace
    from backend.store.database import open_database
    from backend.store.errors import StoreError
    from backend.store.moving import move_database

    with open_workspace() as (settings, source):
        try:
            with FileLock(settings.workspace / "studio.lock", timeout=0):
                target = open_database(to)
                try:
                    moved = move_database(source, target)
                finally:
                    target.close()
        except Timeout:
            raise StoreError(
                "The studio is running on this workspace: stop it, then move the database."
            ) from None
    filled = {name: rows for name, rows in moved.rows.items() if rows}
    total = sum(filled.values())
    lines = [
        *(f"{name}: {rows:,} rows" for name, rows in filled.items()),
        f"{moved.target} holds all {total:,} rows of {moved.source}, which is as it was.",
        "Set DERMAFLUX_DATABASE_URL to the new database before you start the studio again.",
    ]
    emit(moved, as_json, lines)
