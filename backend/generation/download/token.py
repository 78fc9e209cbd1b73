"""The token for gated models: asked for once, kept in a file that its owner alone can read.

It is never part of a job, a row, a log line or an export.
"""

import re

from backend.files import remove_file, write_private_file
from backend.generation.errors import TokenError
from backend.settings import Settings

_TOKEN = re.compile(r"[\w.-]{8,256}", re.ASCII)


def keep_token(settings: Settings, token: str) -> None:
    """Write the token where the worker finds it, in place of the last.

    Raises:
        TokenError: it cannot be a token.
        FileError: the file system refuses.
    """
    token = token.strip()
    if not _TOKEN.fullmatch(token):
        raise TokenError(
            "That is no token of the hub: paste it whole, letters, digits and underscores alone."
        )
    write_private_file(settings.hub_token_file, token)


def read_token(settings: Settings) -> str | None:
    """The token that was given, None before."""
    try:
        token = settings.hub_token_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return token if _TOKEN.fullmatch(token) else None


def forget_token(settings: Settings) -> None:
    """Remove the token, if there is one.

    Raises:
        FileError: the file system refuses.
    """
    remove_file(settings.hub_token_file)
