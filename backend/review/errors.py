"""What a person may hear of reviewing."""

from typing import TYPE_CHECKING

from backend.errors import DermaFluxError

if TYPE_CHECKING:
    from backend.review.views import VerdictView


class ReviewError(DermaFluxError):
    """A review set, a verdict or a caption set cannot be made or changed as asked."""


class ReviewMissingError(ReviewError):
    """There is no such review set, item or caption set."""


class ReviewTakenError(ReviewError):
    """A name is taken, or what this was based on has changed."""


class ReviewForbiddenError(ReviewError):
    """This person may not see or do this in this set."""


class ReviewClosedError(ReviewError):
    """The set, or the item, takes no verdict any more."""


class StaleVerdictError(ReviewError):
    """Somebody, or the same person in another window, has changed what this was based on.

    `current` is what is there now; None where it is another adjudicator's and hidden.
    """

    def __init__(self, sentence: str, current: "VerdictView | None") -> None:
        super().__init__(sentence)
        self.current = current
