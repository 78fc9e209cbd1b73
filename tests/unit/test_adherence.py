"""Scores of requested against measured attributes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, recall_score
from sklearn.preprocessing import MultiLabelBinarizer

from backend.abc.adherence import (
    AttributeScore,
    Pair,
    bootstrap_gains,
    bootstrap_intervals,
    compare_scores,
    mean_interval,
    score_attributes,
)
from backend.abc.attributes import Asymmetry, Border, Colour, Edge, LesionAttributes, SkinTone

lesions = st.builds(
    LesionAttributes,
    asymmetry=st.sampled_from(Asymmetry),
    border=st.sampled_from(Border),
    edge=st.sampled_from(Edge),
    colours=st.lists(st.sampled_from(Colour), min_size=1, max_size=4).map(tuple),
    skin_tone=st.sampled_from(SkinTone),
)


@given(st.lists(lesions, min_size=1, max_size=20))
@settings(max_examples=20, deadline=None)
def test_measuring_what_was_requested_scores_one_everywhere(requested: list[LesionAttributes]):
    scores = score_attributes([(lesion, lesion) for lesion in requested])

    assert scores == {
        "colours": 1.0,
        "border": 1.0,
        "asymmetry": 1.0,
        "skin_tone": 1.0,
        "edge": 1.0,
    }


@given(st.lists(lesions, min_size=1, max_size=20))
@settings(max_examples=20, deadline=None)
def test_lesions_that_were_not_found_score_zero_everywhere(requested: list[LesionAttributes]):
    scores = score_attributes([(lesion, LesionAttributes()) for lesion in requested])

    assert set(scores.values()) == {0.0}


@given(st.lists(st.tuples(lesions, lesions), min_size=1, max_size=20))
@settings(max_examples=30, deadline=None)
def test_scores_are_those_of_scikit_learn(pairs: list[Pair]):
    scores = score_attributes(pairs)
    asked, told = zip(*pairs, strict=True)

    for field in ("border", "asymmetry", "edge"):
        wanted = [getattr(lesion, field) for lesion in asked]
        given_back = [getattr(lesion, field) for lesion in told]
        recalls = recall_score(
            wanted, given_back, labels=sorted(set(wanted)), average="macro", zero_division=0.0
        )
        assert scores[field] == pytest.approx(recalls)
    colours = MultiLabelBinarizer(classes=list(Colour))
    assert scores["colours"] == pytest.approx(
        f1_score(
            colours.fit_transform([lesion.colours for lesion in asked]),
            colours.transform([lesion.colours for lesion in told]),
            average="micro",
        )
    )


def test_colours_are_counted_over_all_lesions_together():
    pairs = [
        (_coloured(Colour.RED, Colour.WHITE), _coloured(Colour.RED)),
        (_coloured(Colour.BLACK), _coloured(Colour.BLACK, Colour.BLUE_GRAY)),
    ]

    hits, missed, invented = 2, 1, 1
    assert score_attributes(pairs)["colours"] == pytest.approx(
        2 * hits / (2 * hits + missed + invented)
    )


def test_the_order_of_colours_does_not_matter():
    pairs = [(_coloured(Colour.RED, Colour.BLACK), _coloured(Colour.BLACK, Colour.RED))]

    assert score_attributes(pairs)["colours"] == 1.0


def test_a_rare_category_weighs_as_much_as_a_common_one():
    common = [(_bordered(Border.REGULAR), _bordered(Border.REGULAR))] * 9
    rare = [(_bordered(Border.IRREGULAR), _bordered(Border.REGULAR))]

    assert score_attributes(common + rare)["border"] == pytest.approx(0.5)


def test_skin_tone_may_miss_by_one_type_but_not_by_two():
    near = (LesionAttributes(skin_tone=SkinTone.II), LesionAttributes(skin_tone=SkinTone.III))
    far = (LesionAttributes(skin_tone=SkinTone.II), LesionAttributes(skin_tone=SkinTone.IV))

    assert score_attributes([near, far])["skin_tone"] == 0.5


def test_attributes_that_nobody_requested_are_left_out():
    assert score_attributes([(_bordered(Border.REGULAR), LesionAttributes())]) == {"border": 0.0}
    assert score_attributes([]) == {}


def test_ratio_is_score_over_ceiling_and_zero_without_a_ceiling():
    assert AttributeScore(score=0.81, ceiling=0.9).ratio == pytest.approx(0.9)
    assert AttributeScore(score=0.5, ceiling=0.0).ratio == 0.0


def test_scores_are_compared_with_the_ceilings_of_the_same_attributes():
    compared = compare_scores({"border": 0.8, "edge": 0.7}, {"border": 1.0, "colours": 0.9})

    assert compared == {"border": AttributeScore(score=0.8, ceiling=1.0)}


def test_bootstrap_intervals_hold_the_score_and_repeat_with_their_seed():
    right = (_bordered(Border.REGULAR), _bordered(Border.REGULAR))
    wrong = (_bordered(Border.REGULAR), _bordered(Border.IRREGULAR))
    pairs = [right] * 30 + [wrong] * 10

    interval = bootstrap_intervals(pairs, resamples=200, seed=4)["border"]

    assert interval.low < score_attributes(pairs)["border"] < interval.high
    assert bootstrap_intervals(pairs, resamples=200, seed=4)["border"] == interval
    assert bootstrap_intervals([], resamples=10) == {}


def _coloured(*colours: Colour) -> LesionAttributes:
    return LesionAttributes(colours=colours)


def _bordered(border: Border) -> LesionAttributes:
    return LesionAttributes(border=border)


@given(st.lists(lesions, min_size=2, max_size=20))
@settings(max_examples=20, deadline=None)
def test_answering_everything_gains_what_was_missing(requested: list[LesionAttributes]):
    right = [(lesion, lesion) for lesion in requested]
    wrong = [(lesion, LesionAttributes()) for lesion in requested]

    gains = bootstrap_gains(wrong, right, resamples=20)
    assert gains.keys() == score_attributes(right).keys()
    assert {(gain.low, gain.high) for gain in gains.values()} == {(1.0, 1.0)}
    assert all(
        gain.low == gain.high == 0 for gain in bootstrap_gains(right, right, resamples=20).values()
    )


def test_a_paired_interval_is_narrower_than_one_of_unpaired_scores():
    lesion = LesionAttributes(border=Border.REGULAR)
    missed = LesionAttributes(border=Border.IRREGULAR)
    before = [(lesion, lesion if turn % 2 else missed) for turn in range(100)]
    after = [(lesion, lesion), *before[1:]]

    alone = bootstrap_intervals(before)["border"]
    paired = bootstrap_gains(before, after)["border"]
    assert 0 <= paired.low <= 0.01 <= paired.high <= 0.05
    assert paired.high - paired.low < (alone.high - alone.low) / 2


def test_the_interval_of_a_mean_holds_the_mean_and_shrinks_with_more_values():
    few, many = mean_interval([0.0, 1.0] * 5), mean_interval([0.0, 1.0] * 500)
    assert few.low < many.low < 0.5 < many.high < few.high
    assert mean_interval([0.25]) == mean_interval([0.25, 0.25])
