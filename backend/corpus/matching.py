"""Which of the files of a download are tables of a dataset, told by header, path or attribution."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from backend.corpus.errors import CorpusError
from backend.corpus.places import Item, open_item
from backend.corpus.record import Source, TableRecord
from backend.corpus.tables import SUFFIXES, open_table, plain_name

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".dcm")
PEEK_ROWS = 20
ATTRIBUTION = "attribution"


@dataclass(frozen=True)
class Peek:
    """The header of a file that is a table, and its first rows."""

    item: Item
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class FoundTable:
    """A file that is a table of a dataset."""

    item: Item
    record: TableRecord


def is_image(item: Item) -> bool:
    """Whether the name is that of a picture."""
    return item.inner.suffix.casefold() in IMAGE_SUFFIXES


def is_ignored(source: Source, item: Item) -> bool:
    """Whether a picture is none of a lesion, such as a mask."""
    path = item.inner.as_posix().casefold()
    return any(fnmatch(path, pattern) for pattern in source.ignored)


def key_of(name: str) -> str:
    """What a file and a cell of a table have in common: no folder, no suffix, no case."""
    path = PurePosixPath(name.replace("\\", "/"))
    has_suffix = path.suffix.casefold() in IMAGE_SUFFIXES
    return (path.stem if has_suffix else path.name).casefold()


def peek_tables(base: Path, items: Iterable[Item]) -> list[Peek]:
    """The beginning of every file that can be read as a table."""
    peeks = []
    for item in items:
        if item.inner.suffix.casefold() not in (*SUFFIXES, ""):
            continue
        try:
            with open_item(base, item) as stream:
                table = open_table(stream, item.place)
                first = zip(range(PEEK_ROWS), table.rows, strict=False)
                rows = tuple(tuple(cells) for _, (_, cells) in first)
        except CorpusError:
            continue
        peeks.append(Peek(item, table.header, rows))
    return peeks


def find_tables(source: Source, peeks: Iterable[Peek], *, named: bool) -> list[FoundTable]:
    """The tables of a dataset. A person who `named` it needs no proof but the required columns.

    Tables that are told apart by their header go before others that would do.
    """
    peeks = list(peeks)
    told = [_told(source, peek) for peek in peeks]
    if named and not any(record and not record.optional for record in told):
        told = [record or _usable(source, peek) for record, peek in zip(told, peeks, strict=True)]
    return [
        FoundTable(peek.item, record)
        for peek, record in zip(peeks, told, strict=True)
        if record is not None
    ]


def nearest_miss(source: Source, peeks: Iterable[Peek]) -> str:
    """Which column keeps a file from being a table of a dataset; empty where none comes near."""
    misses = [
        (len(lacks), peek.item.place, lacks)
        for peek in peeks
        for record in source.tables
        if not record.optional
        and (lacks := [name for name in record.required if not _has(peek, (name,))])
        and len(lacks) < len(record.required)
    ]
    if not misses:
        return ""
    _, place, lacks = min(misses)
    return f"{place} has no column {' and no '.join(lacks)}"


def columns_under(header: Sequence[str], names: Sequence[str]) -> list[int]:
    """The columns of a table that stand under one of these names, in the order of the names."""
    places = {plain_name(cell): place for place, cell in reversed(list(enumerate(header)))}
    found = (places.get(plain_name(name)) for name in names)
    return list(dict.fromkeys(place for place in found if place is not None))


def _told(source: Source, peek: Peek) -> TableRecord | None:
    path = f"/{peek.item.inner.as_posix()}".casefold()
    for record in source.tables:
        if record.telling:
            if _has(peek, record.telling):
                return record
        elif _has(peek, record.required) and (
            any(fnmatch(path, pattern) for pattern in record.paths) or _is_attributed(record, peek)
        ):
            return record
    return None


def _usable(source: Source, peek: Peek) -> TableRecord | None:
    for record in source.tables:
        names = [name for names in record.columns.values() for name in names]
        if _has(peek, record.required) and columns_under(peek.header, names):
            return record
    return None


def _has(peek: Peek, names: Sequence[str]) -> bool:
    return {plain_name(name) for name in names} <= {plain_name(cell) for cell in peek.header}


def _is_attributed(record: TableRecord, peek: Peek) -> bool:
    places = columns_under(peek.header, (ATTRIBUTION,))
    wanted = record.attribution.casefold()
    return bool(wanted and places) and any(wanted in row[places[0]].casefold() for row in peek.rows)
