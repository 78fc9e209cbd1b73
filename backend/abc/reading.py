"""What was read from a text, and which words said it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from backend.abc.attributes import LesionAttributes

FRAME = "frame"
_LETTERS = {
    "asymmetry": "A",
    "border": "B",
    "edge": "B",
    "colours": "C",
    "pattern": "C",
}


@dataclass(frozen=True)
class Evidence:
    """The characters `text[start:end]` say `value` of `field`, or deny it where `negated`.

    A denial that settles the value is evidence of what it amounts to: "no asymmetry" says
    symmetric. `negated` marks values that the text rules out: "no blue", "not a melanoma".
    """

    start: int
    end: int
    field: str
    value: str
    negated: bool = False


@dataclass(frozen=True)
class Reading:
    """The attributes of a text, the words they come from in order, and the values it denies."""

    attributes: LesionAttributes
    evidence: tuple[Evidence, ...] = ()
    denied: Mapping[str, frozenset[str]] = field(default_factory=dict)


def highlight_spans(text: str, reading: Reading) -> list[tuple[str, str | None]]:
    """The text in consecutive pieces, tagged "A", "B", "C", "frame" or, where unread, None.

    The pieces join to the text. `reading` must be the reading of this text.
    """
    return list(_pieces(text, reading))


def _pieces(text: str, reading: Reading) -> Iterator[tuple[str, str | None]]:
    end = 0
    for said in sorted(reading.evidence, key=lambda evidence: evidence.start):
        if said.start < end:
            continue
        if said.start > end:
            yield text[end : said.start], None
        yield text[said.start : said.end], _LETTERS.get(said.field, FRAME)
        end = said.end
    if end < len(text):
        yield text[end:], None
