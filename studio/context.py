"""What every tab is given."""

from dataclasses import dataclass

from backend.settings import Settings
from backend.store.database import Database


@dataclass(frozen=True)
class StudioContext:
    """The settings of this process and the database behind the page."""

    settings: Settings
    database: Database
