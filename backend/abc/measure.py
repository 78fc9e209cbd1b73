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
from backend.abc.measurement.reading import indices_of, read_image

__all__ = ["MeasureError", "Measurement", "measure", "overlay"]

MEASURED_FIELDS = ("asymmetry", "border", "edge", "colours", "pattern", "skin_tone")


@dataclass(frozen=True)
class Measurement:
    """What the meter says of an image.

    attributes: the MEASURED_FIELDS, all else None; confidence: 0..1 for each of them, the
    calibrated probability times the quality of the segmentation; mask: (H, W) of the image's own
    size; indices: the numbers behind, by their names in the literature; found: whether there is a
    lesion at all, without which every attribute is None and every confidence zero.
    """

    attributes: LesionAttributes
    confidence: Mapping[str, float]
    mask: NDArray[np.bool_]
    indices: Mapping[str, float]
    found: bool


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
    return Measurement(
        attributes=attributes,
        confidence={name: value * quality for name, value in probability.items()},
        mask=mask_to_size(reading.lesion.membership, image.shape[0], image.shape[1]),
        indices=indices,
        found=True,
    )


def overlay(image: NDArray[np.uint8], measurement: Measurement) -> NDArray[np.uint8]:
    """The image with outline, axes and colours drawn in; an unchanged copy if nothing was found."""
    if not measurement.found:
        return image.copy()
    return overlay_of(image, measurement.mask, measurement.attributes)


def decide(
    indices: Mapping[str, float], decisions: Mapping[str, Decision]
) -> tuple[LesionAttributes, dict[str, float]]:
    """The attributes that the indices speak for, and the probability of each."""
    asymmetry, asymmetry_probability = _most_likely(indices, decisions["asymmetry"])
    border, border_probability = _most_likely(indices, decisions["border"])
    edge, edge_probability = _most_likely(indices, decisions["edge"])
    tone, tone_probability = _most_likely(indices, decisions["skin_tone"])
    present = decisions["colours"].probabilities(indices)
    dominant = decisions["dominant_colour"].probabilities(indices)
    colours = _colours(present, dominant)
    pattern = pattern_of(colours)
    attributes = LesionAttributes(
        asymmetry=Asymmetry(asymmetry),
        border=Border(border),
        edge=Edge(edge),
        colours=colours,
        pattern=pattern,
        skin_tone=SkinTone(int(tone)),
    )
    named = np.isin(list(Colour), colours)
    return attributes, {
        "asymmetry": asymmetry_probability,
        "border": border_probability,
        "edge": edge_probability,
        "colours": float(np.prod(np.where(named, present, 1 - present))),
        "pattern": _pattern_probability(present, pattern),
        "skin_tone": tone_probability,
    }


def _most_likely(indices: Mapping[str, float], decision: Decision) -> tuple[str, float]:
    probabilities = decision.probabilities(indices)
    best = int(probabilities.argmax())
    return decision.categories[best], float(probabilities[best])


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
        mask=np.zeros((height, width), dtype=bool),
        indices={},
        found=False,
    )
