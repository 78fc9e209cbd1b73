"""What a check found in a caption: its name, how grave it is, why in words, and where."""

from dataclasses import dataclass
from enum import StrEnum


class Check(StrEnum):
    """What is looked for; `words` says it for people."""

    ASYMMETRY = "asymmetry"
    BORDER = "border"
    COLOUR = "colour"
    LABEL = "label"
    LEAKAGE = "leakage"
    SIZE = "size"
    HISTORY = "history"
    SYMPTOMS = "symptoms"
    REPETITION = "repetition"
    TRUNCATION = "truncation"
    REFUSAL = "refusal"
    LANGUAGE = "language"
    SILENCE = "silence"

    @property
    def words(self) -> str:
        """For lists and filters."""
        return _WORDS[self]


_WORDS = {
    Check.ASYMMETRY: "Asymmetry contradicts the image",
    Check.BORDER: "Border contradicts the image",
    Check.COLOUR: "Colour contradicts the image",
    Check.LABEL: "Contradicts the label",
    Check.LEAKAGE: "Gives the label away",
    Check.SIZE: "Size without a scale",
    Check.HISTORY: "History that no image shows",
    Check.SYMPTOMS: "Symptoms that no image shows",
    Check.REPETITION: "Repeats itself",
    Check.TRUNCATION: "Breaks off",
    Check.REFUSAL: "Refuses, or speaks of itself",
    Check.LANGUAGE: "Not English",
    Check.SILENCE: "Says nothing of A, B or C",
}


class Severity(StrEnum):
    """How much a finding matters for training on the caption."""

    ERROR = "error"
    """Not to be trained on as it stands."""
    WARNING = "warning"
    """A person should look."""
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """`spans` are the characters that gave rise to it, as (start, end); none for the whole."""

    check: Check
    severity: Severity
    reason: str
    spans: tuple[tuple[int, int], ...] = ()
