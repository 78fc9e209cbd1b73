"""Attributes from an image: the lesion found, its A, B and C measured, and how sure that is."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from backend.abc.attributes import (
    Asymmetry,
    Border,
    Colour,
    ColourPattern,
    Edge,
    LesionAttributes,
    SkinTone,
    pattern_of,
)
from backend.abc.measurement.decision import Decision
from backend.abc.measurement.frame import MeasureError, check_image, mask_to_size
from backend.abc.measurement.meter import Meter, load_meter
from backend.abc.measurement.overlay import overlay_of
from backend.abc.measurement.photograph import (
    axes_of_asymmetry,
    dominance,
    named_colours,
    photograph_weight,
)
from backend.abc.measurement.reading import indices_of, read_image

__all__ = [
    "METER_EDITION",
    "SURE_FROM",
    "MeasureError",
    "Measurement",
    "measure",
    "overlay",
]

METER_EDITION = "2"
"""Counts on whenever a step of the meter changes what it says of the same image."""
SURE_FROM = 0.5
"""Of a value with less confidence the meter counts as unsure."""
_PHOTOGRAPH_TEMPERATURE = 2.0
_SHAPE_FIELDS = ("asymmetry", "border")
_EXPERT = {
    "asymmetry": axes_of_asymmetry,
    "colours": named_colours,
    "dominant_colour": dominance,
}

MEASURED_FIELDS = ("asymmetry", "border", "edge", "colours", "pattern", "skin_tone")


@dataclass(frozen=True)
class Measurement:
    """What the meter says of an image.

    attributes: the MEASURED_FIELDS, all else None; confidence: 0..1 for each of them, the
    calibrated probability times the quality of the segmentation, less of the shape the more of the
    outline lies beyond the frame; colours: the probability that each
    colour is there; mask: (H, W) of the image's own
    size; indices: the numbers behind, by their names in the literature; found: whether there is a
    lesion at all, without which every attribute is None and every confidence zero.
    """

    attributes: LesionAttributes
    confidence: Mapping[str, float]
    colours: Mapping[Colour, float]
    mask: NDArray[np.bool_]
    indices: Mapping[str, float]
    found: bool

    @property
    def sure_colours(self) -> frozenset[Colour]:
        """Colours of which the meter is sure that they are there, or that they are not."""
        quality = self.indices.get("segmentation_quality", 0.0)
        return frozenset(
            colour
            for colour, likely in self.colours.items()
            if max(likely, 1 - likely) * quality >= SURE_FROM
        )


def measure(image: NDArray[np.uint8], *, meter: Meter | None = None) -> Measurement:
    """Measure the lesion in an (H, W, 3) sRGB image of 32 to 4096 pixels a side.

    Without a meter the one in assets is used. Raises MeasureError for anything but such an image.
    """
    check_image(image)
    meter = meter or load_meter()
    reading = read_image(image)
    if reading.lesion is None:
        return _nothing_found(image.shape[0], image.shape[1])
    indices = indices_of(reading.frame, reading.lesion, meter.palette)
    attributes, probability = decide(indices, meter.decisions)
    quality = reading.lesion.quality
    seen = (1 - reading.lesion.cut) ** 2
    whole = {name: seen if name in _SHAPE_FIELDS else 1.0 for name in probability}
    return Measurement(
        attributes=attributes,
        confidence={name: p * quality * whole[name] for name, p in probability.items()},
        colours=colour_probabilities(indices, meter.decisions),
        mask=mask_to_size(reading.lesion.membership, image.shape[0], image.shape[1]),
        indices=indices,
        found=True,
    )


def overlay(image: NDArray[np.uint8], measurement: Measurement) -> NDArray[np.uint8]:
    """The image with outline, axes and colours drawn in; an unchanged copy if nothing was found."""
    if not measurement.found:
        return image.copy()
    return overlay_of(image, measurement.mask, measurement.attributes)


def colour_probabilities(
    indices: Mapping[str, float], decisions: Mapping[str, Decision]
) -> dict[Colour, float]:
    """How likely each colour is there, 0..1."""
    present = probabilities_of(indices, decisions)["colours"]
    return {colour: float(value) for colour, value in zip(Colour, present, strict=True)}


def decide(
    indices: Mapping[str, float], decisions: Mapping[str, Decision]
) -> tuple[LesionAttributes, dict[str, float]]:
    """The attributes that the indices speak for, and the probability of each."""
    likely = probabilities_of(indices, decisions)
    chosen = {
        name: decisions[name].categories[int(likely[name].argmax())]
        for name in ("asymmetry", "border", "edge", "skin_tone")
    }
    present = likely["colours"]
    colours = _colours(present, likely["dominant_colour"])
    pattern = pattern_of(colours)
    attributes = LesionAttributes(
        asymmetry=Asymmetry(chosen["asymmetry"]),
        border=Border(chosen["border"]),
        edge=Edge(chosen["edge"]),
        colours=colours,
        pattern=pattern,
        skin_tone=SkinTone(int(chosen["skin_tone"])),
    )
    named = np.isin(list(Colour), colours)
    return attributes, {name: float(likely[name].max()) for name in chosen} | {
        "colours": float(np.prod(np.where(named, present, 1 - present))),
        "pattern": _pattern_probability(present, pattern),
    }


def probabilities_of(
    indices: Mapping[str, float], decisions: Mapping[str, Decision]
) -> dict[str, NDArray[np.float64]]:
    """Probabilities of the categories of every decision.

    On photographs an expert's reading stands in for what was learnt on phantoms; where there is
    none, what was learnt on phantoms counts, but less surely.
    """
    weight = photograph_weight(indices)
    likely = {}
    for name, decision in decisions.items():
        learnt = decision.probabilities(indices)
        read = _EXPERT[name](indices) if name in _EXPERT else _less_sure(learnt)
        likely[name] = weight * read + (1 - weight) * learnt
    return likely


def _less_sure(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    flattened = probabilities ** (1 / _PHOTOGRAPH_TEMPERATURE)
    return np.asarray(flattened / flattened.sum())


def _colours(present: NDArray[np.float64], dominant: NDArray[np.float64]) -> tuple[Colour, ...]:
    """The colours more likely there than not, at least one, the likeliest to dominate first."""
    chosen = present > 0.5
    if not chosen.any():
        chosen[int((present * dominant).argmax())] = True
    first = int(np.where(chosen, dominant, -1.0).argmax())
    palette = list(Colour)
    rest = [palette[index] for index in np.flatnonzero(chosen) if index != first]
    return (palette[first], *rest)


def _pattern_probability(present: NDArray[np.float64], pattern: ColourPattern | None) -> float:
    """Probability that one, two, or three and more independent colours are there."""
    counts = reduce(np.convolve, [np.array([1 - p, p]) for p in present])
    exactly = {ColourPattern.UNIFORM: counts[0] + counts[1], ColourPattern.TWO_TONE: counts[2]}
    return float(exactly[pattern]) if pattern in exactly else float(counts[3:].sum())


def _nothing_found(height: int, width: int) -> Measurement:
    return Measurement(
        attributes=LesionAttributes(),
        confidence=dict.fromkeys(MEASURED_FIELDS, 0.0),
        colours=dict.fromkeys(Colour, 0.0),
        mask=np.zeros((height, width), dtype=bool),
        indices={},
        found=False,
    )
