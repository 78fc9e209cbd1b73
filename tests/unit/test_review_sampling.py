"""Draws for review: the parts are as asked, the seed decides, the order of candidates does not."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from backend.abc.attributes import Label
from backend.review.sampling import Candidate, drawn, equal_parts, proportional_parts, ranked
from backend.review.states import Stratum

SIZES = st.dictionaries(st.tuples(st.text(max_size=3)), st.integers(0, 40), max_size=8)


def candidates(count: int) -> list[Candidate]:
    return [
        Candidate(
            f"image{n:03d}",
            None,
            "",
            (Label.BENIGN, Label.MALIGNANT)[n % 10 == 0],
            ("a", "b")[n % 2],
            str(n),
            "",
            rank=float(-n),
        )
        for n in range(count)
    ]


@given(SIZES, st.integers(0, 300))
def test_parts_add_up_and_none_is_larger_than_its_stratum(
    sizes: dict[tuple[str, ...], int], total: int
) -> None:
    for parts in (
        equal_parts(sizes, total),
        proportional_parts(sizes, min(total, sum(sizes.values()))),
    ):
        assert sum(parts.values()) == min(total, sum(sizes.values()))
        assert all(0 <= parts[cell] <= size for cell, size in sizes.items())


def test_a_balanced_draw_takes_as_many_of_each_label_as_there_are() -> None:
    balanced = drawn(candidates(100), 20, (Stratum.LABEL,), balanced=True, seed=1)
    assert Counter(one.label for one in balanced) == {Label.BENIGN: 10, Label.MALIGNANT: 10}
    in_proportion = drawn(candidates(100), 20, (Stratum.LABEL,), balanced=False, seed=1)
    assert Counter(one.label for one in in_proportion) == {Label.BENIGN: 18, Label.MALIGNANT: 2}


def test_the_same_seed_draws_the_same_in_any_order_of_candidates() -> None:
    mixed = candidates(100)
    random.Random(3).shuffle(mixed)
    strata = (Stratum.LABEL, Stratum.DATASET)
    first = drawn(candidates(100), 30, strata, balanced=True, seed=1)
    assert drawn(mixed, 30, strata, balanced=True, seed=1) == first
    assert drawn(mixed, 30, strata, balanced=True, seed=2) != first


def test_what_is_ranked_comes_by_rank() -> None:
    assert [one.image_id for one in ranked(candidates(100), 2)] == ["image099", "image098"]
