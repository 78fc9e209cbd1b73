"""How far one image shows what was asked for, in 0..1: the same terms that `adherence` averages."""

from collections.abc import Iterable
from statistics import fmean

from backend.abc.attributes import Colour, LesionAttributes

EXACT = ("asymmetry", "border", "edge")


def agreement(requested: LesionAttributes, measured: LesionAttributes) -> float:
    """Mean over what was requested and can be measured; 1 where nothing of that was requested.

    Asymmetry, border and edge count 1 where they are equal, else 0; the colours their Dice
    coefficient, which is F1; the skin tone 1 within one Fitzpatrick type. What was not found
    counts 0.
    """
    terms = [
        float(getattr(requested, name) == getattr(measured, name))
        for name in EXACT
        if getattr(requested, name) is not None
    ]
    if requested.colours:
        terms.append(_dice(requested.colours, measured.colours))
    if requested.skin_tone is not None:
        tone = measured.skin_tone
        terms.append(float(tone is not None and abs(tone - requested.skin_tone) <= 1))
    return fmean(terms) if terms else 1.0


def _dice(first: Iterable[Colour], second: Iterable[Colour]) -> float:
    asked, told = set(first), set(second)
    return 2 * len(asked & told) / (len(asked) + len(told))
