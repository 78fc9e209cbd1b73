"""The imported images that the rule of their dataset drops, each with the reason."""

from dataclasses import dataclass

from sqlalchemy import select

from backend.corpus.label_rules import newest_version
from backend.corpus.labels import rule_on
from backend.store.database import Database
from backend.store.tables import CorpusDropped, CorpusSubset, CorpusSubsetMember


@dataclass(frozen=True)
class DroppedImage:
    """An image that is kept, but stands in no page, count or subset until a rule labels it."""

    id: str
    dataset: str
    source_id: str
    diagnosis: str
    why: str


def list_dropped(
    db: Database,
    dataset: str | None = None,
    *,
    subset: str | None = None,
    limit: int | None = 100,
    offset: int = 0,
) -> list[DroppedImage]:
    """Dropped images by dataset and name: all, those of a dataset, or members of a subset."""
    statement = select(CorpusDropped).order_by(CorpusDropped.dataset, CorpusDropped.source_id)
    if dataset is not None:
        statement = statement.where(CorpusDropped.dataset == dataset)
    if subset is not None:
        members = select(CorpusSubsetMember.image_id).join(
            CorpusSubset, CorpusSubset.id == CorpusSubsetMember.subset_id
        )
        statement = statement.where(
            CorpusDropped.id.in_(members.where(CorpusSubset.name == subset))
        )
    with db.session() as session:
        rows = session.scalars(statement.limit(limit).offset(offset)).all()
    rules = {name: newest_version(db, name).rule for name in {row.dataset for row in rows}}
    return [
        DroppedImage(
            id=row.id,
            dataset=row.dataset,
            source_id=row.source_id,
            diagnosis=row.diagnosis,
            why=rule_on(rules[row.dataset], row.diagnosis, row.target).why,
        )
        for row in rows
    ]
