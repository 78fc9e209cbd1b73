"""However candidates are made ahead, every one that a place needs comes, and none comes twice."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from backend.abc.attributes import Label, LesionAttributes
from backend.generation.building.filling import Filling, rank
from backend.generation.building.judging import THUMBNAIL_SIDE, Judgement, compared
from backend.generation.building.task import Place, candidate_seed, make_task
from backend.generation.building.waves import Number, next_wave
from backend.generation.design.table import DesignRow
from backend.store.tables import Verdict

TASK = {"name": "Set", "table": "ab" * 32, "rules": {"max_correlation": 0.9}}
JudgeOne = Callable[[Place, Number], Judgement]
LABELS = (Label.BENIGN, Label.MALIGNANT)


def judgement_of(number: Number, kinds: int, rejects: bool) -> Judgement:
    """Depends on the number alone, as a candidate does; few kinds make many near-duplicates."""
    seed = candidate_seed(0, *number)
    shade = bytes([seed % kinds, 7, 90]) + bytes(THUMBNAIL_SIDE * THUMBNAIL_SIDE * 3 - 3)
    verdict = Verdict.NO_LESION if rejects and seed % 5 == 0 else Verdict.PASSED
    return Judgement(verdict, seed % 11 / 10, seed % 7 / 6, LesionAttributes(), "", shade)


def fill(filling: Filling, judge_one: JudgeOne) -> dict[int, Number]:
    """The winners, place by place, as a build decides them."""
    best_of, winners = filling.task.best_of, {}
    for place in filling.spots:
        first = 0
        while filling.allows_round(place.label, filling.spent):
            numbers = [(place.position, n) for n in range(first, first + best_of)]
            seen = {number: judge_one(place, number) for number in numbers}
            filling.spent[place.label] += best_of
            passed = {
                number: one
                for number, judgement in seen.items()
                if (one := compared(judgement, filling.task.rules, filling.members)).verdict
                is Verdict.PASSED
            }
            if passed:
                winner = max(passed, key=lambda number: rank(passed[number], number[1]))
                filling.members.add(passed[winner].thumbnail)
                winners[place.position] = winner
                break
            first += best_of
    return winners


@settings(deadline=None, max_examples=40)
@given(
    spots=st.integers(1, 24),
    best_of=st.integers(1, 3),
    attempts=st.integers(3, 8),
    kinds=st.integers(2, 200),
    rejects=st.booleans(),
    limit=st.integers(1, 40),
)
def test_waves_bring_what_each_place_needs_and_the_set_is_the_same(
    spots: int, best_of: int, attempts: int, kinds: int, rejects: bool, limit: int
) -> None:
    task = make_task(TASK | {"best_of": best_of, "attempts": attempts})
    row = DesignRow(attributes=LesionAttributes(), caption="A lesion.", seed=0)
    places = [Place(position, LABELS[position % 2], row) for position in range(spots)]
    plain = fill(Filling(task, places, {}), lambda _, number: judgement_of(number, kinds, rejects))
    filling = Filling(task, places, {})
    judged: dict[Number, Judgement] = {}
    made: list[Number] = []

    def from_waves(place: Place, number: Number) -> Judgement:
        if number not in judged:
            wave = next_wave(filling, place, number[1], judged, limit)
            assert wave[0] == number
            assert len(wave) < limit + best_of
            made.extend(wave)
            judged.update({one: judgement_of(one, kinds, rejects) for one in wave})
        return judged[number]

    assert fill(filling, from_waves) == plain
    assert len(made) == len(set(made))
    assert set(plain.values()) <= set(made)


def test_one_wave_is_enough_where_nothing_is_rejected() -> None:
    task = make_task(TASK | {"best_of": 4, "rules": {"max_correlation": 1}})
    row = DesignRow(attributes=LesionAttributes(), caption="A lesion.", seed=0)
    places = [Place(position, None, row) for position in range(50)]
    wave = next_wave(Filling(task, places, {}), places[0], 0, {}, 1000)
    assert wave == [(position, attempt) for position in range(50) for attempt in range(4)]
