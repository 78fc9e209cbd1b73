"""Fills in what a request leaves open, so that the whole lesion hangs together."""

from dataclasses import dataclass, fields

from numpy.random import Generator

from backend.abc.attributes import (
    Asymmetry,
    Border,
    Colour,
    ColourPattern,
    Diagnosis,
    Edge,
    LesionAttributes,
    Modality,
    Site,
    SkinTone,
    pattern_of,
)
from backend.abc.sampling import sample_attributes
from backend.phantom.errors import PhantomError

_FEWEST = {ColourPattern.UNIFORM: 1, ColourPattern.TWO_TONE: 2, ColourPattern.VARIEGATED: 3}


def complete(rng: Generator, request: LesionAttributes) -> LesionAttributes:
    """The request with every open attribute drawn to suit the stated ones.

    Named colours stay; where the stated pattern needs more of them, more are drawn.

    Raises:
        PhantomError: more colours are named than the stated pattern has.
    """
    _refuse_contradiction(request)
    drawn = _draw_suitable(rng, request)
    colours = _more_colours(rng, request, drawn)
    stated = {name: value for name, value in request if value is not None}
    return LesionAttributes.model_validate(
        dict(drawn) | stated | {"colours": colours, "pattern": pattern_of(colours)}
    )


def _refuse_contradiction(request: LesionAttributes) -> None:
    pattern, named = request.pattern, len(request.colours)
    if pattern and named > _FEWEST[pattern] and pattern is not pattern_of(request.colours):
        raise PhantomError(
            f"The colour pattern is {pattern.value.replace('_', '-')} but {named} colours are "
            "named: name fewer colours or change the pattern."
        )


def _draw_suitable(rng: Generator, request: LesionAttributes) -> LesionAttributes:
    """A random lesion with the stated label and lesion type, and pattern if no colour is named."""
    label = request.diagnosis.label if request.diagnosis else request.label
    wanted = None if request.colours else request.pattern
    while True:
        drawn = sample_attributes(rng, label=label)
        type_suits = request.diagnosis in (None, drawn.diagnosis)
        if type_suits and wanted in (None, drawn.pattern):
            return drawn


def _more_colours(
    rng: Generator, request: LesionAttributes, drawn: LesionAttributes
) -> tuple[Colour, ...]:
    if not request.colours:
        return drawn.colours
    colours = request.colours
    fewest = _FEWEST[request.pattern] if request.pattern else 1
    while len(colours) < fewest:
        others = [c for c in sample_attributes(rng, label=drawn.label).colours if c not in colours]
        colours += tuple(others[: fewest - len(colours)])
    return colours


@dataclass(frozen=True)
class Traits:
    """The attributes that a picture shows, none of them open."""

    asymmetry: Asymmetry
    border: Border
    edge: Edge
    colours: tuple[Colour, ...]
    diagnosis: Diagnosis
    modality: Modality
    skin_tone: SkinTone
    site: Site
    diameter_mm: float


def traits_of(truth: LesionAttributes) -> Traits:
    """The traits of complete attributes, as `complete` returns them."""
    values = {field.name: getattr(truth, field.name) for field in fields(Traits)}
    return Traits(**values)
