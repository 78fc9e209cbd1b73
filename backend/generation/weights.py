"""Safetensors files read without torch: is the file whole, what is in it, which bytes are whose.

Layout: 8 bytes little-endian length of the header, the header in JSON, then the tensors
(https://huggingface.co/docs/safetensors, section "Format").
"""

import hashlib
import json
import math
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.generation.errors import ModelError

MAX_HEADER_BYTES = 100_000_000
"""The limit of the reference reader."""
_BYTES_OF = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1,
    "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip
METADATA_KEY = "__metadata__"
_CHUNK = 2**24


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies: bytes `start` to `stop` of `file`."""

    name: str
    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


def read_tensors(file: Path) -> list[StoredTensor]:
    """The tensors of a safetensors file, after checking that each lies inside it.

    Raises:
        ModelError: missing, truncated, or no safetensors file.
    """
    header, first, size = _read_header(file)
    try:
        tensors = [
            _tensor(file, name, entry, first)
            for name, entry in header.items()
            if name != METADATA_KEY
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(_not_safetensors(file)) from error
    if max((tensor.stop for tensor in tensors), default=first) > size:
        raise ModelError(_truncated(file))
    return tensors


def read_metadata(file: Path) -> dict[str, str]:
    """The texts that the writer of a safetensors file put into its header.

    Raises:
        ModelError: missing, truncated, or no safetensors file.
    """
    entries = _read_header(file)[0].get(METADATA_KEY)
    if not isinstance(entries, dict):
        return {}
    return {str(name): str(text) for name, text in entries.items()}


def hash_tensors(groups: Sequence[tuple[str, Sequence[Path]]]) -> str:
    """SHA-256 over the tensors of all components in name order, as 64 hexadecimal digits.

    Each group is a component's name and its files. A tensor enters with its name, type, shape and
    bytes, so that neither sharding nor the files' metadata change the identity of a model.
    """
    tensors = [
        (f"{component}/{tensor.name}", tensor)
        for component, files in groups
        for file in files
        for tensor in read_tensors(file)
    ]
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors, key=lambda item: item[0]):
        digest.update(f"{name}:{tensor.dtype}:{tensor.shape}:".encode())
        _update(digest, tensor)
    return digest.hexdigest()


def _read_header(file: Path) -> tuple[dict[str, Any], int, int]:
    """The header, where the tensors begin, and how many bytes the file has."""
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if length > MAX_HEADER_BYTES:
                raise ModelError(_not_safetensors(file))
            if size < 8 + length:
                raise ModelError(_truncated(file))
            header = json.loads(stream.read(length))
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise ModelError(f"The weights {_short(file)} cannot be read: {reason}.") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(_not_safetensors(file)) from error
    if not isinstance(header, dict):
        raise ModelError(_not_safetensors(file))
    return header, 8 + length, size


def _update(digest: "hashlib._Hash", tensor: StoredTensor) -> None:
    if tensor.start == tensor.stop:
        return
    with (
        tensor.file.open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view,
    ):
        for start in range(tensor.start, tensor.stop, _CHUNK):
            digest.update(view[start : min(start + _CHUNK, tensor.stop)])


def _tensor(file: Path, name: str, entry: dict[str, list[int]], offset: int) -> StoredTensor:
    dtype, shape = str(entry["dtype"]), tuple(int(side) for side in entry["shape"])
    start, stop = (int(value) for value in entry["data_offsets"])
    width = _BYTES_OF.get(dtype)
    if start < 0 or stop < start or (width and stop - start != math.prod(shape) * width):
        raise ValueError(name)
    return StoredTensor(name, file, dtype, shape, offset + start, offset + stop)


def _short(file: Path) -> str:
    return f"{file.parent.name}/{file.name}"


def _truncated(file: Path) -> str:
    return f"The weights {_short(file)} are truncated: copy or download the file again."


def _not_safetensors(file: Path) -> str:
    return (
        f"The weights {_short(file)} are not in safetensors format, whatever the name says: "
        "get it in safetensors."
    )
