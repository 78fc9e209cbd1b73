"""Images chosen by id, or by a filter over the whole gallery, however many that are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import func, or_, select

from backend.generation.errors import GenerationError, RequestError
from backend.generation.gallery import (
    GalleryFilter,
    ImageView,
    count_images,
    image_view,
    matching,
)
from backend.generation.profile import Profile
from backend.settings import Settings
from backend.store.database import Database
from backend.store.tables import Image

Selection = Sequence[str] | GalleryFilter
CHUNK = 200
_FILTERS = TypeAdapter(GalleryFilter)


def make_filter(values: Mapping[str, object]) -> GalleryFilter:
    """A filter from the values of a command line or a stored job.

    Raises:
        RequestError: naming the field that is unknown or wrong.
    """
    names = GalleryFilter.__dataclass_fields__
    unknown = next((name for name in values if name not in names), None)
    if unknown is not None:
        raise RequestError(
            f"Images cannot be filtered by {unknown}: use one of {', '.join(names)}."
        )
    try:
        return _FILTERS.validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        problem = str(first["msg"]).removeprefix("Input should be ")
        raise RequestError(f"The filter {first['loc'][0]} should be {problem}.") from error


def count_selected(db: Database, selection: Selection) -> int:
    """How many images are chosen; ids are counted once each, whether there or not."""
    if isinstance(selection, GalleryFilter):
        return count_images(db, selection)
    return len(dict.fromkeys(selection))


def count_drafts(db: Database, selection: Selection) -> int:
    """How many of the chosen images are drafts, which are not exported and not put into sets."""
    if isinstance(selection, GalleryFilter):
        if selection.drafts is False:
            return 0
        return count_images(db, replace(selection, drafts=True))
    is_draft = Image.profile == Profile.DRAFT
    drafts = 0
    with db.session() as session:
        for ids in chunks(selection):
            counted = select(func.count()).select_from(Image).where(Image.id.in_(ids), is_draft)
            drafts += session.scalar(counted) or 0
    return drafts


def left_out(drafts: int) -> str:
    """How many drafts were left out, as a sentence; empty where there were none."""
    if not drafts:
        return ""
    if drafts == 1:
        return "1 draft was left out: make it again with another profile to keep it."
    return f"{drafts:,} drafts were left out: make them again with another profile to keep them."


def check_selection(db: Database, selection: Selection) -> None:
    """Raises GenerationError where nothing is chosen, or an id is not there."""
    if isinstance(selection, GalleryFilter):
        if not count_images(db, selection):
            raise GenerationError("No image matches: change the filter.")
        return
    if not selection:
        raise GenerationError("No image is selected: select the images to export.")
    for ids in chunks(selection):
        with db.session() as session:
            there = set(session.scalars(select(Image.id).where(Image.id.in_(ids))))
        gone = next((image_id for image_id in ids if image_id not in there), None)
        if gone is not None:
            raise GenerationError(f"There is no image {gone}: it was purged, or never made.")


def check_exportable(db: Database, selection: Selection) -> None:
    """Raises GenerationError where nothing but drafts is chosen, or an id is not there."""
    check_selection(db, selection)
    drafts = count_drafts(db, selection)
    if drafts == count_selected(db, selection):
        raise GenerationError(f"There is nothing to export. {left_out(drafts)}")


def selected_images(
    db: Database, settings: Settings, selection: Selection, *, chunk: int = CHUNK
) -> Iterator[ImageView]:
    """The images one after another: ids in their order and once each, a filter newest first.

    Never holds more than `chunk` of them, and no transaction while they are worked on. Images
    that are made meanwhile are not among them.
    """
    if isinstance(selection, GalleryFilter):
        yield from _by_filter(db, settings, selection, chunk)
        return
    for ids in chunks(selection, chunk):
        with db.session() as session:
            rows = session.scalars(select(Image).where(Image.id.in_(ids))).all()
            views = {row.id: image_view(row, settings) for row in rows}
        yield from (views[image_id] for image_id in ids if image_id in views)


def chunks(ids: Sequence[str], size: int = CHUNK) -> Iterator[list[str]]:
    """The ids once each, so many at a time: databases limit the values of a statement."""
    unique = list(dict.fromkeys(ids))
    for start in range(0, len(unique), size):
        yield unique[start : start + size]


def _by_filter(
    db: Database, settings: Settings, criteria: GalleryFilter, chunk: int
) -> Iterator[ImageView]:
    """Goes on from the last image seen, which costs the same wherever it is."""
    newest_first = (
        select(Image).where(*matching(criteria)).order_by(Image.created_at.desc(), Image.id.desc())
    )
    statement = newest_first.limit(chunk)
    while True:
        with db.session() as session:
            views = [image_view(row, settings) for row in session.scalars(statement)]
        yield from views
        if len(views) < chunk:
            return
        last = views[-1]
        older = or_(Image.created_at < last.created_at, Image.id < last.id)
        statement = newest_first.where(Image.created_at <= last.created_at, older).limit(chunk)
