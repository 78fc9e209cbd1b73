"""WebDataset shards: tar files in which the files of one sample share a name.

Format: https://github.com/webdataset/webdataset. A shard is a plain tar, so the standard library
writes it; equal images give equal shards, since no time of day is in them.
"""

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

from backend.files import new_file
from backend.generation.export.records import ExportRecord, json_bytes, portions

SHARD_BYTES = 512 * 2**20
NOTICE = {"comment": "Synthetic images made by DermaFlux Studio. Not for diagnosis."}


def write_shards(
    folder: Path, records: Iterable[ExportRecord], *, shard_bytes: int = SHARD_BYTES
) -> None:
    """`synthetic-000000.tar` and so on, each of about `shard_bytes`.

    A sample is `<id>.png` byte for byte, `<id>.json` with the mark, and its caption in `<id>.txt`.

    Raises:
        FileError: disk full or any other refusal of the file system.
    """
    for number, portion in enumerate(portions(records, shard_bytes)):
        with (
            new_file(folder / f"synthetic-{number:06d}.tar") as stream,
            tarfile.open(
                fileobj=stream, mode="w", format=tarfile.PAX_FORMAT, pax_headers=NOTICE
            ) as shard,
        ):
            for record in portion:
                name = record.image.id
                _add(shard, f"{name}.png", record.png)
                _add(shard, f"{name}.json", json_bytes(record.row(f"{name}.png")))
                _add(shard, f"{name}.txt", record.image.caption.encode())


def _add(shard: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    shard.addfile(member, io.BytesIO(data))
