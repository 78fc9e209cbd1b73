"""Caption tables as files: CSV that no spreadsheet takes for formulas, or JSON lines."""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from backend.abc.attributes import LesionAttributes
from backend.files import write_file
from backend.generation.design.design import MAX_ROWS, DesignError, problem_sentences
from backend.generation.design.levels import ATTRIBUTES
from backend.generation.design.table import CaptionTable, DesignRow

COLUMNS = ("seed", "caption", "template", "style", *ATTRIBUTES)
REQUIRED = ("seed", "caption")
MAX_BYTES = 128 * 2**20
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
"""How a cell begins that a spreadsheet computes (OWASP, CSV injection), and our own escape."""


def table_csv(table: CaptionTable) -> str:
    """The table with a header; colours are joined by "+", a cell like a formula begins with '."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in table.rows:
        cells = {**_plain(row), **_plain_attributes(row.attributes)}
        writer.writerow([_safe(cells[name]) for name in COLUMNS])
    return buffer.getvalue()


def table_jsonl(table: CaptionTable) -> str:
    """The table with one JSON object a line."""
    return "".join(
        json.dumps(row.model_dump(mode="json"), ensure_ascii=False) + "\n" for row in table.rows
    )


def table_hash(table: CaptionTable) -> str:
    """SHA-256 over the JSON lines: the identity of a table."""
    return hashlib.sha256(table_jsonl(table).encode()).hexdigest()


def save_table(path: Path, table: CaptionTable) -> None:
    """Write the table as its name says, `.csv` or `.jsonl`, whole or not at all.

    Raises:
        DesignError: the name says neither.
        FileError: disk full or any other refusal of the file system.
    """
    writers: Mapping[str, Callable[[CaptionTable], str]] = {
        ".csv": table_csv,
        ".jsonl": table_jsonl,
    }
    write_file(path, writers[_kind(path)](table).encode())


def read_table(path: Path) -> CaptionTable:
    """A table from a file that `save_table` wrote, or a person did.

    Raises:
        DesignError: it cannot be read; names the line and the field that is wrong.
    """
    kind = _kind(path)
    text = _text(path)
    records = _csv_records(text) if kind == ".csv" else _json_records(text)
    rows: list[DesignRow] = []
    try:
        for line, record in records:
            if len(rows) == MAX_ROWS:
                raise DesignError(f"{path.name} has more than {MAX_ROWS:,} rows: split the table.")
            rows.append(_row(record, line))
    except DesignError as error:
        raise DesignError(f"{path.name}: {error}") from error
    if not rows:
        raise DesignError(f"{path.name} has no rows: write the table again.")
    return CaptionTable(tuple(rows))


def _kind(path: Path) -> str:
    kind = path.suffix.lower()
    if kind not in (".csv", ".jsonl"):
        raise DesignError(f"A caption table is a .csv or a .jsonl file, not {path.name}.")
    return kind


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DesignError(f"{path.name} is larger than {MAX_BYTES // 2**20} MB: split it.")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise DesignError(f"{path.name} cannot be opened: {reason}.") from error
    except UnicodeDecodeError as error:
        raise DesignError(f"{path.name} is not text in UTF-8: save it as UTF-8.") from error


def _csv_records(text: str) -> Iterator[tuple[int, dict[str, object]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        _check_header(list(reader.fieldnames or ()))
        for cells in reader:
            line = reader.line_num
            if None in cells or None in cells.values():
                raise DesignError(f"line {line} has another number of cells than the header.")
            yield line, _from_cells({name: _unsafe(cell) for name, cell in cells.items()}, line)
    except csv.Error as error:
        raise DesignError(f"line {reader.line_num} is no valid CSV ({error}).") from error


def _check_header(header: list[str]) -> None:
    for name in REQUIRED:
        if name not in header:
            raise DesignError(f"the header has no column {name}: it needs {', '.join(REQUIRED)}.")
    for name in header:
        if name not in COLUMNS:
            raise DesignError(f"the column {name!r} is unknown: use {', '.join(COLUMNS)}.")
        if header.count(name) > 1:
            raise DesignError(f"the column {name} is there twice: keep one.")


def _from_cells(cells: Mapping[str, str], line: int) -> dict[str, object]:
    attributes: dict[str, object] = {}
    for name in ATTRIBUTES:
        cell = cells.get(name, "").strip()
        if name == "colours":
            attributes[name] = [part.strip() for part in cell.split("+")] if cell else []
        elif cell:
            attributes[name] = _number(cell, name, line) if name in _NUMBERS else cell
    return {
        "seed": _number(cells["seed"].strip(), "seed", line),
        "caption": cells["caption"],
        "template": cells.get("template") or None,
        "style": cells.get("style") or None,
        "attributes": attributes,
    }


_NUMBERS: Mapping[str, Callable[[str], float]] = {
    "seed": int,
    "skin_tone": int,
    "diameter_mm": float,
}


def _number(cell: str, name: str, line: int) -> float:
    try:
        return _NUMBERS[name](cell)
    except ValueError as error:
        raise DesignError(f"line {line}: {cell!r} is no number for the {name}.") from error


def _json_records(text: str) -> Iterator[tuple[int, dict[str, object]]]:
    for line, words in enumerate(text.split("\n"), 1):
        if not words.strip():
            continue
        try:
            record = json.loads(words)
        except (ValueError, RecursionError) as error:
            raise DesignError(f"line {line} is no valid JSON.") from error
        if not isinstance(record, dict):
            raise DesignError(f"line {line} is no JSON object.")
        yield line, record


def _row(record: Mapping[str, object], line: int) -> DesignRow:
    try:
        return DesignRow.model_validate(record)
    except ValidationError as error:
        raise DesignError(f"line {line}: {problem_sentences(error, 'row')}") from error


def _plain(row: DesignRow) -> dict[str, str]:
    return {
        "seed": str(row.seed),
        "caption": row.caption,
        "template": row.template or "",
        "style": row.style or "",
    }


def _plain_attributes(attributes: LesionAttributes) -> dict[str, str]:
    values = attributes.model_dump(mode="json")
    return {
        name: "+".join(value) if isinstance(value, list) else "" if value is None else str(value)
        for name, value in values.items()
    }


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _unsafe(cell: str) -> str:
    return cell.removeprefix("'")
