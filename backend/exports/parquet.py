"""Parquet with the bytes of each image in its row, as the `datasets` library reads images."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backend.exports.rows import Row, portions
from backend.files import new_file

if TYPE_CHECKING:
    import pyarrow as pa

FILE_BYTES = 512 * 2**20
ROW_GROUP_BYTES = 32 * 2**20
"""What is held in memory at once, roughly."""
FEATURES = {"info": {"features": {"image": {"_type": "Image"}}}}
"""Tells `datasets` that the column is an image; the other columns it reads from the schema."""


@dataclass(frozen=True)
class Columns:
    """The columns beside `image`: Arrow's name of each type, text where none is named.

    `lists` hold several texts a row; `metadata` is said in the schema.
    """

    types: Mapping[str, str]
    metadata: Mapping[str, str]
    lists: Collection[str] = ()


ImageRow = tuple[bytes, Row]
"""The bytes of an image, and its row, which names its file as `file_name`."""


def write_parquet_files(
    folder: Path,
    stem: str,
    rows: Iterable[ImageRow],
    columns: Columns,
    *,
    file_bytes: int = FILE_BYTES,
    row_group_bytes: int = ROW_GROUP_BYTES,
) -> None:
    """`<stem>-00000.parquet` and so on, each of about `file_bytes`.

    Raises:
        FileError: disk full or any other refusal of the file system.
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    for number, portion in enumerate(portions(rows, file_bytes, _size)):
        with new_file(folder / f"{stem}-{number:05d}.parquet") as stream:
            writer: ParquetWriter | None = None
            for group in portions(portion, row_group_bytes, _size):
                cells = [_cells(image, row) for image, row in group]
                if writer is None:
                    schema = _schema(list(cells[0]), columns)
                    writer = ParquetWriter(stream, schema, compression="zstd")
                writer.write_table(pa.Table.from_pylist(cells, schema=writer.schema))
            if writer is not None:
                writer.close()


def _size(row: ImageRow) -> int:
    return len(row[0])


def _cells(image: bytes, row: Row) -> Row:
    return {"image": {"bytes": image, "path": row["file_name"]}, **row}


def _schema(names: list[str], columns: Columns) -> "pa.Schema":
    import pyarrow as pa

    def type_of(name: str) -> pa.DataType:
        if name == "image":
            return pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        if name in columns.lists:
            return pa.list_(pa.string())
        return pa.type_for_alias(columns.types.get(name, "string"))

    metadata = {**columns.metadata, "huggingface": json.dumps(FEATURES)}
    return pa.schema([(name, type_of(name)) for name in names], metadata=metadata)
