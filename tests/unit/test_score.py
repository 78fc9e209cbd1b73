"""The partial ABCD score against values worked out by hand from the rule."""

from hypothesis import given, settings
from hypothesis import strategies as st

from backend.abc.attributes import Asymmetry, Colour, Edge, LesionAttributes
from backend.abc.score import Interval, partial_abcd

unhurried = settings(deadline=None)  # a busy machine is no failure
attributes = st.builds(
    LesionAttributes,
    asymmetry=st.none() | st.sampled_from(Asymmetry),
    edge=st.none() | st.sampled_from(Edge),
    colours=st.lists(st.sampled_from(Colour), unique=True).map(tuple),
)


def test_a_fully_described_lesion_has_one_number_for_abc() -> None:
    score = partial_abcd(
        LesionAttributes(
            asymmetry=Asymmetry.TWO_AXES,
            edge=Edge.WELL_DEFINED,
            colours=(Colour.DARK_BROWN, Colour.BLACK, Colour.BLUE_GRAY),
        )
    )

    assert score is not None
    assert score.points == Interval(4.9, 4.9)  # 2 x 1.3 + 8 x 0.1 + 3 x 0.5
    assert score.total == Interval(5.4, 7.4)  # 1 to 5 structures add 0.5 to 2.5


def test_the_mildest_lesion_scores_the_least_the_rule_can_give() -> None:
    score = partial_abcd(
        LesionAttributes(
            asymmetry=Asymmetry.SYMMETRIC, edge=Edge.FADING, colours=(Colour.LIGHT_BROWN,)
        )
    )

    assert score is not None
    assert score.points == Interval(0.5, 0.5)
    assert score.total == Interval(1.0, 3.0)


def test_what_is_not_said_is_an_interval() -> None:
    score = partial_abcd(LesionAttributes(asymmetry=Asymmetry.ONE_AXIS))

    assert score is not None
    assert score.asymmetry == Interval(1.3, 1.3)
    assert score.border == Interval(0.0, 0.8)
    assert score.colours == Interval(0.5, 3.0)


def test_a_caption_without_abc_has_no_score() -> None:
    assert partial_abcd(LesionAttributes(diameter_mm=6)) is None


def test_the_sentence_says_that_it_is_no_diagnosis() -> None:
    score = partial_abcd(LesionAttributes(colours=(Colour.RED,)))

    assert score is not None
    assert "teaching aid, not a diagnosis" in score.sentence
    assert str(score.points) in score.sentence


@unhurried
@given(attributes)
def test_points_stay_within_the_rule_and_the_total_adds_the_structures(
    said: LesionAttributes,
) -> None:
    score = partial_abcd(said)

    if score is not None:
        assert 0.5 <= score.points.low <= score.points.high <= 6.4
        assert score.total == score.points + Interval(0.5, 2.5)


@unhurried
@given(attributes, st.sampled_from(Asymmetry))
def test_saying_more_never_widens_the_interval(
    said: LesionAttributes, asymmetry: Asymmetry
) -> None:
    before = partial_abcd(said.model_copy(update={"asymmetry": None}))
    after = partial_abcd(said.model_copy(update={"asymmetry": asymmetry}))

    if before is not None and after is not None:
        assert before.points.low <= after.points.low <= after.points.high <= before.points.high
