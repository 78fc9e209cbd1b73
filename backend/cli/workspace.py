"""Opens the workspace for a command; imports the database only when a command needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.settings import Settings
    from backend.store.database import Database


@contextmanager
def open_workspace() -> Iterator[tuple[Settings, Database]]:
    """Settings and database of the workspace that DERMAFLUX_WORKSPACE names.

    Raises SettingsError or StoreError where it cannot be used.
    """
    from backend.logs import configure_logging
    from backend.settings import load_settings, prepare_workspace
    from backend.store.database import open_database

    settings = load_settings()
    prepare_workspace(settings)
    configure_logging(settings, "command")
    database = open_database(settings)
    try:
        yield settings, database
    finally:
        database.close()
