"""Opens the workspace for a command; imports the database only when a command needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.settings import Settings
    from backend.store.database import Database


@contextmanager
def open_workspace(database_from: Path | None = None) -> Iterator[tuple[Settings, Database]]:
    """Settings and database of the workspace that DERMAFLUX_WORKSPACE names.

    The database's address is read from the file `database_from` where there is one. Raises
    SettingsError, FileError or StoreError where it cannot be used.
    """
    from backend.logs import configure_logging
    from backend.settings import load_settings, prepare_workspace, with_database_from
    from backend.store.database import open_database

    settings = with_database_from(load_settings(), database_from)
    prepare_workspace(settings)
    configure_logging(settings, "command")
    database = open_database(settings)
    try:
        yield settings, database
    finally:
        database.close()
