"""Which values each attribute takes in a design, and each attribute by its name."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, model_validator

from backend.abc.attributes import (
    Asymmetry,
    Border,
    Colour,
    ColourPattern,
    Diagnosis,
    DiameterMm,
    Edge,
    Label,
    Modality,
    Site,
    SkinTone,
)

AttributeName = Literal[
    "asymmetry",
    "border",
    "edge",
    "colours",
    "pattern",
    "label",
    "diagnosis",
    "modality",
    "skin_tone",
    "site",
    "diameter_mm",
]
ATTRIBUTES: tuple[str, ...] = get_args(AttributeName)
_ALL: Mapping[str, Iterable[Any]] = {
    "asymmetry": Asymmetry,
    "border": Border,
    "edge": Edge,
    "colours": tuple((colour,) for colour in Colour),
    "pattern": ColourPattern,
    "label": Label,
    "diagnosis": Diagnosis,
    "modality": Modality,
    "skin_tone": SkinTone,
    "site": Site,
}


class Levels(BaseModel):
    """The chosen values of each attribute; an attribute without any is not varied."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    asymmetry: tuple[Asymmetry, ...] = ()
    border: tuple[Border, ...] = ()
    edge: tuple[Edge, ...] = ()
    colours: tuple[tuple[Colour, ...], ...] = ()
    pattern: tuple[ColourPattern, ...] = ()
    label: tuple[Label, ...] = ()
    diagnosis: tuple[Diagnosis, ...] = ()
    modality: tuple[Modality, ...] = ()
    skin_tone: tuple[SkinTone, ...] = ()
    site: tuple[Site, ...] = ()
    diameter_mm: tuple[DiameterMm, ...] = ()

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for name, values in self.chosen().items():
            if len(set(values)) < len(values):
                raise ValueError(f"A value of {said(name)} is given twice: name each once.")
        if () in self.colours:
            raise ValueError("A level of the colours names no colour: name one or more.")
        return self

    def chosen(self) -> dict[str, tuple[Any, ...]]:
        """The values of each attribute that is varied."""
        return {name: values for name, values in self if values}


def all_levels(name: str) -> tuple[Any, ...]:
    """Every value of an attribute, single colours for the colours; none for the diameter."""
    return tuple(_ALL.get(name, ()))


def read_level(name: str, words: str) -> object:
    """A value as typed, for pydantic to check: "one axis", "black + red", "IV", "6"."""
    words = words.strip()
    if name == "colours":
        return [_underscored(colour) for colour in words.split("+")]
    if name == "skin_tone":
        roman = words.removeprefix("Fitzpatrick").strip().upper()
        tone = SkinTone.__members__.get(roman)
        return int(tone) if tone else int(words) if words.isdigit() else words
    return _underscored(words) if name in _ALL else words


def _underscored(words: str) -> str:
    return words.strip().lower().replace(" ", "_").replace("-", "_")


def said(name: str) -> str:
    """The name of an attribute in a sentence."""
    return {"diameter_mm": "diameter"}.get(name, name.replace("_", " "))


def value_words(value: object) -> str:
    """A level as a person reads it: "one axis", "black + red", "Fitzpatrick IV", "6 mm"."""
    if isinstance(value, SkinTone):
        return f"Fitzpatrick {value.name}"
    if isinstance(value, tuple):
        return " + ".join(value_words(item) for item in value)
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).replace("_", " ")
