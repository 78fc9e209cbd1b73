"""No split puts one patient, lesion or near-duplicate group on both sides."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.corpus.duplicates import DuplicatePair, Likeness
from backend.corpus.errors import CorpusError
from backend.corpus.leakage import LeakageError, find_leakage, require_clean
from backend.corpus.pictures import Picture
from backend.corpus.splits import split_pictures

RATIOS = {"train": 0.7, "validation": 0.1, "test": 0.2}


def picture(name: str, patient: str | None = None, lesion: str | None = None) -> Picture:
    return Picture(name, Path(f"{name}.png"), patient, lesion)


@st.composite
def collections_of_pictures(
    draw: st.DrawFn,
) -> tuple[list[Picture], dict[str, str], list[tuple[str, str]]]:
    count = draw(st.integers(1, 60))
    owner = st.one_of(st.none(), st.sampled_from([f"{n}" for n in range(12)]))
    pictures = [picture(f"i{n}", draw(owner), draw(owner)) for n in range(count)]
    ids = st.sampled_from([one.image_id for one in pictures])
    pairs = draw(st.lists(st.tuples(ids, ids), max_size=30))
    labels = {one.image_id: draw(st.sampled_from(("benign", "malignant"))) for one in pictures}
    return pictures, labels, pairs


@settings(max_examples=200, deadline=None)
@given(collections_of_pictures(), st.integers(0, 2**32 - 1))
def test_no_split_puts_a_patient_a_lesion_or_a_duplicate_on_both_sides(
    drawn: tuple[list[Picture], dict[str, str], list[tuple[str, str]]], seed: int
) -> None:
    pictures, labels, pairs = drawn
    splits = split_pictures(pictures, labels, pairs, RATIOS, seed=seed)
    assert set(splits) == {one.image_id for one in pictures}
    for field in ("patient_id", "lesion_id"):
        owners: dict[str, set[str]] = {}
        for one in pictures:
            if getattr(one, field):
                owners.setdefault(getattr(one, field), set()).add(splits[one.image_id])
        assert all(len(sides) == 1 for sides in owners.values())
    assert all(splits[first] == splits[second] for first, second in pairs)
    reversed_order = split_pictures(pictures[::-1], labels, pairs[::-1], RATIOS, seed=seed)
    assert reversed_order == splits


def test_labels_come_near_their_shares_where_groups_are_small() -> None:
    pictures = [picture(f"i{n:04}", patient=f"p{n // 3}") for n in range(3000)]
    labels = {
        one.image_id: "malignant" if n % 30 < 6 else "benign" for n, one in enumerate(pictures)
    }
    splits = split_pictures(pictures, labels, [], RATIOS, seed=1)
    counts = Counter((splits[name], label) for name, label in labels.items())
    totals = Counter(labels.values())
    for split, share in RATIOS.items():
        for label, total in totals.items():
            assert counts[split, label] / total == pytest.approx(share, abs=0.01)


def test_another_seed_deals_otherwise() -> None:
    pictures = [picture(f"i{n}") for n in range(100)]
    dealt = [split_pictures(pictures, {}, [], RATIOS, seed=seed) for seed in (0, 1)]
    assert dealt[0] != dealt[1]


@pytest.mark.parametrize(
    "ratios", [{}, {"train": 1.0}, {"train": 1.0, "test": 0.0}, {"a": float("nan"), "b": 1.0}]
)
def test_shares_that_make_no_split_are_refused(ratios: dict[str, float]) -> None:
    with pytest.raises(CorpusError, match="share above 0"):
        split_pictures([picture("a")], {}, [], ratios)


def test_an_image_that_occurs_twice_is_named() -> None:
    with pytest.raises(CorpusError, match="image a occurs twice"):
        split_pictures([picture("a"), picture("a")], {}, [], RATIOS)


def test_leakage_names_each_kind_of_what_is_shared() -> None:
    train = [picture("a", "p1", "l1"), picture("b", "", ""), picture("same")]
    test = [picture("c", "p1", "l1"), picture("d", "", ""), picture("same"), picture("e")]
    pairs = [
        DuplicatePair("b", "d", Likeness.NEAR, 0.9, "mirrored"),
        DuplicatePair("b", "e", Likeness.PIXELS, 1.0, "as it is"),
        DuplicatePair("d", "e", Likeness.NEAR, 0.9, "mirrored"),
    ]
    leakage = find_leakage(("train", train), ("test", test), pairs)
    assert (leakage.patients, leakage.lesions, leakage.same) == (("p1",), ("l1",), ("same",))
    assert leakage.near == (pairs[0],)
    assert leakage.exact == (pairs[1],)
    assert "1 pair of near-duplicates" in leakage.summary
    require_clean(leakage, "report")
    with pytest.raises(LeakageError, match="DERMAFLUX_LEAKAGE=report"):
        require_clean(leakage, "refuse")


def test_a_dismissed_pair_is_no_leak() -> None:
    pair = DuplicatePair("a", "b", Likeness.NEAR, 0.9, "mirrored")
    sides = ("train", [picture("a")]), ("test", [picture("b")])
    assert not find_leakage(*sides, [pair]).clean
    dismissed = find_leakage(*sides, [pair], dismissed={("a", "b")})
    assert dismissed.clean
    require_clean(dismissed, "refuse")
    assert "share no known patient" in dismissed.summary
