"""Table 1 of the paper for what is in the catalogue, beside the paper's numbers."""

from dataclasses import dataclass
from typing import Any

from backend.abc.attributes import Label
from backend.corpus.describing import value_words
from backend.corpus.queries import CorpusFilter, count_by
from backend.corpus.record import Counts, Source
from backend.corpus.sources.paper import PAPER
from backend.store.database import Database


@dataclass(frozen=True)
class TableRow:
    """A dataset of the paper: images here, and as published; `test` are here but not counted."""

    dataset: str
    title: str
    side: int
    benign: int
    malignant: int
    test: int
    published: Counts

    @property
    def missing(self) -> int:
        """Published images that are not here; negative where there are more."""
        return self.published.total - self.benign - self.malignant


def table_1(db: Database) -> list[TableRow]:
    """One row a dataset of the paper, those that are not imported included."""
    counts = count_by(db, "dataset", "label", "split", criteria=CorpusFilter(synthetic=False))
    return [
        _row(source, source.published, counts) for source in PAPER if source.published is not None
    ]


def _row(source: Source, published: Counts, counts: dict[tuple[Any, ...], int]) -> TableRow:
    def images(label: Label, *, test: bool) -> int:
        return sum(
            count
            for (dataset, found, split), count in counts.items()
            if (dataset, found) == (source.key, label)
            and (source.test_apart and split == "test") == test
        )

    return TableRow(
        dataset=source.key,
        title=source.title,
        side=source.side,
        benign=images(Label.BENIGN, test=False),
        malignant=images(Label.MALIGNANT, test=False),
        test=sum(images(label, test=True) for label in Label),
        published=published,
    )


@dataclass(frozen=True)
class FacetCounts:
    """Images by the values of a facet and by label; `others` sums what is beyond the most."""

    facet: str
    values: tuple[tuple[str, dict[Label, int]], ...]
    others: dict[Label, int]

    @property
    def total(self) -> int:
        """All images."""
        return sum(sum(counts.values()) for _, counts in (*self.values, ("", self.others)))


def facet_counts(
    db: Database, facet: str, criteria: CorpusFilter | None = None, *, most: int = 20
) -> FacetCounts:
    """Counts by one of FACETS, in words; ages in their order, all else by size."""
    by_value: dict[Any, dict[Label, int]] = {}
    for values, count in count_by(db, facet, "label", criteria=criteria).items():
        by_value.setdefault(values[0], {})[values[-1]] = count
    ordered = sorted(by_value, key=lambda value: -sum(by_value[value].values()))
    shown, rest = ordered[:most], ordered[most:]
    if facet == "decade":
        shown.sort()
    others = {label: sum(by_value[value].get(label, 0) for value in rest) for label in Label}
    named = tuple((value_words(facet, value), by_value[value]) for value in shown)
    return FacetCounts(facet, named, others)
