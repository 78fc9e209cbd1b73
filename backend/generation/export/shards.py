"""WebDataset shards of generated images."""

from collections.abc import Iterable
from pathlib import Path

from backend.exports.rows import json_bytes
from backend.exports.shards import SHARD_BYTES, Sample, write_tars
from backend.generation.export.records import ExportRecord

NOTICE = "Synthetic images made by DermaFlux Studio. Not for diagnosis."


def write_shards(
    folder: Path, records: Iterable[ExportRecord], *, shard_bytes: int = SHARD_BYTES
) -> None:
    """`synthetic-000000.tar` and so on, each of about `shard_bytes`.

    A sample is `<id>.png` byte for byte, `<id>.json` with the mark, and its caption in `<id>.txt`.

    Raises:
        FileError: disk full or any other refusal of the file system.
    """
    write_tars(folder, "synthetic", map(_sample, records), NOTICE, shard_bytes=shard_bytes)


def _sample(record: ExportRecord) -> Sample:
    name = record.image.id
    return name, {
        "png": record.png,
        "json": json_bytes(record.row(f"{name}.png")),
        "txt": record.image.caption.encode(),
    }
