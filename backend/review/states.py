"""The words of reviewing: what is reviewed, what can be answered, and how far a set is."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class ReviewKind(StrEnum):
    """What a set asks of its items."""

    CAPTIONS = "captions"
    IMAGES = "images"
    REAL_OR_SYNTHETIC = "real_or_synthetic"


class Strategy(StrEnum):
    """How the items of a set are chosen and ordered."""

    STRATIFIED = "stratified"
    """Drawn by a seed, in equal or proportional parts of each stratum."""
    FLAGGED = "flagged"
    """Everything that a check flagged, the gravest first."""
    ACTIVE = "active"
    """Where captions disagree most with the measurement and with each other comes first."""


class Stratum(StrEnum):
    """What a stratified draw is balanced over."""

    LABEL = "label"
    DATASET = "dataset"
    SKIN_TONE = "skin_tone"


class SetState(StrEnum):
    """Whether a set takes verdicts."""

    OPEN = "open"
    CLOSED = "closed"


class Answer(StrEnum):
    """The overall verdict."""

    APPROVE = "approve"
    EDIT = "edit"
    REJECT = "reject"
    REAL = "real"
    SYNTHETIC = "synthetic"
    SKIP = "skip"
    FLAG = "flag"

    @property
    def decides(self) -> bool:
        """Whether it is an opinion; the others are missing values for agreement."""
        return self not in (Answer.SKIP, Answer.FLAG)


class Mark(StrEnum):
    """The verdict on one attribute."""

    APPROVE = "approve"
    EDIT = "edit"
    REJECT = "reject"
    UNSURE = "unsure"


class Action(StrEnum):
    """What an event of the audit trail records."""

    CREATED = "created"
    VERDICT = "verdict"
    UNDONE = "undone"
    ADJUDICATED = "adjudicated"
    GUIDELINES = "guidelines"
    CLOSED = "closed"
    REOPENED = "reopened"
    VERSION = "version"
    IMPORTED = "imported"


class Origin(StrEnum):
    """How a text came into a caption set."""

    APPROVED = "approved"
    EDITED = "edited"
    ADJUDICATED = "adjudicated"
    IMPORTED = "imported"


ATTRIBUTES: Mapping[ReviewKind, Mapping[str, str]] = MappingProxyType(
    {
        ReviewKind.CAPTIONS: {
            "asymmetry": "Is the asymmetry as the caption says?",
            "border": "Is the border as the caption says?",
            "colours": "Are the colours as the caption says?",
        },
        ReviewKind.IMAGES: {
            "realistic": "Could this be a photograph of real skin?",
            "label_consistent": "Does the lesion fit its label?",
            "caption_consistent": "Does the image show what its caption asks for?",
            "artefact_free": "Is the image free of artefacts that disturb?",
        },
        ReviewKind.REAL_OR_SYNTHETIC: {},
    }
)
"""Attribute and its question, in the order of the page."""

ANSWERS: Mapping[ReviewKind, tuple[Answer, ...]] = MappingProxyType(
    {
        ReviewKind.CAPTIONS: (
            Answer.APPROVE,
            Answer.EDIT,
            Answer.REJECT,
            Answer.SKIP,
            Answer.FLAG,
        ),
        ReviewKind.IMAGES: (Answer.APPROVE, Answer.REJECT, Answer.SKIP, Answer.FLAG),
        ReviewKind.REAL_OR_SYNTHETIC: (Answer.REAL, Answer.SYNTHETIC, Answer.SKIP, Answer.FLAG),
    }
)

MARKS: Mapping[ReviewKind, tuple[Mark, ...]] = MappingProxyType(
    {
        ReviewKind.CAPTIONS: tuple(Mark),
        ReviewKind.IMAGES: (Mark.APPROVE, Mark.REJECT, Mark.UNSURE),
        ReviewKind.REAL_OR_SYNTHETIC: (),
    }
)

REASONS: Mapping[ReviewKind, tuple[str, ...]] = MappingProxyType(
    {
        ReviewKind.CAPTIONS: (
            "Wrong asymmetry",
            "Wrong border",
            "Wrong colours",
            "Gives the label away",
            "Says what no image shows",
            "The image is of no use",
        ),
        ReviewKind.IMAGES: (
            "Not realistic",
            "Does not fit the label",
            "Does not fit the caption",
            "Artefacts",
        ),
        ReviewKind.REAL_OR_SYNTHETIC: (),
    }
)
"""Offered for a rejection; any other words do as well."""
