"""The part of Stolz' ABCD score that asymmetry, border and colours settle: a teaching aid.

Total dermoscopy score = 1.3 A + 0.1 B + 0.5 C + 0.5 D with A the axes of asymmetry (0-2), B the
segments of eight with an abrupt cut-off (0-8), C the number of colours (1-6) and D the number of
dermoscopic structures (1-5); above 5.45 suspicious of melanoma, from 4.75 to 5.45 intermediate
(Stolz et al., Eur J Dermatol 1994;4:521-527; Nachbar et al., J Am Acad Dermatol 1994;30:551-559).

A caption does not tell B by segments: a well-defined edge counts as eight, a fading one as none.
It does not tell D at all, which therefore adds its whole range. What is not said is an interval.
"""

from dataclasses import dataclass

from backend.abc.attributes import Asymmetry, Edge, LesionAttributes

ASYMMETRY_WEIGHT = 1.3
SEGMENT_WEIGHT = 0.1
COLOUR_WEIGHT = 0.5
STRUCTURE_WEIGHT = 0.5
SEGMENTS = 8
COLOURS = 6
STRUCTURES = 5
INTERMEDIATE_FROM = 4.75
SUSPICIOUS_ABOVE = 5.45

_AXES = {Asymmetry.SYMMETRIC: 0, Asymmetry.ONE_AXIS: 1, Asymmetry.TWO_AXES: 2}
_SHARP_SEGMENTS = {Edge.WELL_DEFINED: SEGMENTS, Edge.FADING: 0}


@dataclass(frozen=True)
class Interval:
    """Points between `low` and `high`, both included; equal where the value is settled."""

    low: float
    high: float

    def __add__(self, other: "Interval") -> "Interval":
        return Interval(round(self.low + other.low, 2), round(self.high + other.high, 2))

    def __str__(self) -> str:
        if self.low == self.high:
            return f"{self.low:.2f}".removesuffix("0")
        return f"{Interval(self.low, self.low)} to {Interval(self.high, self.high)}"


@dataclass(frozen=True)
class PartialScore:
    """Weighted points for A, B and C, and what the total may be once D (0.5 to 2.5) is seen."""

    asymmetry: Interval
    border: Interval
    colours: Interval
    structures: Interval

    @property
    def points(self) -> Interval:
        """A + B + C."""
        return self.asymmetry + self.border + self.colours

    @property
    def total(self) -> Interval:
        """A + B + C + D."""
        return self.points + self.structures

    @property
    def sentence(self) -> str:
        """The score in words, with what it is not."""
        return (
            f"ABC part of the ABCD score: {self.points} points; with dermoscopic structures, "
            f"which are not assessed here, {self.total}. The rule calls totals from "
            f"{INTERMEDIATE_FROM} intermediate and above {SUSPICIOUS_ABOVE} suspicious. "
            "This is a teaching aid, not a diagnosis."
        )


def partial_abcd(attributes: LesionAttributes) -> PartialScore | None:
    """The score of what is said; None where asymmetry, edge and colours are all unsaid."""
    asymmetry, edge, colours = attributes.asymmetry, attributes.edge, attributes.colours
    if asymmetry is None and edge is None and not colours:
        return None
    axes = None if asymmetry is None else _AXES[asymmetry]
    segments = None if edge is None else _SHARP_SEGMENTS[edge]
    return PartialScore(
        asymmetry=_points(ASYMMETRY_WEIGHT, axes, 0, 2),
        border=_points(SEGMENT_WEIGHT, segments, 0, SEGMENTS),
        colours=_points(COLOUR_WEIGHT, len(colours) or None, 1, COLOURS),
        structures=_points(STRUCTURE_WEIGHT, None, 1, STRUCTURES),
    )


def _points(weight: float, count: int | None, least: int, most: int) -> Interval:
    low, high = (least, most) if count is None else (count, count)
    return Interval(round(weight * low, 2), round(weight * high, 2))
