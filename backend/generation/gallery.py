"""Generated images found again: paged, filtered, starred, deleted with undo and purged."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy import delete as delete_rows
from sqlalchemy.orm import InstrumentedAttribute

from backend.abc.attributes import Asymmetry, Border, Colour, Label, LesionAttributes, SkinTone
from backend.files import remove_file
from backend.generation.errors import GenerationError
from backend.generation.profile import Profile
from backend.generation.request import GenerationRequest, stored_request
from backend.settings import Settings
from backend.store.attributes import colour_mask, measured_attributes, requested_attributes
from backend.store.columns import mentions, now
from backend.store.database import Database
from backend.store.tables import Image, ImageColour, ImageSet, ImageSetMember

PURGED_AT_ONCE = 500


@dataclass(frozen=True)
class GalleryFilter:
    """What to show; None, empty or no colour means: all.

    `measured` filters asymmetry, border, colours and skin tone by what was found in the pixels
    rather than by what was asked for. Every colour named must be there. `image_set` is a name.
    `drafts` False leaves the images of the draft profile out, True shows only them.
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
    image_set: str | None = None
    drafts: bool | None = None
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
    profile: Profile
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
    """One page of images that match, newest first.

    Ids come first, from the index alone: the rows that a deep page skips are never read.
    """
    newest_first = (Image.created_at.desc(), Image.id.desc())
    page = (
        select(Image.id)
        .where(*matching(criteria or GalleryFilter()))
        .order_by(*newest_first)
        .limit(limit)
        .offset(offset)
        .subquery()
    )
    statement = select(Image).join(page, page.c.id == Image.id).order_by(*newest_first)
    with db.session() as session:
        return [image_view(row, settings) for row in session.scalars(statement)]


def count_images(db: Database, criteria: GalleryFilter | None = None) -> int:
    """How many images match."""
    statement = (
        select(func.count()).select_from(Image).where(*matching(criteria or GalleryFilter()))
    )
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
        return image_view(row, settings)


def list_used_models(db: Database) -> list[str]:
    """Names of the models that made the images in the gallery, for a filter."""
    statement = select(Image.model).where(Image.deleted_at.is_(None)).distinct()
    with db.session() as session:
        return list(session.scalars(statement.order_by(Image.model)))


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
    some = select(Image.id, Image.file, Image.thumbnail).where(due).limit(PURGED_AT_ONCE)
    purged = 0
    while True:
        with db.session() as session:
            rows = session.execute(some).all()
            ids = [row.id for row in rows]
            session.execute(delete_rows(ImageColour).where(ImageColour.image_id.in_(ids)))
            session.execute(delete_rows(Image).where(Image.id.in_(ids)))
        for row in rows:
            thumbnail = settings.workspace / row.thumbnail
            for file in (settings.workspace / row.file, thumbnail, outline_file(thumbnail)):
                remove_file(file)
        purged += len(rows)
        if len(rows) < PURGED_AT_ONCE:
            return purged


def outline_file(thumbnail: Path) -> Path:
    """Where the page keeps the image with its measured outline, beside the thumbnail."""
    return thumbnail.with_name(f"{thumbnail.stem}-outline.png")


def finished_positions(db: Database, job_id: str) -> set[int]:
    """Which images of a job are made already, deleted ones included."""
    with db.session() as session:
        return set(session.scalars(select(Image.position).where(Image.job_id == job_id)))


def matching(criteria: GalleryFilter) -> list[ColumnElement[bool]]:
    """The conditions of a filter, for any statement over the images; deleted ones never match."""
    conditions: list[ColumnElement[bool]] = [Image.deleted_at.is_(None)]
    if criteria.text.strip():
        conditions.append(mentions(Image.caption, criteria.text.strip()))
    conditions += [column == value for column, value in _columns(criteria) if value is not None]
    if criteria.colours:
        wanted = colour_mask(criteria.colours)
        column = Image.measured_colour_mask if criteria.measured else Image.colour_mask
        conditions.append(column.bitwise_and(wanted) == wanted)
    if criteria.drafts is not None:
        is_draft = Image.profile == Profile.DRAFT
        conditions.append(is_draft if criteria.drafts else ~is_draft)
    if criteria.image_set is not None:
        members = select(ImageSetMember.image_id).join(
            ImageSet, ImageSet.id == ImageSetMember.set_id
        )
        conditions.append(Image.id.in_(members.where(ImageSet.name == criteria.image_set)))
    return conditions


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


def image_view(row: Image, settings: Settings) -> ImageView:
    """The row as the rest of the studio sees it."""
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
        request=stored_request(row.request),
        profile=row.profile,
        requested=requested_attributes(row),
        measured=measured_attributes(row),
        confidence=row.measured_confidence,
        found=row.found,
        starred=row.starred,
        deleted=row.deleted_at is not None,
    )
