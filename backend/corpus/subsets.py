"""Named choices of images that training and evaluation refer to; once made they do not change."""

import random
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select

from backend.abc.attributes import Label
from backend.corpus.errors import CorpusError
from backend.corpus.queries import CorpusFilter, count_corpus, matching_ids
from backend.corpus.sources.paper import PAPER
from backend.jobs.queue import new_id
from backend.store.database import Database
from backend.store.tables import NAME_LENGTH, CorpusSubset, CorpusSubsetMember

NOTHING_MATCHES = "No image of the corpus matches: import one, or widen the filter."
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
    """A subset by name: how it was chosen, and how many images it has.

    `recipe` holds the filters, the draw, and the images of each label when it was made.
    """

    name: str
    recipe: dict[str, Any]
    images: int
    created_at: datetime


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
    recipe: dict[str, Any] = {
        "filters": [_plain(criteria) for criteria in filters],
        "per_label": per_label,
        "seed": seed,
        "images": {},
    }
    with db.session() as session:
        if session.scalar(select(CorpusSubset.id).where(CorpusSubset.name == name)):
            raise CorpusError(f"There is a subset '{name}' already: choose another name.")
        ids: dict[str, None] = {}
        for label in Label:
            found: dict[str, None] = {}
            for one in _of_label(filters, label):
                found |= dict.fromkeys(matching_ids(session, one))
            drawn = _drawn(list(found), label, per_label, seed)
            recipe["images"][label.value] = len(drawn)
            ids |= dict.fromkeys(drawn)
        if not ids:
            raise CorpusError(NOTHING_MATCHES)
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
    return SubsetView(name, recipe, len(ids), subset.created_at)


def preview_subset(
    db: Database, filters: tuple[CorpusFilter, ...], per_label: int | None = None
) -> dict[Label, int]:
    """How many images of each label a subset would have; filters that overlap count twice.

    Raises:
        CorpusError: nothing matches, or a label has too few images.
    """
    counts = {
        label: sum(count_corpus(db, one) for one in _of_label(filters, label)) for label in Label
    }
    if not any(counts.values()):
        raise CorpusError(NOTHING_MATCHES)
    if per_label is None:
        return counts
    for label, count in counts.items():
        _require_enough(count, label, per_label)
    return dict.fromkeys(counts, per_label)


def get_subset(db: Database, name: str) -> SubsetView:
    """A subset by name.

    Raises:
        CorpusError: there is none.
    """
    found = next((one for one in list_subsets(db) if one.name == name), None)
    if found is None:
        raise CorpusError(_unknown(name))
    return found


def list_subsets(db: Database) -> list[SubsetView]:
    """All subsets by name."""
    counts = (
        select(CorpusSubsetMember.subset_id, func.count().label("images"))
        .group_by(CorpusSubsetMember.subset_id)
        .subquery()
    )
    statement = (
        select(CorpusSubset.name, CorpusSubset.recipe, counts.c.images, CorpusSubset.created_at)
        .join(counts, counts.c.subset_id == CorpusSubset.id)
        .order_by(CorpusSubset.name)
    )
    with db.session() as session:
        return [SubsetView(*row) for row in session.execute(statement)]


def remove_subset(db: Database, name: str) -> None:
    """Forget a subset; its images stay.

    Raises:
        CorpusError: there is none.
    """
    with db.session() as session:
        found = session.scalar(select(CorpusSubset.id).where(CorpusSubset.name == name))
        if found is None:
            raise CorpusError(_unknown(name))
        session.execute(delete(CorpusSubset).where(CorpusSubset.id == found))


def _drawn(ids: list[str], label: Label, count: int | None, seed: int) -> list[str]:
    if count is None:
        return ids
    _require_enough(len(ids), label, count)
    # Sorted first, so that the draw depends on which images there are and not on their order
    return sorted(random.Random(f"{seed}:{label}").sample(sorted(ids), count))  # noqa: S311


def _of_label(filters: tuple[CorpusFilter, ...], label: Label) -> list[CorpusFilter]:
    """The filters that images of a label can match, narrowed to it."""
    return [
        CorpusFilter(**{**asdict(criteria), "label": label})
        for criteria in filters
        if criteria.label in (None, label)
    ]


def _require_enough(found: int, label: Label, count: int) -> None:
    if found < count:
        raise CorpusError(
            f"Only {found:,} {label} images match, not {count:,}: ask for fewer, or widen the "
            "filter."
        )


def _unknown(name: str) -> str:
    return f"There is no subset '{name}': `corpus subset list` shows them."


def _plain(criteria: CorpusFilter) -> dict[str, Any]:
    return {name: value for name, value in asdict(criteria).items() if value is not None}
