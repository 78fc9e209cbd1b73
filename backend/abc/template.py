"""Captions with wildcards: `{border}` for an attribute, `{red|light brown}` for alternatives.

A name of an attribute in braces stands for that attribute in the grammar's own words (`PHRASES`
says which part of a sentence it is). Words between bars are alternatives; one may be empty. `{{`
and `}}` are a literal brace each. Wildcards do not nest. "a" and "an" before a wildcard follow
what it becomes, and a wildcard that opens a sentence is capitalised.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from types import MappingProxyType
from typing import Any

from backend.abc.attributes import LesionAttributes
from backend.abc.caption_text import CaptionError, clean_caption
from backend.abc.vocabulary import (
    ASYMMETRY,
    BORDER_ADJECTIVES,
    COLOUR_NAMES,
    DIAGNOSIS_NOUNS,
    EDGE_ADJECTIVES,
    MODALITY_VIEWS,
    PATTERN_ADJECTIVES,
    SITE_PLACES,
    SKIN_PHRASES,
    SKIN_WORDS,
)
from backend.abc.wording import listed, with_article

MAX_CHARACTERS = 4_000
PHRASES: Mapping[str, str] = MappingProxyType(
    {
        "asymmetry": "a lesion with {asymmetry}",
        "border": "a {border} border",
        "edge": "a {edge} edge",
        "colours": "the colour is {colours}",
        "pattern": "{pattern} pigmentation",
        "label": "a {label} lesion",
        "diagnosis": "a {diagnosis}",
        "modality": "a {modality} of a lesion",
        "skin_tone": "on {skin_tone}",
        "site": "on {site}",
        "diameter_mm": "a lesion of {diameter_mm}",
    }
)
"""Each placeholder in the surroundings that it fits."""

_PIECES = re.compile(r"\{\{|\}\}|\{(?P<inside>[^{}]*)\}|[{}]|[^{}]+")
_ARTICLE = re.compile(r"(?<!\w)([Aa])n? $")


@dataclass(frozen=True)
class Wildcard:
    """An attribute's name, or alternatives to choose from; `position` counts characters from 1."""

    position: int
    attribute: str | None = None
    alternatives: tuple[str, ...] = ()


Template = tuple[str | Wildcard, ...]


def parse_template(text: str) -> Template:
    """The literal pieces and wildcards of a template, in order.

    Raises:
        CaptionError: a brace without its partner, a nested or unknown wildcard; names the character
            at which it stands.
    """
    if len(text) > MAX_CHARACTERS:
        raise CaptionError(
            f"The template has {len(text):,} characters, the most allowed is {MAX_CHARACTERS:,}: "
            "shorten the template."
        )
    parts: list[str | Wildcard] = [""]
    for found in _PIECES.finditer(text):
        piece, position = found.group(), found.start() + 1
        if found["inside"] is not None:
            parts += [_wildcard(found["inside"], position), ""]
        elif piece in ("{", "}"):
            raise CaptionError(_lonely(text, found.start()))
        else:
            parts[-1] = f"{parts[-1]}{piece[0] if piece in ('{{', '}}') else piece}"
    return tuple(part for part in parts if part)


def attributes_named(template: Template) -> tuple[str, ...]:
    """The attributes that the placeholders of a template name, each once, in order."""
    named = (part.attribute for part in template if isinstance(part, Wildcard) and part.attribute)
    return tuple(dict.fromkeys(named))


def fill_template(template: Template, attributes: LesionAttributes, *, seed: int) -> str:
    """The caption that a template becomes; the same arguments give the same caption.

    Each wildcard draws its words by itself, so that changing one attribute leaves the words for
    the others as they are.

    Raises:
        CaptionError: the template names an attribute that is not set, or the caption is empty or
            too long.
    """
    words = [_words(part, attributes, index, seed) for index, part in enumerate(template)]
    caption = ""
    for index, part in enumerate(template):
        piece = words[index]
        if isinstance(part, Wildcard) and piece:
            caption = _with_right_article(caption, "".join(words[index:]))
            piece = _capitalised_after(caption, piece)
        caption += piece
    return clean_caption(caption)


