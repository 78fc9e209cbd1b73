"""Named choices of images that training and evaluation refer to; once made they do not change."""

import random
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import delete, func, insert, select

from backend.abc.attributes import Label
from backend.corpus.errors import CorpusError
from backend.corpus.queries import CorpusFilter, matching_ids
from backend.corpus.sources.paper import PAPER
from backend.jobs.queue import new_id
from backend.store.database import Database
from backend.store.tables import NAME_LENGTH, CorpusSubset, CorpusSubsetMember

TEST_SETS = ("isic2019", "kaggle1", "kaggle2")
PRESETS: dict[str, tuple[CorpusFilter, ...]] = {
    "paper-training": tuple(
        CorpusFilter(dataset=source.key, split=split, synthetic=False)
        for source in PAPER
        for split in (("train", "") if source.test_apart else (None,))
    ),
    "paper-test": tuple(CorpusFilter(dataset=key, split="test") for key in TEST_SETS),
}
"""The paper's training corpus, and its test set."""


@dataclass(frozen=True)
class SubsetView:
    """A subset by name: how it was chosen, and how many images it has."""

    name: str
    recipe: dict[str, Any]
    images: int


def make_subset(
    db: Database,
    name: str,
    filters: tuple[CorpusFilter, ...],
    *,
    per_label: int | None = None,
    seed: int = 0,
) -> SubsetView:
    """Keep the images that match any of the filters, or so many of each label drawn by a seed.

    Raises:
        CorpusError: the name is taken, nothing matches, or a label has too few images.
    """
    name = " ".join(name.split())
    if not 0 < len(name) <= NAME_LENGTH or not name.isprintable():
        raise CorpusError(f"The name of a subset has 1 to {NAME_LENGTH} signs: choose another.")
    recipe = {
        "filters": [_plain(criteria) for criteria in filters],
        "per_label": per_label,
        "seed": seed,
    }
    with db.session() as session:
        if session.scalar(select(CorpusSubset.id).where(CorpusSubset.name == name)):
            raise CorpusError(f"There is a subset '{name}' already: choose another name.")
        ids: dict[str, None] = {}
        for label in Label:
            found: dict[str, None] = {}
            for criteria in filters:
                if criteria.label not in (None, label):
                    continue
                one = CorpusFilter(**{**asdict(criteria), "label": label})
                found |= dict.fromkeys(matching_ids(session, one))
            ids |= dict.fromkeys(_drawn(list(found), label, per_label, seed))
        if not ids:
            raise CorpusError("No image of the corpus matches: import one, or widen the filter.")
        subset = CorpusSubset(id=new_id(), name=name, recipe=recipe)
        session.add(subset)
        session.flush()
        session.execute(
            insert(CorpusSubsetMember),
            [
                {"subset_id": subset.id, "position": position, "image_id": one}
                for position, one in enumerate(ids)
            ],
        )
    return SubsetView(name, recipe, len(ids))


def list_subsets(db: Database) -> list[SubsetView]:
    """All subsets by name."""
    counts = (
        select(CorpusSubsetMember.subset_id, func.count().label("images"))
        .group_by(CorpusSubsetMember.subset_id)
        .subquery()
    )
    statement = (
        select(CorpusSubset.name, CorpusSubset.recipe, counts.c.images)
        .join(counts, counts.c.subset_id == CorpusSubset.id)
        .order_by(CorpusSubset.name)
    )
    with db.session() as session:
        return [
            SubsetView(name, recipe, images) for name, recipe, images in session.execute(statement)
        ]


def remove_subset(db: Database, name: str) -> None:
    """Forget a subset; its images stay.

    Raises:
        CorpusError: there is none.
    """
    with db.session() as session:
        found = session.scalar(select(CorpusSubset.id).where(CorpusSubset.name == name))
        if found is None:
            raise CorpusError(f"There is no subset '{name}': `corpus subset list` shows them.")
        session.execute(delete(CorpusSubset).where(CorpusSubset.id == found))


def _drawn(ids: list[str], label: Label, count: int | None, seed: int) -> list[str]:
    if count is None:
        return ids
    if len(ids) < count:
        raise CorpusError(
            f"Only {len(ids):,} {label} images match, not {count:,}: ask for fewer, or widen the "
            "filter."
        )
    # Sorted first, so that the draw depends on which images there are and not on their order
    return sorted(random.Random(f"{seed}:{label}").sample(sorted(ids), count))  # noqa: S311


def _plain(criteria: CorpusFilter) -> dict[str, Any]:
    return {name: value for name, value in asdict(criteria).items() if value is not None}
