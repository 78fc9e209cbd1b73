"""Numbers and scales in a text: the diameter in millimetres and the Fitzpatrick skin type."""

import re
from collections.abc import Iterator
from decimal import Decimal

from backend.abc.mentions import Document, Mention
from backend.abc.tokens import Break, word_set

MAX_DIAMETER_MM = 200

_NUMBER = re.compile(r"[0-9]{1,6}(?:[.,][0-9]{1,6})?")
_UNITS = {
    **dict.fromkeys(("mm", "millimeter", "millimetre", "millimetern", "millimetres"), Decimal(1)),
    **dict.fromkeys(("cm", "centimeter", "centimetre", "zentimeter"), Decimal(10)),
}
_OTHER_LENGTHS = word_set(
    "breslow thickness depth height elevation scale excision resection safety clearance punch "
    "biopsy invasion dicke"
)
_OTHER_DIRECTIONS = word_set("thick deep high tall raised elevated above")
_BOUNDS = word_set(
    "than exceeding exceed exceeds over under below above least less more most beyond"
)
_SCALE_WORDS = word_set("fitzpatrick phototype fst hauttyp hautphototyp phototyp photo-type")
_SCALE_FILLERS = word_set(
    "skin type phototype tone class scale score group of is nach by the to rated photo a as"
)
_ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6}
_SKIN_WORDS = (
    # Fitzpatrick 1988: I very fair to VI deeply pigmented; where a word spans types, the lower
    (("very", "fair"), 1),
    (("very", "light"), 1),
    (("very", "pale"), 1),
    (("extremely", "fair"), 1),
    (("very", "dark"), 6),
    (("very", "dark", "brown"), 6),
    (("deeply", "pigmented"), 6),
    (("dark", "brown"), 6),
    (("light", "brown"), 4),
    (("moderate", "brown"), 4),
    (("light", "to", "medium"), 3),
    (("medium", "dark"), 4),
    (("light", "medium"), 3),
    (("medium", "light"), 3),
    (("pale",), 1),
    (("ivory",), 1),
    (("fair",), 2),
    (("light",), 2),
    (("white",), 2),
    (("caucasian",), 2),
    (("medium",), 3),
    (("olive",), 4),
    (("tan",), 4),
    (("tanned",), 4),
    (("brown",), 5),
    (("dark",), 5),
    (("black",), 6),
)


def find_diameters(document: Document) -> list[Mention]:
    """Diameters in millimetres; of several dimensions ("8 x 6 mm", "5-6 mm") the largest.

    Bounds ("more than 6 mm") and other lengths (thickness, margins) are not diameters.
    """
    found = []
    for index, token in enumerate(document.tokens):
        if token.text not in _UNITS or not index or token.parting >= Break.CLAUSE:
            continue
        first, sizes = _dimensions(document, index)
        size = max(sizes, default=Decimal(0)) * _UNITS[token.text]
        if 0 < size <= MAX_DIAMETER_MM and not _other_length(document, first, index):
            found.append(Mention("diameter_mm", repr(float(size)), first, index))
    return _joined(document, found)


def find_skin_tones(document: Document) -> list[Mention]:
    """Fitzpatrick types by number, of a range the lower; where none is given, by word."""
    numbered = list(_numbered_types(document))
    return numbered or list(_described_types(document))


def _dimensions(document: Document, unit: int) -> tuple[int, list[Decimal]]:
    """The numbers before a unit, "11 x 8" or "5 to 6", and where they start."""
    sizes: list[Decimal] = []
    index = first = unit - 1
    while index >= max(0, unit - 6) and _NUMBER.fullmatch(document.word(index)):
        sizes.append(Decimal(document.word(index).replace(",", ".")))
        first = index
        joined = document.tokens[index].gap in ("-", "~", "/", "x", "*")
        linked = document.word(index - 1) in ("x", "by", "to", "bis")
        index = index - 1 if joined else index - 2 if linked else -1
    return first, sizes


def _other_length(document: Document, first: int, unit: int) -> bool:
    tokens = document.tokens
    if {"<", ">", "≥", "≤"} & set(tokens[first].gap) or document.word(first - 1) in _BOUNDS:
        return True
    if document.word(unit + 1) in _OTHER_DIRECTIONS:
        return True
    for index in range(max(0, first - 3), min(unit + 4, len(tokens))):
        near = (index, first) if index < first else (unit, index)
        if document.word(index) in _OTHER_LENGTHS and not document.parted(*near, Break.COMMA):
            return True
    return False


def _joined(document: Document, sizes: list[Mention]) -> list[Mention]:
    """ "11 mm x 8 mm" is one lesion: keep the larger of measures that stand in one product."""
    kept: list[Mention] = []
    for size in sizes:
        between = document.tokens[kept[-1].last + 1 : size.first + 1] if kept else []
        product = 0 < len(between) <= 2 and (
            between[0].text in ("x", "by") or between[-1].gap in ("/", "x", "*")
        )
        if product and float(kept[-1].value) >= float(size.value):
            continue
        if product:
            kept.pop()
        kept.append(size)
    return kept


def _numbered_types(document: Document) -> Iterator[Mention]:
    tokens = document.tokens
    for index, token in enumerate(tokens):
        skin_type = token.text in ("skin", "haut") and document.word(index + 1) in (
            "type",
            "phototype",
            "typ",
        )
        typed = token.text == "type" and document.word(index + 2) == "skin"
        if token.text not in _SCALE_WORDS and not skin_type and not typed:
            continue
        number = index + 1
        while number < index + 6 and document.word(number) in _SCALE_FILLERS:
            number += 1
        value = _type_number(document.word(number))
        if value is None or document.parted(index, number, Break.CLAUSE):
            continue
        upper = _type_number(document.word(number + 1))
        ranged = upper and document.parting(number + 1) <= Break.COMMA
        spread = ranged and tokens[number + 1].gap in ("-", "~", "/")
        last = number + 1 if spread else number
        lower = min(value, upper) if spread and upper else value
        yield Mention("skin_tone", str(lower), index, last)


def _type_number(word: str) -> int | None:
    return _ROMAN.get(word) or (int(word) if word in ("1", "2", "3", "4", "5", "6") else None)


def _described_types(document: Document) -> Iterator[Mention]:
    for index in range(1, len(document.tokens)):
        noun = document.word(index)
        if noun not in ("skin", "skinned", "complexion") or _is_lesion(document, index + 1):
            continue
        before = [token.text for token in document.tokens[max(0, index - 3) : index]]
        for words, value in _SKIN_WORDS:
            if tuple(before[-len(words) :]) == words:
                first = index - len(words)
                if not document.parted(first, index, Break.CLAUSE):
                    yield Mention("skin_tone", str(value), first, index)
                break


def _is_lesion(document: Document, index: int) -> bool:
    """ "Pale skin lesion" tells nothing of the skin."""
    adjacent = document.parting(index) is Break.NONE
    return adjacent and document.word(index) in (
        "lesion",
        "growth",
        "tumor",
        "tumour",
        "tag",
        "mark",
        "spot",
        "patch",
        "nodule",
        "cancer",
    )
