"""Rows about images, as lines of JSON or CSV, and rows with their bytes taken by portions."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")
Row = dict[str, object]

METADATA = "metadata.jsonl"
METADATA_CSV = "metadata.csv"
CAPTION_KEYS = ("text", "caption")
"""Under which a row of metadata may have its caption: the first that it has counts."""
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
"""Spreadsheets run a cell that starts with one of these (OWASP, CSV Injection)."""


def caption_in(row: Mapping[str, object]) -> str | None:
    """The caption of a row of metadata; None where it has none."""
    said = (row.get(key) for key in CAPTION_KEYS)
    return next((text for text in said if isinstance(text, str)), None)


def json_bytes(row: Row) -> bytes:
    """The row as one line of JSON."""
    return json.dumps(row, ensure_ascii=False).encode()


def csv_line(values: Sequence[object]) -> bytes:
    """One line of CSV in which no cell is a formula."""
    line = io.StringIO(newline="")
    csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(map(csv_cell, values))
    return line.getvalue().encode()


def csv_cell(value: object) -> object:
    """A cell that is no formula: several values joined by spaces; numbers stay as they are."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return value
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"'{text}" if text.lstrip(" \n\0").startswith(FORMULA_SIGNS) else text


def portions(items: Iterable[T], size: int, bytes_of: Callable[[T], int]) -> Iterator[Iterator[T]]:
    """Consecutive items, in iterators that end once they have given `size` bytes.

    Each iterator must be exhausted before the next is asked for.
    """
    rest = iter(items)
    for first in rest:
        yield _portion(first, rest, size, bytes_of)


def _portion(first: T, rest: Iterator[T], size: int, bytes_of: Callable[[T], int]) -> Iterator[T]:
    yield first
    given = bytes_of(first)
    while given < size:
        item = next(rest, None)
        if item is None:
            return
        yield item
        given += bytes_of(item)
