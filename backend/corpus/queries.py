"""The catalogue found again: paged, filtered and counted, at any size in milliseconds.

CorpusCell holds one row for each combination of filtered values that occurs. A filter chooses
cells; a count is the sum of theirs; a page is found by walking them, so that no query ever passes
over the images that it does not show.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from backend.abc.attributes import Label
from backend.corpus.catalogue import AT_ONCE
from backend.corpus.errors import CorpusError
from backend.settings import Settings
from backend.store.database import Database
from backend.store.tables import CorpusCell, CorpusImage, CorpusSubset, CorpusSubsetMember

FACETS: dict[str, InstrumentedAttribute[Any]] = {
    name: getattr(CorpusCell, name)
    for name in (
        *("dataset", "split", "label", "diagnosis", "modality", "skin_tone", "site"),
        *("decade", "sex", "synthetic"),
    )
}


@dataclass(frozen=True)
class CorpusFilter:
    """What to show; None means all, empty text what is not said, decade -1 an unknown age."""

    dataset: str | None = None
    split: str | None = None
    label: Label | None = None
    diagnosis: str | None = None
    modality: str | None = None
    skin_tone: str | None = None
    site: str | None = None
    decade: int | None = None
    sex: str | None = None
    synthetic: bool | None = None


@dataclass(frozen=True)
class CorpusView:
    """An image of the corpus with absolute paths; sizes are those of the original."""

    id: str
    dataset: str
    source_id: str
    source_path: str
    patient: str
    lesion: str
    diagnosis: str
    diagnosis_given: str
    label: Label
    modality: str
    skin_tone: str
    site: str
    age: int | None
    sex: str
    split: str
    synthetic: bool
    width: int
    height: int
    bytes: int
    byte_hash: str
    pixel_hash: str
    recipe: str
    file: Path
    thumbnail: Path


def count_corpus(db: Database, criteria: CorpusFilter | None = None) -> int:
    """How many images match."""
    statement = select(func.coalesce(func.sum(CorpusCell.images), 0))
    with db.session() as session:
        return int(session.scalar(statement.where(*_conditions(criteria))) or 0)


def count_by(
    db: Database, *names: str, criteria: CorpusFilter | None = None
) -> dict[tuple[Any, ...], int]:
    """Counts by the values of one or more of FACETS, in the order of the values."""
    columns = [FACETS[name] for name in names]
    statement = select(*columns, func.sum(CorpusCell.images)).where(*_conditions(criteria))
    with db.session() as session:
        rows = session.execute(statement.group_by(*columns).order_by(*columns))
        return {tuple(values): count for *values, count in rows}


def query_corpus(
    db: Database,
    settings: Settings,
    criteria: CorpusFilter | None = None,
    *,
    limit: int = 24,
    offset: int = 0,
) -> list[CorpusView]:
    """One page of images that match: by dataset, split, label and diagnosis, then by name."""
    views: list[CorpusView] = []
    with db.session() as session:
        for cell, size in _cells(session, criteria):
            if offset >= size:
                offset -= size
                continue
            page = (
                select(CorpusImage)
                .where(CorpusImage.cell == cell)
                .order_by(CorpusImage.source_id)
                .limit(limit - len(views))
                .offset(offset)
            )
            views += [corpus_view(row, settings) for row in session.scalars(page)]
            offset = 0
            if len(views) == limit:
                break
    return views


def count_subset(db: Database, name: str, criteria: CorpusFilter | None = None) -> int:
    """How many images of a subset are in the catalogue and match.

    Raises:
        CorpusError: there is no such subset.
    """
    with db.session() as session:
        joined = _joined(_subset_id(session, name), criteria, func.count())
        return session.scalar(joined) or 0


def query_subset(
    db: Database,
    settings: Settings,
    name: str,
    criteria: CorpusFilter | None = None,
    *,
    limit: int = 24,
    offset: int = 0,
) -> list[CorpusView]:
    """One page of the images of a subset that match, in the subset's order.

    Raises:
        CorpusError: there is no such subset.
    """
    with db.session() as session:
        joined = _joined(_subset_id(session, name), criteria, CorpusImage)
        page = joined.order_by(CorpusSubsetMember.position).limit(limit).offset(offset)
        return [corpus_view(row, settings) for row in session.scalars(page)]


def find_corpus(
    db: Database, settings: Settings, name: str, *, limit: int = 100
) -> list[CorpusView]:
    """Images by id, by their name in their dataset, by patient or by lesion."""
    wanted = or_(
        CorpusImage.id == name,
        CorpusImage.source_id == name,
        CorpusImage.patient == name,
        CorpusImage.lesion == name,
    )
    statement = select(CorpusImage).where(wanted).order_by(CorpusImage.id).limit(limit)
    with db.session() as session:
        return [corpus_view(row, settings) for row in session.scalars(statement)]


def get_corpus_image(db: Database, settings: Settings, image_id: str) -> CorpusView:
    """One image.

    Raises:
        CorpusError: there is none with this id.
    """
    with db.session() as session:
        row = session.get(CorpusImage, image_id)
        if row is None:
            raise CorpusError(f"There is no image {image_id} in the corpus: it was taken out.")
        return corpus_view(row, settings)


def iterate_corpus(
    db: Database,
    settings: Settings,
    criteria: CorpusFilter | None = None,
    *,
    subset: str | None = None,
) -> Iterator[CorpusView]:
    """All images that match, or those of a named subset in its order; one query a thousand.

    Raises:
        CorpusError: there is no such subset.
    """
    with db.session() as session:
        ids = list(matching_ids(session, criteria)) if subset is None else _members(session, subset)
    for first in range(0, len(ids), AT_ONCE):
        part = ids[first : first + AT_ONCE]
        with db.session() as session:
            statement = select(CorpusImage).where(CorpusImage.id.in_(part))
            found = {row.id: corpus_view(row, settings) for row in session.scalars(statement)}
        yield from (found[one] for one in part if one in found)


def matching_ids(session: Session, criteria: CorpusFilter | None) -> Iterator[str]:
    """The ids of all images that match, in the order of pages."""
    for cell, _ in _cells(session, criteria):
        statement = select(CorpusImage.id).where(CorpusImage.cell == cell)
        yield from session.scalars(statement.order_by(CorpusImage.source_id))


def corpus_view(row: CorpusImage, settings: Settings) -> CorpusView:
    """The row as the rest of the studio sees it."""
    values = {field.name: getattr(row, field.name) for field in fields(CorpusView)}
    values["file"] = settings.workspace / row.file
    values["thumbnail"] = settings.workspace / row.thumbnail
    return CorpusView(**values)


def _cells(session: Session, criteria: CorpusFilter | None) -> Iterator[tuple[str, int]]:
    """Cells in the order of ix_corpus_cell_order, which spares the first page a sort of all."""
    statement = (
        select(CorpusCell.id, CorpusCell.images)
        .where(*_conditions(criteria))
        .order_by(*FACETS.values(), CorpusCell.id)
    )
    with session.execute(statement) as found:
        yield from ((cell, size) for cell, size in found)


def _conditions(criteria: CorpusFilter | None) -> list[ColumnElement[bool]]:
    if criteria is None:
        return []
    chosen = ((name, getattr(criteria, name)) for name in FACETS)
    return [FACETS[name] == value for name, value in chosen if value is not None]


def _members(session: Session, subset: str) -> list[str]:
    chosen = CorpusSubsetMember.subset_id == _subset_id(session, subset)
    members = select(CorpusSubsetMember.image_id).where(chosen)
    return list(session.scalars(members.order_by(CorpusSubsetMember.position)))


def _subset_id(session: Session, name: str) -> str:
    found = session.scalar(select(CorpusSubset.id).where(CorpusSubset.name == name))
    if found is None:
        raise CorpusError(f"There is no subset '{name}': `corpus subset list` shows them.")
    return found


def _joined(subset_id: str, criteria: CorpusFilter | None, *columns: Any) -> Select[Any]:
    statement = (
        select(*columns)
        .select_from(CorpusSubsetMember)
        .join(CorpusImage, CorpusImage.id == CorpusSubsetMember.image_id)
        .where(CorpusSubsetMember.subset_id == subset_id)
    )
    conditions = _conditions(criteria)
    if conditions:
        statement = statement.where(CorpusImage.cell.in_(select(CorpusCell.id).where(*conditions)))
    return statement
