"""The sentences of a caption with their places."""

import re

_END = re.compile(
    r"""(?<![.\s][A-Za-z])(?<!\be\.g)(?<!\bi\.e)(?<!\bca)(?<!\bapprox)[.!?]+["')\]]*(?=\s|$)|\n+"""
)

OPENINGS = (
    re.compile(
        r"\s*This (?:photo|picture|image) (?:depicts|shows|displays) an? "
        r"(?:benign|malignant) (?:skin )?(?:lesion|mole)\.\s*"
        r"(?:Here(?:'|\u2019)s a description of the (?:mole|lesion):\s*)?",
        re.IGNORECASE,
    ),
    re.compile(
        r"\s*This is an image (?:containing|of) an? (?:benign|malignant) (?:skin )?lesion\.\s*",
        re.IGNORECASE,
    ),
)
"""The openings that the paper puts before a description on purpose; they name the label."""


def opening_end(text: str) -> int:
    """Where the description begins, after an opening that names the label by design."""
    ends = [found.end() for opening in OPENINGS if (found := opening.match(text))]
    return max(ends, default=0)


def sentence_spans(text: str, start: int = 0) -> list[tuple[int, int]]:
    """The places of the sentences from `start` on, without the blanks around them."""
    spans = []
    for found in _END.finditer(text, start):
        spans.append((start, found.end()))
        start = found.end()
    spans.append((start, len(text)))
    return [trimmed for first, end in spans if (trimmed := _trimmed(text, first, end))]


def _trimmed(text: str, first: int, end: int) -> tuple[int, int] | None:
    body = text[first:end]
    left = first + len(body) - len(body.lstrip())
    return (left, left + len(body.strip())) if body.strip() else None
