"""Parquet with the bytes of each PNG in the row, as the `datasets` library reads images."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from backend.files import new_file
from backend.generation.export.records import ExportRecord, portions
from backend.generation.provenance import TRAINED_ALGORITHMIC_MEDIA

if TYPE_CHECKING:
    import pyarrow as pa

FILE_BYTES = 512 * 2**20
ROW_GROUP_BYTES = 32 * 2**20
"""What is held in memory at once, roughly."""
TYPES: Mapping[str, str] = {
    "synthetic": "bool",
    "skin_tone": "int64",
    "measured_skin_tone": "int64",
    "diameter_mm": "float64",
    "seed": "int64",
    "steps": "int64",
    "guidance_scale": "float64",
    "width": "int64",
    "height": "int64",
}
LISTS = ("colours", "measured_colours", "loras")
FEATURES = {"info": {"features": {"image": {"_type": "Image"}}}}
"""Tells `datasets` that the column is an image; the other columns it reads from the schema."""


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
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    for number, portion in enumerate(portions(records, file_bytes)):
        path = folder / f"synthetic-{number:05d}.parquet"
        with new_file(path) as stream:
            writer: ParquetWriter | None = None
            for group in portions(portion, row_group_bytes):
                rows = [_row(record) for record in group]
                if writer is None:
                    schema = _schema(list(rows[0]))
                    writer = ParquetWriter(stream, schema, compression="zstd")
                writer.write_table(pa.Table.from_pylist(rows, schema=writer.schema))
            if writer is not None:
                writer.close()


def _row(record: ExportRecord) -> dict[str, object]:
    row = record.row(record.image.path.name)
    return {"image": {"bytes": record.png, "path": row["file_name"]}, **row}


def _schema(names: list[str]) -> "pa.Schema":
    import pyarrow as pa

    def type_of(name: str) -> pa.DataType:
        if name == "image":
            return pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        if name in LISTS:
            return pa.list_(pa.string())
        return pa.type_for_alias(TYPES.get(name, "string"))

    metadata = {
        "synthetic": "true",
        "digital_source_type": TRAINED_ALGORITHMIC_MEDIA,
        "notice": "Synthetic. Not for diagnosis.",
        "huggingface": json.dumps(FEATURES),
    }
    return pa.schema([(name, type_of(name)) for name in names], metadata=metadata)
