"""What is done to a whole selection at once, however many images it holds.

A filter stays a condition in the database: its rows are never loaded.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, update
from sqlalchemy.orm import Session

from backend.generation.gallery import GalleryFilter, matching
from backend.generation.selection import Selection, chunks
from backend.store.columns import now
from backend.store.database import Database
from backend.store.tables import Image


@dataclass(frozen=True)
class Deletion:
    """One deletion, which `undo_deletion` takes back; `moment` is its mark on the images."""

    moment: datetime
    images: int


def star_all(db: Database, selection: Selection, on: bool = True) -> int:
    """Mark images as favourites, or take the mark off; returns how many changed."""
    with db.session() as session:
        return sum(
            rows_changed(
                session,
                update(Image).where(*conditions, Image.starred.is_not(on)).values(starred=on),
            )
            for conditions in conditions_of(selection)
        )


def delete_all(db: Database, selection: Selection) -> Deletion:
    """Hide images until they are restored or purged."""
    moment = now()
    with db.session() as session:
        hidden = sum(
            rows_changed(
                session,
                update(Image)
                .where(*conditions, Image.deleted_at.is_(None))
                .values(deleted_at=moment),
            )
            for conditions in conditions_of(selection)
        )
    return Deletion(moment, hidden)


def undo_deletion(db: Database, moment: datetime) -> int:
    """Show again exactly what one deletion hid, except what was purged since; returns how many."""
    with db.session() as session:
        return rows_changed(
            session, update(Image).where(Image.deleted_at == moment).values(deleted_at=None)
        )


def conditions_of(selection: Selection) -> Iterator[list[ColumnElement[bool]]]:
    """Conditions on Image, for one statement each: a statement takes only so many ids."""
    if isinstance(selection, GalleryFilter):
        yield matching(selection)
        return
    for ids in chunks(selection):
        yield [Image.id.in_(ids)]


def rows_changed(session: Session, statement: Any) -> int:
    """Do it; returns how many rows it touched."""
    options = {"synchronize_session": False, "preserve_rowcount": True}
    result = session.execute(statement.execution_options(**options))
    return cast("CursorResult[Any]", result).rowcount
