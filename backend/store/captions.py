"""The caption library: what was written once can be found and used again."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.exc import IntegrityError

from backend.abc.attributes import Asymmetry, Border, Colour, Label, LesionAttributes, SkinTone
from backend.errors import DermaFluxError
from backend.jobs.queue import new_id
from backend.store.attributes import requested_attributes, stated_columns
from backend.store.columns import mentions, now
from backend.store.database import Database
from backend.store.tables import Caption, CaptionColour


class CaptionError(DermaFluxError):
    """A caption that cannot be kept or is not in the library."""


@dataclass(frozen=True)
class CaptionFilter:
    """What to look for; each word of `text` has to occur, each of `colours` to be stated."""

    text: str = ""
    starred: bool | None = None
    label: Label | None = None
    asymmetry: Asymmetry | None = None
    border: Border | None = None
    skin_tone: SkinTone | None = None
    colours: tuple[Colour, ...] = ()


@dataclass(frozen=True)
class CaptionView:
    """A caption of the library as it was when it was read."""

    id: str
    text: str
    style: str | None
    attributes: LesionAttributes
    created_at: datetime
    last_used_at: datetime
    uses: int
    starred: bool


def save_caption(
    db: Database, text: str, attributes: LesionAttributes, *, style: str | None = None
) -> CaptionView:
    """Keep a caption, or count one more use where it is kept already, deleted or not.

    Raises CaptionError for an empty text.
    """
    text = " ".join(text.split())
    if not text:
        raise CaptionError("An empty caption cannot be kept: write or compose one first.")
    digest = hashlib.sha256(text.encode()).hexdigest()
    used = _use(db, digest, style)
    if used is not None:
        return used
    caption = Caption(
        id=new_id(),
        text=text,
        text_hash=digest,
        style=style,
        uses=1,
        starred=False,
        colours=[
            CaptionColour(colour=colour, rank=rank)
            for rank, colour in enumerate(attributes.colours)
        ],
        **stated_columns(attributes),
    )
    try:
        with db.session() as session:
            session.add(caption)
    except IntegrityError:
        saved_meanwhile = _use(db, digest, style)
        if saved_meanwhile is None:
            raise
        return saved_meanwhile
    return _view(caption)


def search_captions(
    db: Database, text: str | CaptionFilter = "", *, limit: int = 50, offset: int = 0
) -> list[CaptionView]:
    """Captions that match, the last used first."""
    statement = (
        select(Caption)
        .where(*_conditions(text))
        .order_by(Caption.last_used_at.desc(), Caption.id.desc())
        .limit(limit)
        .offset(offset)
    )
    with db.session() as session:
        return [_view(row) for row in session.scalars(statement)]


def count_captions(db: Database, text: str | CaptionFilter = "") -> int:
    """How many captions `search_captions` could list."""
    statement = select(func.count()).select_from(Caption).where(*_conditions(text))
    with db.session() as session:
        return session.scalar(statement) or 0


def delete_caption(db: Database, caption_id: str) -> None:
    """Hide a caption until it is restored; raises CaptionError for an unknown one."""
    _change(db, caption_id, {"deleted_at": now()})


def restore_caption(db: Database, caption_id: str) -> None:
    """Undo `delete_caption`; raises CaptionError for an unknown one."""
    _change(db, caption_id, {"deleted_at": None})


def star_caption(db: Database, caption_id: str, on: bool) -> None:
    """Mark a caption as a favourite, or not; raises CaptionError for an unknown one."""
    _change(db, caption_id, {"starred": on})


def _use(db: Database, digest: str, style: str | None) -> CaptionView | None:
    use = (
        update(Caption)
        .where(Caption.text_hash == digest)
        .values(
            uses=Caption.uses + 1,
            last_used_at=now(),
            deleted_at=None,
            style=func.coalesce(style, Caption.style),
        )
        .execution_options(synchronize_session=False)
    )
    with db.session() as session:
        # A row that another transaction commits between the two statements was not counted.
        if session.execute(use.returning(Caption.id)).first() is None:
            return None
        row = session.scalars(select(Caption).where(Caption.text_hash == digest)).one()
        return _view(row)


def _change(db: Database, caption_id: str, values: dict[str, object]) -> None:
    with db.session() as session:
        row = session.get(Caption, caption_id)
        if row is None:
            raise CaptionError("This caption is no longer in the library: search again.")
        for name, value in values.items():
            setattr(row, name, value)


def _conditions(wanted: str | CaptionFilter) -> list[ColumnElement[bool]]:
    if isinstance(wanted, str):
        wanted = CaptionFilter(text=wanted)
    conditions: list[ColumnElement[bool]] = [Caption.deleted_at.is_(None)]
    conditions += [mentions(Caption.text, word) for word in wanted.text.split()]
    for column, value in (
        (Caption.starred, wanted.starred),
        (Caption.label, wanted.label),
        (Caption.asymmetry, wanted.asymmetry),
        (Caption.border, wanted.border),
        (Caption.skin_tone, wanted.skin_tone),
    ):
        if value is not None:
            conditions.append(column == value)
    conditions += [Caption.colours.any(CaptionColour.colour == colour) for colour in wanted.colours]
    return conditions


def _view(row: Caption) -> CaptionView:
    return CaptionView(
        id=row.id,
        text=row.text,
        style=row.style,
        attributes=requested_attributes(row),
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        uses=row.uses,
        starred=row.starred,
    )
