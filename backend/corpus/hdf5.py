"""Pictures kept as byte strings in an HDF5 file, as ISIC 2024 has them; nothing else is read."""

from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

from backend.corpus.errors import CorpusError
from backend.images import MAX_FILE_BYTES

SUFFIXES = (".hdf5", ".h5")
MAX_OPEN = 2


def is_hdf5(path: PurePath) -> bool:
    """Whether the name is that of an HDF5 file."""
    return path.suffix.casefold() in SUFFIXES


def list_members(file: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """The names of its entries, and those that are not opened, each with the reason.

    A link would lead out of the file. A file that cannot be read at all is named by an empty name.
    """
    import h5py

    members: list[str] = []
    refused: list[tuple[str, str]] = []
    try:
        with h5py.File(file, "r") as opened:
            for name in sorted(opened):
                if isinstance(opened.get(name, getlink=True), h5py.HardLink):
                    members.append(name)
                else:
                    refused.append((name, "a link in an HDF5 file"))
    except (OSError, RuntimeError, KeyError):
        return [], [("", "this HDF5 file is damaged: get a fresh copy")]
    return members, refused


def read_member(file: Path, name: str) -> bytes:
    """The bytes of an entry.

    Raises:
        CorpusError: it is damaged, too large, or no byte string.
    """
    where = f"{file.name}!/{name}"
    try:
        entry = _opened(file)[name]
        if not hasattr(entry, "nbytes") or entry.external or entry.is_virtual:
            raise CorpusError(f"{where} holds no picture.")
        if entry.nbytes > MAX_FILE_BYTES:
            raise CorpusError(f"{where} is too large.")
        value = entry[()]
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise CorpusError(f"{where} is damaged: get a fresh copy.") from error
    if isinstance(value, bytes):
        return value
    if getattr(getattr(value, "dtype", None), "kind", "") in ("u", "S", "V"):
        return bytes(value.tobytes())
    raise CorpusError(f"{where} holds no picture.")


@lru_cache(maxsize=MAX_OPEN)
def _opened(file: Path) -> Any:
    """Kept open: opening the file for each of 400,000 pictures takes longer than reading them."""
    import h5py

    return h5py.File(file, "r")
