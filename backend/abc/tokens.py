"""Words of a free text with their places in it, folded so that spelling variants meet.

Case, accents, typographic quotes and dashes, full-width letters, British and American spelling and
plain plurals are levelled; offsets always refer to the text as it was given.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache


def word_set(words: str) -> frozenset[str]:
    """The words of a line as a set."""
    return frozenset(words.split())


_IGNORABLE = "\x00"
_WORD = re.compile(r"[0-9]+(?:[.,][0-9]+)?|[^\W\d_](?:[^\W\d_]|\x00)*(?:'[^\W\d_]+)?")
_SPECIAL = {
    **dict.fromkeys("‘’ʼ`´＇", "'"),
    **dict.fromkeys("‐‑‒−﹣－", "-"),
    **dict.fromkeys("–—―", "~"),
    "×": "/",
    "…": ".",
    "。": ".",
    "\x85": "\n",
    "\u2028": "\n",
    "\u2029": "\n",
    "\t": " ",
    "\n": "\n",
    "\r": "\n",
}
_LEMMAS = {
    "axes": "axis",
    "achsen": "achse",
    "halves": "half",
    "calves": "calf",
    "feet": "foot",
    "nevi": "nevus",
    "keratoses": "keratosis",
    "lentigines": "lentigo",
    "carcinomata": "carcinoma",
    "foci": "focus",
    "patches": "patch",
    "notches": "notch",
    "matches": "match",
    "boundaries": "boundary",
    "peripheries": "periphery",
    "asymmetries": "asymmetry",
    "irregularities": "irregularity",
    "varies": "vary",
    "arches": "arch",
    "diagnoses": "diagnosis",
    "biopsies": "biopsy",
    "toes": "toe",
}
_ABBREVIATIONS = word_set(
    "approx ca circa diam irreg reg lat med sup inf ant post resp vs nr pt l r e g"
)


class Break(IntEnum):
    """What parts a word from the one before it."""

    NONE = 0  # blank, hyphen, slash
    COMMA = 1  # comma, colon, bracket, dash
    CLAUSE = 2  # semicolon, line of a list, full stop before a small letter
    SENTENCE = 3


@dataclass(frozen=True, slots=True)
class Token:
    """One word or number: folded text, place in the original, and what stands before it."""

    text: str
    start: int
    end: int
    gap: str
    parting: Break


def tokenise(text: str) -> list[Token]:
    """The words and numbers of any text, in linear time."""
    folded = "".join(_fold(character) for character in text)
    tokens: list[Token] = []
    end = 0
    for match in _WORD.finditer(folded):
        gap = folded[end : match.start()]
        before = tokens[-1].text if tokens else ""
        starts_small = text[match.start()].islower()
        tokens.append(
            Token(
                text=lemma(match.group()),
                start=match.start(),
                end=match.end(),
                gap=gap.strip()[:8],
                parting=_parting(gap, before, starts_small),
            )
        )
        end = match.end()
    return tokens


@lru_cache(maxsize=4096)
def lemma(word: str) -> str:
    """The form of a folded word under which the lexicon knows it."""
    word = word.replace(_IGNORABLE, "").replace("colour", "color").replace("grey", "gray")
    word = word.replace("naev", "nev").replace("rrhoe", "rrhe").replace("haem", "hem")
    word = word.removesuffix("'s")
    if word in _LEMMAS:
        return _LEMMAS[word]
    plural = len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is"))
    return word[:-1] if plural else word


@lru_cache(maxsize=4096)
def _fold(character: str) -> str:
    """One character for one: small, without accent; marks and control characters ignorable."""
    if character in _SPECIAL:
        return _SPECIAL[character]
    category = unicodedata.category(character)
    if category in ("Mn", "Me", "Cc", "Cf", "Cs"):
        return _IGNORABLE
    return unicodedata.normalize("NFKD", character)[0].lower()[:1]


def _parting(gap: str, before: str, starts_small: bool) -> Break:
    if not gap.strip(" -/'\"\x00*_"):
        return Break.NONE
    if "." in gap and ".." not in gap and before in _ABBREVIATIONS:
        return Break.NONE
    if any(mark in gap for mark in ".!?\n"):
        wrapped = not gap.strip()
        if wrapped and starts_small:
            return Break.NONE
        return Break.CLAUSE if starts_small and ".." not in gap else Break.SENTENCE
    return Break.CLAUSE if any(mark in gap for mark in ";•|·") else Break.COMMA
