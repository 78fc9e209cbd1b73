"""Whether the label rules give the published counts, from metadata alone."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from backend.abc.attributes import Label
from backend.corpus.errors import CorpusError
from backend.corpus.labels import rule_on
from backend.corpus.matching import FoundTable, find_tables, peek_tables
from backend.corpus.places import base_of, scan
from backend.corpus.reading import Readout, read_tables
from backend.corpus.record import Counts, Source
from backend.corpus.sources import SOURCES

NAMED = tuple(source for source in SOURCES.values() if source.tables and source.key != "table")


class Outcome(StrEnum):
    """What came of a check."""

    EXACT = "exact"
    PARTIAL = "partial"  # fewer rows than were published: the rule works on them, no more is shown
    UNPUBLISHED = "unpublished"
    DIFFERENT = "different"


@dataclass(frozen=True)
class RuleCheck:
    """The counts that a rule gives for tables that lie together in `place`.

    `dropped` counts rows without a label by the reason.
    """

    source: str
    place: str
    tables: tuple[str, ...]
    rows: int
    benign: int
    malignant: int
    dropped: dict[str, int]
    bad_rows: int
    published: Counts | None
    outcome: Outcome


def check_rules(root: Path) -> list[RuleCheck]:
    """Check every dataset whose tables lie below a folder; nothing has to be named.

    Raises:
        CorpusError: there is no such folder, it holds no such table, or one is damaged.
    """
    items, _ = scan(root)
    base = base_of(root)
    peeks = peek_tables(base, items)
    checks = []
    for source in NAMED:
        together: dict[str, list[FoundTable]] = defaultdict(list)
        for found in find_tables(source, peeks, named=False):
            together[found.item.inner.parent.as_posix()].append(found)
        for place, tables in sorted(together.items()):
            if not all(table.record.optional for table in tables):
                readout = read_tables(source, base, tables)
                checks.append(_check(source, place, tables, readout))
    if not checks:
        raise CorpusError(
            f"No table of a known dataset lies in {root}: point at the folder with its metadata."
        )
    return checks


def _check(source: Source, place: str, tables: list[FoundTable], readout: Readout) -> RuleCheck:
    labels: Counter[Label] = Counter()
    dropped: Counter[str] = Counter()
    for image in readout.images:
        if source.test_apart and image.split == "test":
            continue
        ruling = rule_on(source.rule, image.diagnosis, image.target)
        if ruling.label is None:
            dropped[ruling.why] += 1
        else:
            labels[ruling.label] += 1
    benign, malignant = labels[Label.BENIGN], labels[Label.MALIGNANT]
    return RuleCheck(
        source=source.key,
        place=place,
        tables=tuple(table.item.place for table in tables),
        rows=len(readout.images),
        benign=benign,
        malignant=malignant,
        dropped=dict(dropped),
        bad_rows=len(readout.left_out),
        published=source.published,
        outcome=_outcome(source.published, benign, malignant, len(readout.images)),
    )


def _outcome(published: Counts | None, benign: int, malignant: int, rows: int) -> Outcome:
    if published is None:
        return Outcome.UNPUBLISHED
    if (benign, malignant) == (published.benign, published.malignant):
        return Outcome.EXACT
    return Outcome.PARTIAL if rows < published.total else Outcome.DIFFERENT
