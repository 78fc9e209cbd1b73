"""What people decide about pairs of images."""

from enum import StrEnum


class PairState(StrEnum):
    """What is held of a pair of images that look like one picture."""

    SUGGESTED = "suggested"
    CONFIRMED = "confirmed"
    DISMISSED = "dismissed"
