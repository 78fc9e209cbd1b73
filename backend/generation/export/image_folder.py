"""The image folder of the `datasets` library, with its rows as JSON lines or as CSV.

Layout: https://huggingface.co/docs/datasets/image_dataset. Most trainers read it.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from backend.files import new_file, write_file
from backend.generation.export.records import METADATA, ExportRecord, json_bytes

METADATA_CSV = "metadata.csv"
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
"""Spreadsheets run a cell that starts with one of these (OWASP, CSV Injection)."""


def write_image_folder(folder: Path, records: Iterable[ExportRecord]) -> None:
    """`<id>.png` byte for byte beside `metadata.jsonl`.

    Raises:
        FileError: disk full or any other refusal of the file system.
    """
    with new_file(folder / METADATA) as lines:
        for record in records:
            file = folder / record.image.path.name
            write_file(file, record.png)
            lines.write(json_bytes(record.row(file.name)) + b"\n")


def write_csv_folder(folder: Path, records: Iterable[ExportRecord]) -> None:
    """`<id>.png` byte for byte beside `metadata.csv`.

    Raises:
        FileError: disk full or any other refusal of the file system.
    """
    with new_file(folder / METADATA_CSV) as lines:
        for position, record in enumerate(records):
            file = folder / record.image.path.name
            write_file(file, record.png)
            row = record.row(file.name)
            if position == 0:
                lines.write(csv_line(list(row)))
            lines.write(csv_line(list(row.values())))


def csv_line(values: Sequence[object]) -> bytes:
    """One line of CSV in which no cell is a formula."""
    line = io.StringIO(newline="")
    csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(map(_cell, values))
    return line.getvalue().encode()


def _cell(value: object) -> object:
    """Several values are joined by spaces; numbers stay as they are."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return value
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"'{text}" if text.lstrip(" \n\0").startswith(FORMULA_SIGNS) else text
