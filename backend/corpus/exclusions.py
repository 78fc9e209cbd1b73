"""Why an image, a row or a file of a dataset is left out."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """The kinds of reasons, for a filter."""

    BROKEN = "broken"
    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    REFUSED = "refused"
    DUPLICATE_ROW = "duplicate_row"
    DUPLICATE_FILE = "duplicate_file"
    DROPPED = "dropped_by_rule"
    NO_IMAGE = "row_without_image"
    NO_ROW = "image_without_row"
    BAD_ROW = "bad_row"


@dataclass(frozen=True, slots=True, order=True)
class LeftOut:
    """What is left out; `place` is the path of a file, or a table and a line of it."""

    place: str
    reason: Reason
    detail: str
