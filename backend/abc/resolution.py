"""From all mentions of a field, in their scopes, to the one value that the text gives it."""

from collections.abc import Sequence

from backend.abc.attributes import (
    Asymmetry,
    Border,
    Colour,
    ColourPattern,
    Diagnosis,
    Edge,
    Label,
    pattern_of,
)
from backend.abc.cues import WEAK_VARIEGATED
from backend.abc.mentions import Document, Mention
from backend.abc.tokens import Break, word_set

_NAMING = word_set("regarding concerning assess evaluate term describe respect")
_AFFIRMING = word_set("yes present ja positive seen noted visible good preserved intact")


def asserted(document: Document, mention: Mention) -> bool:
    """Whether the mention says something of the lesion: not a heading, nor a mere comparison."""
    if mention.less:
        return False
    if mention.noun and mention.field != "edge" and _merely_named(document, mention):
        return False
    affirmed = document.word(mention.last + 1) in _AFFIRMING
    return not mention.heading or mention.negated or affirmed


def asymmetry_of(mention: Mention) -> tuple[int, Asymmetry]:
    """How specific the mention is, and its value once denial, axes and degree have been heard.

    An axis, or one half set against the other, is more specific than a degree, and a degree more
    than the bare word. The bare word claims the least it can: one axis.
    """
    symmetric = mention.value == Asymmetry.SYMMETRIC
    if mention.value == Asymmetry.TWO_AXES:
        return 4, Asymmetry.SYMMETRIC if mention.negated else Asymmetry.TWO_AXES
    if mention.axes:
        return 4, _by_axes(symmetric, mention.negated, mention.axes)
    if symmetric != mention.negated:
        return (2 if mention.high or mention.of_halves else 1), Asymmetry.SYMMETRIC
    if mention.of_halves:
        return 3, Asymmetry.ONE_AXIS
    if mention.high and not mention.wholly and not mention.negated:
        return 2, Asymmetry.ONE_AXIS if mention.low else Asymmetry.TWO_AXES
    if mention.wholly and not mention.negated:
        return 2, Asymmetry.TWO_AXES
    return (2 if mention.low else 1), Asymmetry.ONE_AXIS


def border_of(mention: Mention) -> tuple[bool, Border]:
    """Whether the mention is a strong word that nothing weakens, and its value."""
    regular = mention.value == Border.REGULAR
    if regular:
        if not mention.negated:
            return False, Border.REGULAR
        return False, Border.SLIGHTLY_IRREGULAR if mention.wholly else Border.IRREGULAR
    if mention.negated:
        return False, Border.REGULAR
    if mention.low or mention.value == Border.SLIGHTLY_IRREGULAR:
        return False, Border.SLIGHTLY_IRREGULAR
    return mention.strong or mention.high, Border.IRREGULAR


def edge_of(mention: Mention) -> Edge:
    """The value of an edge mention after denial."""
    sharp = mention.value == Edge.WELL_DEFINED
    return Edge.WELL_DEFINED if sharp != mention.negated else Edge.FADING


def pattern_said(mention: Mention) -> str | None:
    """The pattern that a mention gives after denial; `WEAK_VARIEGATED` where it is but uneven."""
    if not mention.negated:
        weak = mention.value == ColourPattern.VARIEGATED and mention.low
        return WEAK_VARIEGATED if weak else mention.value
    if mention.value == ColourPattern.UNIFORM:
        return WEAK_VARIEGATED
    return None if mention.value == ColourPattern.TWO_TONE else ColourPattern.UNIFORM


def resolve_asymmetry(mentions: Sequence[Mention]) -> Asymmetry | None:
    """The most specific mention decides; among equals the last."""
    ranked = [asymmetry_of(mention) for mention in mentions]
    if not ranked:
        return None
    highest = max(rank for rank, _ in ranked)
    return next(value for rank, value in reversed(ranked) if rank == highest)


def resolve_border(mentions: Sequence[Mention]) -> Border | None:
    """Strong words ("jagged") decide, even of a part; else part against part is slight.

    One notched stretch makes a border irregular in the sense of the B of ABCD; a stretch merely
    called irregular beside one called smooth makes it slightly irregular. Between "irregular" and
    "slightly irregular" the later, more specific qualification wins.
    """
    ranked = [border_of(mention) for mention in mentions]
    values = [value for _, value in ranked]
    if any(strong for strong, _ in ranked):
        return Border.IRREGULAR
    uneven = [value for value in values if value is not Border.REGULAR]
    if not uneven:
        return values[-1] if values else None
    affirmed = [m for m in mentions if m.value == Border.REGULAR and not m.negated]
    return Border.SLIGHTLY_IRREGULAR if affirmed else uneven[-1]


def resolve_pattern(
    mentions: Sequence[Mention], colours: tuple[Colour, ...]
) -> ColourPattern | None:
    """The pattern that is said, else the one that the number of colours amounts to."""
    said = [pattern for m in mentions if not m.doubted and (pattern := pattern_said(m))]
    strong = [ColourPattern(pattern) for pattern in said if pattern != WEAK_VARIEGATED]
    if strong:
        return strong[-1]
    if said and len(colours) < 2:
        return ColourPattern.VARIEGATED
    return pattern_of(colours)


def resolve_diagnosis(
    labels: Sequence[Label], diagnoses: Sequence[Diagnosis]
) -> tuple[Label | None, Diagnosis | None]:
    """Label and lesion type that are stated; the first of several that agree with each other.

    Two labels in one text, or a lesion type that contradicts the label, state nothing further.
    """
    label = labels[0] if len(set(labels)) == 1 else None
    if len(set(labels)) > 1:
        label = labels[0]
    agreeing = [d for d in diagnoses if label is None or d.label is label]
    return label, agreeing[0] if agreeing else None


def _by_axes(symmetric: bool, negated: bool, axes: str) -> Asymmetry:
    if not symmetric:
        if negated:
            return Asymmetry.SYMMETRIC
        return Asymmetry.ONE_AXIS if axes == "one" else Asymmetry.TWO_AXES
    if axes == "one":
        return Asymmetry.ONE_AXIS
    return Asymmetry.TWO_AXES if negated else Asymmetry.SYMMETRIC


def _merely_named(document: Document, mention: Mention) -> bool:
    """ "A description regarding its asymmetry" says nothing of the asymmetry."""
    for index in range(mention.first - 1, max(-1, mention.first - 6), -1):
        if document.parting(index + 1) >= Break.CLAUSE:
            return False
        if document.word(index) in _NAMING:
            return True
    return False