def _wildcard(inside: str, position: int) -> Wildcard:
    if "|" in inside:
        return Wildcard(position, alternatives=tuple(part.strip() for part in inside.split("|")))
    name = inside.strip()
    if name not in PHRASES:
        raise CaptionError(
            f"The wildcard {{{inside}}} at character {position} is no attribute: use one of "
            f"{', '.join(PHRASES)}, alternatives like {{red|light brown}}, or {{{{ for a literal "
            "brace."
        )
    return Wildcard(position, attribute=name)


def _lonely(text: str, index: int) -> str:
    position = index + 1
    if text[index] == "}":
        return (
            f"The closing brace at character {position} has no opening one: remove it, or write "
            "}} for a literal brace."
        )
    inner = text.find("{", index + 1)
    if -1 < inner < text.find("}", index + 1):
        return (
            f"The wildcard at character {position} has another brace inside, at character "
            f"{inner + 1}: close it with }} first; wildcards do not nest."
        )
    return (
        f"The brace at character {position} is not closed: add }}, or write {{{{ for a literal "
        "brace."
    )


def _words(part: str | Wildcard, attributes: LesionAttributes, index: int, seed: int) -> str:
    if isinstance(part, str):
        return part
    rng = Random(f"{seed}:{index}")  # noqa: S311 - chooses words, guards no secret
    if part.attribute is None:
        return rng.choice(part.alternatives)
    value = getattr(attributes, part.attribute)
    if value is None or value == ():
        raise CaptionError(
            f"The template names {{{part.attribute}}} at character {part.position}, which is not "
            "set for this lesion: set it, or take the placeholder out."
        )
    return _SAYING[part.attribute](attributes, rng.choice)


Choose = Callable[[Sequence[str]], str]


def _colours(attributes: LesionAttributes, choose: Choose) -> str:
    return listed([choose(COLOUR_NAMES[colour]) for colour in attributes.colours])


def _skin(attributes: LesionAttributes, choose: Choose) -> str:
    tone = attributes.skin_tone
    return (
        choose(SKIN_PHRASES).format(
            words=choose(SKIN_WORDS[tone]), roman=tone.name, arabic=tone.value
        )
        if tone
        else ""
    )


def _size(attributes: LesionAttributes, _choose: Choose) -> str:
    size = Decimal(repr(attributes.diameter_mm))
    return f"{format(size, 'f').removesuffix('.0')} mm"


def _from(table: Mapping[Any, Sequence[str]], field: str) -> Callable[..., str]:
    return lambda attributes, choose: choose(table[getattr(attributes, field)])


_SAYING: Mapping[str, Callable[[LesionAttributes, Choose], str]] = {
    "asymmetry": _from({key: said.phrases for key, said in ASYMMETRY.items()}, "asymmetry"),
    "border": _from(BORDER_ADJECTIVES, "border"),
    "edge": _from(EDGE_ADJECTIVES, "edge"),
    "colours": _colours,
    "pattern": _from(PATTERN_ADJECTIVES, "pattern"),
    "label": lambda attributes, _choose: str(attributes.label),
    "diagnosis": _from(DIAGNOSIS_NOUNS, "diagnosis"),
    "modality": _from(MODALITY_VIEWS, "modality"),
    "skin_tone": _skin,
    "site": _from(SITE_PLACES, "site"),
    "diameter_mm": _size,
}


def _with_right_article(before: str, following: str) -> str:
    article = _ARTICLE.search(before)
    if article is None or not following.strip():
        return before
    right, _, _ = with_article(following.strip().lower()).partition(" ")
    return before[: article.start()] + article.group(1) + right[1:] + " "


def _capitalised_after(before: str, piece: str) -> str:
    opens = not before.strip() or before.rstrip().endswith((".", "!", "?"))
    return piece[:1].upper() + piece[1:] if opens else piece
