"""What a person typed, made fit to be stored, parsed and encoded."""

import re
import unicodedata

from backend.errors import DermaFluxError

MAX_CHARACTERS = 2_000


class CaptionError(DermaFluxError):
    """A caption cannot be written or used as it stands."""


def clean_caption(text: str) -> str:
    """The caption in NFC, free of control characters, each run of white space one blank.

    Any script is accepted: where it holds no word we know, the parser reads nothing from it.

    Raises:
        CaptionError: the caption is empty, or longer than `MAX_CHARACTERS` once cleaned.
    """
    visible = "".join(_printable(character) for character in text)
    cleaned = re.sub(r"\s+", " ", unicodedata.normalize("NFC", visible)).strip()
    if not cleaned:
        raise CaptionError("The caption is empty: describe the lesion, or choose its attributes.")
    if len(cleaned) > MAX_CHARACTERS:
        raise CaptionError(
            f"The caption has {len(cleaned):,} characters, the most allowed is "
            f"{MAX_CHARACTERS:,}: shorten the caption."
        )
    return cleaned


def _printable(character: str) -> str:
    """Line breaks and tabs become blanks; other control and lone surrogate characters go."""
    category = unicodedata.category(character)
    if category in ("Zl", "Zp") or character in "\n\r\t\v\f\x85":
        return " "
    return "" if category in ("Cc", "Cs") else character
