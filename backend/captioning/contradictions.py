"""Where a caption says otherwise than its image, as it was measured, or than its label."""

from collections.abc import Iterator, Sequence
from enum import StrEnum

from backend.abc.attributes import Asymmetry, Border, Colour, Label
from backend.abc.reading import Reading
from backend.captioning.findings import Check, Finding, Severity
from backend.captioning.seen import Seen

MIN_CONFIDENCE = 0.6
"""Where the meter is less sure than this, it does not contradict."""
_SCALES: dict[str, Sequence[StrEnum]] = {"asymmetry": list(Asymmetry), "border": list(Border)}
_CHECKS = {"asymmetry": Check.ASYMMETRY, "border": Check.BORDER}
_WORDS = {
    Asymmetry.SYMMETRIC: "symmetric",
    Asymmetry.ONE_AXIS: "asymmetric in one axis",
    Asymmetry.TWO_AXES: "asymmetric in two axes",
    Border.REGULAR: "regular",
    Border.SLIGHTLY_IRREGULAR: "slightly irregular",
    Border.IRREGULAR: "irregular",
}


def against_image(reading: Reading, seen: Seen) -> Iterator[Finding]:
    """A, B and each colour that the caption states or denies against what was measured.

    Neighbouring grades are a note, since people draw that line differently; opposite ones an error.
    """
    for field, scale in _SCALES.items():
        said, measured = getattr(reading.attributes, field), getattr(seen.attributes, field)
        sure = seen.confidence.get(field, 0.0)
        if said is None or measured is None or said is measured or sure < MIN_CONFIDENCE:
            continue
        apart = abs(scale.index(said) - scale.index(measured))
        yield Finding(
            _CHECKS[field],
            Severity.ERROR if apart > 1 else Severity.NOTE,
            f"The caption says {_WORDS[said]}; the image measures {_WORDS[measured]} "
            f"({sure:.0%} sure).",
            _spans(reading, field, {said.value}),
        )
    yield from _colours(reading, seen)


def against_label(reading: Reading, label: Label | None) -> Iterator[Finding]:
    """A label, or a lesion type, that the caption states and that is not that of the image."""
    if label is None:
        return
    said, diagnosis = reading.attributes.label, reading.attributes.diagnosis
    if said is not None and said is not label:
        where = _spans(reading, "label", {said.value})
        yield Finding(
            Check.LABEL, Severity.ERROR, f"The caption says {said}, the label is {label}.", where
        )
    elif diagnosis is not None and diagnosis.label is not label:
        where = _spans(reading, "diagnosis", {diagnosis.value})
        named = diagnosis.value.replace("_", " ")
        yield Finding(
            Check.LABEL,
            Severity.ERROR,
            f"The caption names a {named}, which is {diagnosis.label}, and the label is {label}.",
            where,
        )
    elif label.value in reading.denied.get("label", ()):
        yield Finding(
            Check.LABEL,
            Severity.ERROR,
            f"The caption denies what the label says: {label}.",
            _spans(reading, "label", {label.value}),
        )


def _colours(reading: Reading, seen: Seen) -> Iterator[Finding]:
    stated = set(reading.attributes.colours)
    denied = reading.denied.get("colours", frozenset())
    for colour in Colour:
        there = seen.colours.get(colour, 0.0)
        name = colour.value.replace("_", " ")
        if colour in stated and there <= 1 - MIN_CONFIDENCE:
            reason = f"The caption names {name}; the image shows none ({1 - there:.0%} sure)."
        elif colour.value in denied and there >= MIN_CONFIDENCE:
            reason = f"The caption denies {name}; the image shows it ({there:.0%} sure)."
        elif stated and colour not in stated and there >= MIN_CONFIDENCE:
            reason = f"The image shows {name} ({there:.0%} sure); the caption does not name it."
        else:
            continue
        severity = Severity.WARNING if colour in stated or colour.value in denied else Severity.NOTE
        yield Finding(Check.COLOUR, severity, reason, _spans(reading, "colours", {colour.value}))


def _spans(reading: Reading, field: str, values: set[str]) -> tuple[tuple[int, int], ...]:
    return tuple(
        (said.start, said.end)
        for said in reading.evidence
        if said.field == field and said.value in values
    )
