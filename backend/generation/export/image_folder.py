"""The image folder of the `datasets` library, with its rows as JSON lines or as CSV.

Layout: https://huggingface.co/docs/datasets/image_dataset. Most trainers read it.
"""

from collections.abc import Iterable
from pathlib import Path

from backend.exports.rows import METADATA, METADATA_CSV, csv_line, json_bytes
from backend.files import new_file, write_file
from backend.generation.export.records import ExportRecord


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
