"""WebDataset shards: tar files in which the files of one sample share a name.

Format: https://github.com/webdataset/webdataset. A shard is a plain tar, so the standard library
writes it; equal images give equal shards, since no time of day is in them.
"""

import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from backend.exports.rows import portions
from backend.files import new_file

SHARD_BYTES = 512 * 2**20
Sample = tuple[str, Mapping[str, bytes]]
"""The name of a sample, and its files by suffix."""


def write_tars(
    folder: Path,
    stem: str,
    samples: Iterable[Sample],
    notice: str,
    *,
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """`<stem>-000000.tar` and so on, each of about `shard_bytes`, with a notice in its header.

    Raises:
        FileError: disk full or any other refusal of the file system.
    """
    for number, portion in enumerate(portions(samples, shard_bytes, _size)):
        with (
            new_file(folder / f"{stem}-{number:06d}.tar") as stream,
            tarfile.open(
                fileobj=stream,
                mode="w",
                format=tarfile.PAX_FORMAT,
                pax_headers={"comment": notice},
            ) as shard,
        ):
            for name, files in portion:
                for suffix, data in files.items():
                    _add(shard, f"{name}.{suffix}", data)


def _size(sample: Sample) -> int:
    return sum(map(len, sample[1].values()))


def _add(shard: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    shard.addfile(member, io.BytesIO(data))
