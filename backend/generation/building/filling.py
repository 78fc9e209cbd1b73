"""What the places of a build share while they are filled, wherever candidates are made."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from backend.abc.attributes import Label
from backend.generation.building.judging import Judgement, Thumbnails
from backend.generation.building.ledger import Settled
from backend.generation.building.task import BuildTask, Place


@dataclass(frozen=True)
class Made:
    """A candidate that was made: what is in it, and how it enters the gallery.

    Its judgement knows nothing of the other members. `keep` raises FileError or StoreError.
    """

    judgement: Judgement
    keep: Callable[[], None]


MakeCandidate = Callable[[Place, int], Made]
"""Makes the candidate of a place with the number of an attempt."""


class Filling:
    """Guards members so far and attempts spent; places are filled in their order."""

    def __init__(
        self, task: BuildTask, spots: Sequence[Place], settled: Mapping[int, Settled]
    ) -> None:
        self.task = task
        self.spots = spots
        self.settled = settled
        self.members = Thumbnails(len(spots))
        self.spent: Counter[Label | None] = Counter()
        self.rejected = 0
        self._sizes = Counter(place.label for place in spots)

    def allows_round(self, label: Label | None, spent: Mapping[Label | None, int]) -> bool:
        """Whether a class may have `best_of` candidates more after so many."""
        return spent[label] + self.task.best_of <= self.task.attempts * self._sizes[label]


def rank(judgement: Judgement, attempt: int) -> tuple[float, float, int]:
    """Better agreement first, then the surer mask, then the earlier attempt."""
    return judgement.agreement, judgement.confidence, -attempt
