"""What an import will do: rows matched to files, labels ruled on, everything else left out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from backend.abc.attributes import Label
from backend.corpus.errors import CorpusError
from backend.corpus.exclusions import LeftOut, Reason
from backend.corpus.facts import ImageFacts
from backend.corpus.labels import rule_on
from backend.corpus.matching import (
    find_tables,
    is_ignored,
    is_image,
    key_of,
    nearest_miss,
    peek_tables,
)
from backend.corpus.places import Item, base_of, scan
from backend.corpus.reading import read_folders, read_tables
from backend.corpus.record import Field, Source


@dataclass(frozen=True, slots=True)
class Planned:
    """An image that will be in the catalogue if its pixels can be read; apart without a label."""

    item: Item
    facts: ImageFacts
    label: Label | None


@dataclass
class Plan:
    """Images to import in the order of their ids, those that the rule drops, what is left out.

    What is dropped is copied too, so that another rule can bring it back.
    """

    base: Path
    images: list[Planned] = field(default_factory=list)
    dropped: list[Planned] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def plan_import(source: Source, root: Path) -> Plan:
    """Match what lies in a folder to what the dataset says of it.

    Raises:
        CorpusError: the folder cannot be read, or holds nothing of this dataset.
    """
    items, refused = scan(root)
    plan = Plan(base_of(root))
    plan.left_out += [LeftOut(one.place, Reason.REFUSED, one.why) for one in refused]
    pictures = [item for item in items if is_image(item) and not is_ignored(source, item)]
    if source.tables:
        _plan_tables(source, plan, items, pictures)
    else:
        _plan_folders(source, plan, pictures)
    if not plan.images and not plan.left_out:
        raise CorpusError(
            f"Nothing of {source.title} lies in {root}. Its layout is: {source.layout}."
        )
    for planned in (plan.images, plan.dropped):
        planned.sort(key=lambda one: one.facts.source_id)
    return plan


def with_columns(source: Source, columns: Mapping[Field, str]) -> Source:
    """The dataset with columns that a person named going before those that are known."""
    if not columns:
        return source
    tables = tuple(
        replace(
            table,
            columns={
                **table.columns,
                **{
                    name: (column, *table.columns.get(name, ())) for name, column in columns.items()
                },
            },
        )
        for table in source.tables
    )
    return replace(source, tables=tables)


def _plan_tables(
    source: Source, plan: Plan, items: Iterable[Item], pictures: Iterable[Item]
) -> None:
    peeks = peek_tables(plan.base, items)
    tables = find_tables(source, peeks, named=True)
    if not any(not table.record.optional for table in tables):
        near = nearest_miss(source, peeks)
        why = f": {near}" if near else ""
        raise CorpusError(
            f"The table of {source.title} is not there{why}. Its layout is: {source.layout}."
        )
    readout = read_tables(source, plan.base, tables)
    plan.left_out += readout.left_out
    files = _by_key(pictures, plan)
    for facts in readout.images:
        item = files.pop(facts.key, None)
        if item is None:
            words = "a row without an image: the file is not in this folder"
            plan.left_out.append(LeftOut(facts.source_id, Reason.NO_IMAGE, words))
        else:
            _take(source, plan, item, facts)
    words = "an image without a row in the tables"
    plan.left_out += [LeftOut(item.place, Reason.NO_ROW, words) for item in files.values()]


def _plan_folders(source: Source, plan: Plan, pictures: Iterable[Item]) -> None:
    seen: dict[str, Item] = {}
    found = set()
    for item, facts in read_folders(source, pictures):
        found.add(item)
        first = seen.setdefault(facts.key, item)
        if first is not item:
            words = f"the same name as {first.place}: that one counts"
            plan.left_out.append(LeftOut(item.place, Reason.DUPLICATE_FILE, words))
            continue
        _take(source, plan, item, facts)
    words = "an image outside the folders of the classes"
    plan.left_out += [
        LeftOut(item.place, Reason.NO_ROW, words) for item in pictures if item not in found
    ]


def _by_key(pictures: Iterable[Item], plan: Plan) -> dict[str, Item]:
    files: dict[str, Item] = {}
    for item in pictures:
        first = files.setdefault(key_of(item.inner.name), item)
        if first is not item:
            words = f"the same name as {first.place}: that one counts"
            plan.left_out.append(LeftOut(item.place, Reason.DUPLICATE_FILE, words))
    return files


def _take(source: Source, plan: Plan, item: Item, facts: ImageFacts) -> None:
    ruling = rule_on(source.rule, facts.diagnosis, facts.target)
    if ruling.label is None:
        plan.left_out.append(LeftOut(item.place, Reason.DROPPED, ruling.why))
        plan.dropped.append(Planned(item, facts, None))
    else:
        plan.images.append(Planned(item, facts, ruling.label))
