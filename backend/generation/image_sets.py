"""Named sets of images: made, filled from a selection, listed, renamed and removed.

A set holds references: removing it, or an image from it, removes no image.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, literal, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.generation.bulk import conditions_of, rows_changed
from backend.generation.errors import GenerationError
from backend.generation.profile import Profile
from backend.generation.selection import Selection
from backend.jobs.queue import new_id
from backend.store.database import Database
from backend.store.tables import NAME_LENGTH, Image, ImageSet, ImageSetMember


@dataclass(frozen=True)
class SetView:
    """A set as it was when it was read; `images` counts those that are not deleted."""

    name: str
    note: str
    created_at: datetime
    images: int


def make_set(db: Database, name: str, note: str = "") -> SetView:
    """Make an empty set.

    Raises:
        GenerationError: the name is empty, too long or taken.
    """
    name = _clean(name)
    try:
        with db.session() as session:
            session.add(ImageSet(id=new_id(), name=name, note=note.strip()))
    except IntegrityError as error:
        raise GenerationError(f"There is a set {name} already: choose another name.") from error
    return get_set(db, name)


def list_sets(db: Database) -> list[SetView]:
    """All sets by name."""
    with db.session() as session:
        return _views(session)


def get_set(db: Database, name: str) -> SetView:
    """The set of this name.

    Raises:
        GenerationError: there is none.
    """
    with db.session() as session:
        _row(session, name)
        return next(view for view in _views(session) if view.name == name)


def edit_set(db: Database, name: str, *, new_name: str | None = None, note: str = "") -> SetView:
    """Give a set another note, and another name unless that is None.

    Raises:
        GenerationError: there is no such set, or the name is empty, too long or taken.
    """
    wanted = name if new_name is None else _clean(new_name)
    try:
        with db.session() as session:
            row = _row(session, name)
            row.name, row.note = wanted, note.strip()
    except IntegrityError as error:
        raise GenerationError(f"There is a set {wanted} already: choose another name.") from error
    return get_set(db, wanted)


def remove_set(db: Database, name: str) -> None:
    """Forget a set; its images stay.

    Raises:
        GenerationError: there is none of this name.
    """
    with db.session() as session:
        session.delete(_row(session, name))


def add_to_set(db: Database, name: str, selection: Selection) -> int:
    """Put images except drafts into a set; returns how many were not in it.

    No row is loaded for a filter. `count_drafts` says how many are left out.

    Raises:
        GenerationError: there is no such set.
    """
    added = 0
    with db.session() as session:
        set_id = _row(session, name).id
        inside = select(ImageSetMember.image_id).where(ImageSetMember.set_id == set_id)
        for conditions in conditions_of(selection):
            new = select(literal(set_id), Image.id).where(
                *conditions,
                Image.profile != Profile.DRAFT,
                Image.id.not_in(inside),
            )
            statement = insert(ImageSetMember).from_select(["set_id", "image_id"], new)
            added += rows_changed(session, statement)
    return added


def take_from_set(db: Database, name: str, selection: Selection) -> int:
    """Take images out of a set; returns how many were in it.

    Raises:
        GenerationError: there is no such set.
    """
    taken = 0
    with db.session() as session:
        set_id = _row(session, name).id
        for conditions in conditions_of(selection):
            chosen = select(Image.id).where(*conditions)
            statement = delete(ImageSetMember).where(
                ImageSetMember.set_id == set_id, ImageSetMember.image_id.in_(chosen)
            )
            taken += rows_changed(session, statement)
    return taken


def _views(session: Session) -> list[SetView]:
    shown = (
        select(ImageSetMember.set_id, func.count().label("images"))
        .join(Image, Image.id == ImageSetMember.image_id)
        .where(Image.deleted_at.is_(None))
        .group_by(ImageSetMember.set_id)
        .subquery()
    )
    statement = (
        select(ImageSet, func.coalesce(shown.c.images, 0))
        .outerjoin(shown, shown.c.set_id == ImageSet.id)
        .order_by(ImageSet.name)
    )
    return [
        SetView(row.name, row.note, row.created_at, images)
        for row, images in session.execute(statement)
    ]


def _row(session: Session, name: str) -> ImageSet:
    row = session.scalar(select(ImageSet).where(ImageSet.name == name))
    if row is None:
        raise GenerationError(f"There is no set {name}: make it first, or check its name.")
    return row


def _clean(name: str) -> str:
    cleaned = " ".join(name.split())
    if not cleaned or len(cleaned) > NAME_LENGTH:
        raise GenerationError(f"A set needs a name of 1 to {NAME_LENGTH} characters.")
    return cleaned
