"""Tables of any origin, read row by row: delimiter, byte order mark and encoding are found out."""

import codecs
import contextlib
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from backend.corpus.errors import CorpusError

SUFFIXES = (".csv", ".tsv", ".tab", ".txt", ".parquet")
DELIMITERS = (",", ";", "\t", "|")
DOUBLE_BAR = "||"
PEEK_BYTES = 65_536
MAX_CELL = 1 << 20
"""Signs in a cell; a longer one is a quote that was never closed."""


@dataclass(frozen=True)
class Table:
    """The header of a table and its rows, each as wide as the header, with its line number."""

    name: str
    header: tuple[str, ...]
    rows: Iterator[tuple[int, list[str]]]


def plain_name(column: str) -> str:
    """A header cell without case, spaces and signs: "Image Name" and "image_name" are one."""
    return "".join(sign for sign in column.casefold() if sign.isalnum())


def open_table(stream: BinaryIO, name: str) -> Table:
    """The table in an open, seekable file; rows are read as they are asked for.

    Raises:
        CorpusError: it is empty, no table, or damaged; also while rows are read.
    """
    if name.casefold().endswith(".parquet"):
        return _open_parquet(stream, name)
    start = stream.read(PEEK_BYTES)
    stream.seek(0)
    text = io.TextIOWrapper(stream, encoding_of(start), errors="replace", newline="")
    delimiter = delimiter_of(start.decode(encoding_of(start), errors="replace"))
    lines = _cells(text, delimiter, name)
    header = next((cells for _, cells in lines if any(cells)), None)
    if header is None:
        raise CorpusError(f"The table {name} is empty: get a fresh copy.")
    if b"\0" in start and not start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise CorpusError(f"The file {name} is no table of text: save it as CSV.")
    return Table(name, tuple(header), _even(lines, len(header)))


def encoding_of(start: bytes) -> str:
    """Of a text that starts with these bytes."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start, final=len(start) < PEEK_BYTES)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def delimiter_of(start: str) -> str:
    """Of the table whose text starts so: the sign of DELIMITERS that its header has most of."""
    header = next((line for line in start.splitlines() if line.strip()), "")
    if header.lstrip().startswith(DOUBLE_BAR):
        return DOUBLE_BAR
    return max(DELIMITERS, key=header.count)


def _cells(text: io.TextIOWrapper, delimiter: str, name: str) -> Iterator[tuple[int, list[str]]]:
    try:
        if delimiter == DOUBLE_BAR:
            yield from _barred(text)
        else:
            yield from _separated(text, delimiter, name)
    finally:
        with contextlib.suppress(ValueError):  # the file was closed before its rows were read
            text.detach()


def _barred(text: io.TextIOWrapper) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(text, 1):
        inside = line.strip().removeprefix(DOUBLE_BAR).removesuffix(DOUBLE_BAR)
        yield number, [cell.strip() for cell in inside.split(DOUBLE_BAR)]


def _separated(
    text: io.TextIOWrapper, delimiter: str, name: str
) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(MAX_CELL)
    reader = csv.reader(text, delimiter=delimiter)
    try:
        for cells in reader:
            yield reader.line_num, [cell.replace("\0", "").strip() for cell in cells]
    except csv.Error as error:
        raise CorpusError(
            f"The table {name} is damaged at line {reader.line_num} ({error}): get a fresh copy."
        ) from error


def _even(lines: Iterator[tuple[int, list[str]]], width: int) -> Iterator[tuple[int, list[str]]]:
    for number, cells in lines:
        if any(cells):
            yield number, (cells + [""] * (width - len(cells)))[:width]


def _open_parquet(stream: BinaryIO, name: str) -> Table:
    import pyarrow as pa
    from pyarrow import parquet

    with _readable_parquet(name):
        file = parquet.ParquetFile(stream)
        plain = [field.name for field in file.schema_arrow if not pa.types.is_nested(field.type)]
    return Table(name, tuple(plain), _parquet_rows(file, plain, name))


@contextlib.contextmanager
def _readable_parquet(name: str) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        raise CorpusError(f"The table {name} is no Parquet file that can be read.") from error


def _parquet_rows(file: Any, columns: Sequence[str], name: str) -> Iterator[tuple[int, list[str]]]:
    with _readable_parquet(name):
        yield from _numbered(file, columns)


def _numbered(file: Any, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    number = 1
    for batch in file.iter_batches(columns=list(columns)):
        for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            number += 1
            yield number, ["" if value is None else str(value).strip() for value in values]
