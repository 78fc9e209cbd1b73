"""Generated images found again: paged, filtered, starred, deleted with undo and purged."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Select, func, select, update
from sqlalchemy import delete as delete_rows
from sqlalchemy.orm import InstrumentedAttribute

from backend.abc.attributes import Asymmetry, Border, Colour, Label, LesionAttributes, SkinTone
from backend.files import remove_file
from backend.generation.errors import GenerationError
from backend.generation.request import GenerationRequest, make_request
from backend.settings import Settings
from backend.store.attributes import measured_attributes, requested_attributes
from backend.store.columns import now
from backend.store.database import Database
from backend.store.tables import ColourSource, Image, ImageColour


@dataclass(frozen=True)
class GalleryFilter:
    """What to show; None, empty or no colour means: all.

    `measured` filters asymmetry, border, colours and skin tone by what was found in the pixels
    rather than by what was asked for. Every colour named must be there.
    """

    text: str = ""
    model: str | None = None
    label: Label | None = None
    asymmetry: Asymmetry | None = None
    border: Border | None = None
    colours: tuple[Colour, ...] = ()
    skin_tone: SkinTone | None = None
    starred: bool | None = None
    job_id: str | None = None
    measured: bool = False


@dataclass(frozen=True)
class ImageView:
    """A generated image with absolute paths, what was asked for and what was measured.

    `confidence` (0..1) is the meter's mean over what it measured; None where nothing was found.
    """

    id: str
    job_id: str
    position: int
    created_at: datetime
    path: Path
    thumbnail: Path
    width: int
    height: int
    bytes: int
    pixel_hash: str
    caption: str
    model: str
    seed: int
    request: GenerationRequest
    requested: LesionAttributes
    measured: LesionAttributes
    confidence: float | None
    found: bool
    starred: bool
    deleted: bool


def query_images(
    db: Database,
    settings: Settings,
    criteria: GalleryFilter | None = None,
    *,
    limit: int = 24,
    offset: int = 0,
) -> list[ImageView]:
    """One page of images that match, newest first."""
    statement = _matching(select(Image), criteria or GalleryFilter())
    newest = statement.order_by(Image.created_at.desc(), Image.id.desc())
    with db.session() as session:
        rows = session.scalars(newest.limit(limit).offset(offset)).all()
        return [_view(row, settings) for row in rows]


def count_images(db: Database, criteria: GalleryFilter | None = None) -> int:
    """How many images match."""
    statement = _matching(select(func.count()).select_from(Image), criteria or GalleryFilter())
    with db.session() as session:
        return session.scalar(statement) or 0


def get_image(db: Database, settings: Settings, image_id: str) -> ImageView:
    """One image, deleted ones included.

    Raises:
        GenerationError: there is none with this id.
    """
    with db.session() as session:
        row = session.get(Image, image_id)
        if row is None:
            raise GenerationError(f"There is no image {image_id}: it was purged, or never made.")
        return _view(row, settings)


def list_used_models(db: Database) -> list[str]:
    """Names of the models that made the images in the gallery, for a filter."""
    statement = select(Image.model).where(Image.deleted_at.is_(None)).distinct()
    with db.session() as session:
        return list(session.scalars(statement.order_by(Image.model)))


def star(db: Database, ids: Sequence[str], on: bool = True) -> None:
    """Mark images as favourites, or take the mark off."""
    with db.session() as session:
        session.execute(update(Image).where(Image.id.in_(ids)).values(starred=on))


def delete(db: Database, ids: Sequence[str]) -> list[str]:
    """Hide images; returns the ids that were hidden by this call, which `restore` undoes."""
    with db.session() as session:
        shown = select(Image.id).where(Image.id.in_(ids), Image.deleted_at.is_(None))
        hidden = list(session.scalars(shown.order_by(Image.id)))
        session.execute(update(Image).where(Image.id.in_(hidden)).values(deleted_at=now()))
        return hidden


def restore(db: Database, ids: Sequence[str]) -> None:
    """Show deleted images again."""
    with db.session() as session:
        session.execute(update(Image).where(Image.id.in_(ids)).values(deleted_at=None))


def purge(db: Database, settings: Settings, older_than: timedelta) -> int:
    """Remove for good, with their files, images deleted longer ago than this; returns how many.

    Rows go first: a crash in between leaves a file without a row, never a row without a file.
    """
    due = Image.deleted_at.is_not(None) & (Image.deleted_at < now() - older_than)
    with db.session() as session:
        rows = session.execute(select(Image.id, Image.file, Image.thumbnail).where(due)).all()
        ids = [row.id for row in rows]
        session.execute(delete_rows(ImageColour).where(ImageColour.image_id.in_(ids)))
        session.execute(delete_rows(Image).where(Image.id.in_(ids)))
    for row in rows:
        remove_file(settings.workspace / row.file)
        remove_file(settings.workspace / row.thumbnail)
    return len(rows)


def finished_positions(db: Database, job_id: str) -> set[int]:
    """Which images of a job are made already, deleted ones included."""
    with db.session() as session:
        return set(session.scalars(select(Image.position).where(Image.job_id == job_id)))


def _matching(statement: Select[Any], criteria: GalleryFilter) -> Select[Any]:
    statement = statement.where(Image.deleted_at.is_(None))
    if criteria.text.strip():
        statement = statement.where(Image.caption.icontains(criteria.text.strip(), autoescape=True))
    for column, value in _columns(criteria):
        if value is not None:
            statement = statement.where(column == value)
    source = ColourSource.MEASURED if criteria.measured else ColourSource.REQUESTED
    for colour in criteria.colours:
        statement = statement.where(
            Image.colours.any((ImageColour.source == source) & (ImageColour.colour == colour))
        )
    return statement


def _columns(criteria: GalleryFilter) -> list[tuple[InstrumentedAttribute[Any], object]]:
    measured = criteria.measured
    return [
        (Image.model, criteria.model),
        (Image.label, criteria.label),
        (Image.starred, criteria.starred),
        (Image.job_id, criteria.job_id),
        (Image.measured_asymmetry if measured else Image.asymmetry, criteria.asymmetry),
        (Image.measured_border if measured else Image.border, criteria.border),
        (Image.measured_skin_tone if measured else Image.skin_tone, criteria.skin_tone),
    ]


def _view(row: Image, settings: Settings) -> ImageView:
    return ImageView(
        id=row.id,
        job_id=row.job_id,
        position=row.position,
        created_at=row.created_at,
        path=settings.workspace / row.file,
        thumbnail=settings.workspace / row.thumbnail,
        width=row.width,
        height=row.height,
        bytes=row.bytes,
        pixel_hash=row.pixel_hash,
        caption=row.caption,
        model=row.model,
        seed=row.seed,
        request=make_request(row.request),
        requested=requested_attributes(row),
        measured=measured_attributes(row),
        confidence=row.measured_confidence,
        found=row.found,
        starred=row.starred,
        deleted=row.deleted_at is not None,
    )
