"""Which candidates many machines make at once, though a set is decided place by place."""

from collections.abc import Mapping

from backend.generation.building.filling import Filling, rank
from backend.generation.building.judging import Judgement, Thumbnails, compared
from backend.generation.building.task import Place
from backend.store.tables import Verdict

Number = tuple[int, int]
"""Position and attempt of a candidate."""


def next_wave(
    filling: Filling,
    place: Place,
    attempt: int,
    judged: Mapping[Number, Judgement],
    limit: int,
) -> list[Number]:
    """What `place` needs from `attempt` on, then about `limit` candidates for the places after it.

    Whether a later place needs another round is foreseen from what was judged already. A wrong
    guess costs a candidate or a wait; the set does not depend on it.
    """
    best_of = filling.task.best_of
    end = (attempt // best_of + 1) * best_of
    wave = [(place.position, n) for n in range(attempt, end) if (place.position, n) not in judged]
    foresight = _Foresight(filling, place, judged)
    for later in filling.spots[place.position + 1 :]:
        if len(wave) >= limit:
            break
        wave += foresight.missing(later)
    return wave


class _Foresight:
    """Guards a guess at how the places after one will be filled."""

    def __init__(self, filling: Filling, place: Place, judged: Mapping[Number, Judgement]) -> None:
        self._filling = filling
        self._judged = judged
        self._spent = filling.spent.copy()
        self._spent[place.label] += filling.task.best_of
        self._members = Thumbnails(len(filling.spots))

    def missing(self, place: Place) -> list[Number]:
        """The candidates that this place is the first round to lack."""
        filling, best_of = self._filling, self._filling.task.best_of
        settled = filling.settled.get(place.position)
        if settled is not None:
            self._spent[place.label] += settled.attempts
            self._members.add(settled.thumbnail)
            return []
        first = 0
        while filling.allows_round(place.label, self._spent):
            self._spent[place.label] += best_of
            numbers = [(place.position, n) for n in range(first, first + best_of)]
            missing = [number for number in numbers if number not in self._judged]
            if missing:
                return missing
            if self._fills(numbers):
                return []
            first += best_of
        return []

    def _fills(self, numbers: list[Number]) -> bool:
        rules, members = self._filling.task.rules, self._filling.members
        fit = {
            number: judgement
            for number in numbers
            if (judgement := compared(self._judged[number], rules, members, self._members)).verdict
            is Verdict.PASSED
        }
        if not fit:
            return False
        best = max(fit, key=lambda number: rank(fit[number], number[1]))
        self._members.add(fit[best].thumbnail)
        return True
