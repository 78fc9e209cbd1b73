"""Files that are whole or not there: temporary name, fsync, then `os.replace`."""

import contextlib
import errno
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from backend.errors import DermaFluxError

TEMPORARY_SUFFIX = ".partial"
OWNER_ONLY = 0o600


class FileError(DermaFluxError):
    """A file of the workspace, or of an export, could not be written or read."""


def size_words(size: int) -> str:
    """So many bytes in words, in the powers of ten that disks and hubs count in."""
    return f"{size / 1e6:,.0f} MB" if size < 1e9 else f"{size / 1e9:,.1f} GB"


def temporary_name(name: str) -> str:
    """What a file is called until it is complete; no two processes of a cluster use the same."""
    return f"{name}.{socket.gethostname()}-{os.getpid()}{TEMPORARY_SUFFIX}"


def write_file(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write `data` under its final name only once it is complete, making folders on the way.

    `durable` waits until the bytes are on the disk; a preview can do without.

    Raises:
        FileError: disk full, read-only or any other refusal of the file system.
    """

    def fill(temporary: Path) -> None:
        with temporary.open("wb") as stream:
            stream.write(data)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())

    _write_then_rename(path, fill)


def copy_file(source: Path, path: Path) -> None:
    """Copy byte for byte, under its final name only once complete.

    Raises:
        FileError: the source is gone, or the file system refuses the copy.
    """
    if not source.is_file():
        raise FileError(_gone(source))

    def fill(temporary: Path) -> None:
        with source.open("rb") as reader, temporary.open("wb") as writer:
            shutil.copyfileobj(reader, writer)
            writer.flush()
            os.fsync(writer.fileno())

    _write_then_rename(path, fill)


def partial_of(path: Path) -> Path:
    """Where this process writes a file before it gets its own name."""
    return path.with_name(temporary_name(path.name))


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file to be filled piece by piece, on the disk at the end; for folders written aside.

    Raises:
        FileError: it is there already, the disk is full, or any other refusal.
    """
    with explained_files(path), path.open("xb") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())


def read_file(path: Path) -> bytes:
    """The bytes of a file of the workspace.

    Raises:
        FileError: it is gone, or the file system refuses.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise FileError(_gone(path)) from error
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise FileError(f"The file {path.name} cannot be read: {reason}.") from error


def write_private_file(path: Path, text: str) -> None:
    """Write a secret that the owner of the workspace alone can read, in place of the last.

    Raises:
        FileError: the file system refuses.
    """
    new = partial_of(path)
    with explained_files(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        new.replace(path)


def remove_file(path: Path) -> None:
    """Remove a file, if it is there.

    Raises:
        FileError: the file system refuses.
    """
    with explained_files(path):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def explained_files(path: Path) -> Iterator[None]:
    """Turns what the file system refuses inside, while `path` is made or removed, into a sentence.

    Raises:
        FileError: disk full, read-only or any other refusal.
    """
    try:
        yield
    except OSError as error:
        raise FileError(_sentence(error, path)) from error


def _write_then_rename(path: Path, fill: Callable[[Path], None]) -> None:
    temporary = partial_of(path)
    with explained_files(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fill(temporary)
            temporary.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def _gone(path: Path) -> str:
    return f"The file {path.name} is no longer in the workspace."


def _sentence(error: OSError, path: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full: {path.name} was not written. Free some space and try again."
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"The folder {path.parent} cannot be changed: check its permissions."
    reason = error.strerror or "unknown reason"
    return f"The file {path.name} in {path.parent} could not be changed: {reason}."
