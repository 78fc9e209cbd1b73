"""Parquet with the bytes of each PNG in the row, as the `datasets` library reads images."""

from collections.abc import Iterable
from pathlib import Path

from backend.exports.parquet import FILE_BYTES, ROW_GROUP_BYTES, Columns, write_parquet_files
from backend.generation.export.records import ExportRecord
from backend.generation.provenance import TRAINED_ALGORITHMIC_MEDIA

COLUMNS = Columns(
    types={
        "synthetic": "bool",
        "skin_tone": "int64",
        "measured_skin_tone": "int64",
        "diameter_mm": "float64",
        "seed": "int64",
        "steps": "int64",
        "guidance_scale": "float64",
        "attribute_guidance": "float64",
        "width": "int64",
        "height": "int64",
    },
    metadata={
        "synthetic": "true",
        "digital_source_type": TRAINED_ALGORITHMIC_MEDIA,
        "notice": "Synthetic. Not for diagnosis.",
    },
    lists=("colours", "measured_colours", "loras"),
)


def write_parquet(
    folder: Path,
    records: Iterable[ExportRecord],
    *,
    file_bytes: int = FILE_BYTES,
    row_group_bytes: int = ROW_GROUP_BYTES,
) -> None:
    """`synthetic-00000.parquet` and so on, each of about `file_bytes`.

    The mark is a column, and in the metadata of the schema.

    Raises:
        FileError: disk full or any other refusal of the file system.
    """
    rows = ((record.png, record.row(record.image.path.name)) for record in records)
    write_parquet_files(
        folder,
        "synthetic",
        rows,
        COLUMNS,
        file_bytes=file_bytes,
        row_group_bytes=row_group_bytes,
    )
