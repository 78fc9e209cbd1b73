"""The key that a server wants: read where it is needed, never part of a job, a row or a log."""

import os
import re
import stat
from pathlib import Path

from backend.captioning.errors import CaptioningError
from backend.captioning.task import Server

_KEY = re.compile(r"[!-~]{1,1024}")


def read_key(server: Server) -> str | None:
    """The key from the variable or the file that a task names; None where it names none.

    Raises:
        CaptioningError: it is not there, others may read the file, or it can be no key.
    """
    if server.key_variable is not None:
        key = os.environ.get(server.key_variable, "").strip()
        if not key:
            raise CaptioningError(
                f"The variable {server.key_variable} is not set where the job runs: set it before "
                "the studio starts, or keep the key in a file and give that with --key-file."
            )
        return _checked(key, f"variable {server.key_variable}")
    return None if server.key_file is None else _from_file(server.key_file)


def _from_file(file: Path) -> str:
    try:
        mode = file.stat().st_mode
        if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise CaptioningError(
                f"Others may read the key file {file.name}: run `chmod 600` on it first."
            )
        key = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CaptioningError(
            f"The key file {file.name} cannot be read: check its path and that it is a text file."
        ) from error
    return _checked(key, f"key file {file.name}")


def _checked(key: str, where: str) -> str:
    if not _KEY.fullmatch(key):
        raise CaptioningError(f"The {where} holds no key: it has to be one word on one line.")
    return key
