"""What the meter saw on an image, as far as captions are compared with it."""

from collections.abc import Mapping
from dataclasses import dataclass

from backend.abc.attributes import Colour, LesionAttributes
from backend.abc.measure import Measurement


@dataclass(frozen=True)
class Seen:
    """Measured attributes, how sure each is (0..1), and the probability of each colour (0..1)."""

    attributes: LesionAttributes
    confidence: Mapping[str, float]
    colours: Mapping[Colour, float]


def seen_in(measurement: Measurement) -> Seen | None:
    """What a measurement says; None where no lesion was found."""
    if not measurement.found:
        return None
    return Seen(measurement.attributes, measurement.confidence, measurement.colours)
