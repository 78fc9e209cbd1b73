"""What a build decides: agreement, near-duplicates, rules, places and the seeds of candidates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.abc.adherence import score_attributes
from backend.abc.agreement import agreement
from backend.abc.attributes import Asymmetry, Border, Colour, Label, LesionAttributes
from backend.generation.building.judging import Thumbnails, compared, judge, thumbnail_of
from backend.generation.building.task import (
    BuildError,
    Rules,
    candidate_request,
    candidate_seed,
    make_task,
    places,
)
from backend.generation.design.design import make_design
from backend.generation.design.table import write_table
from backend.images import Pixels
from backend.phantom import render
from backend.store.tables import Verdict
from tests.unit.test_grammar import lesions

LESION = LesionAttributes(
    asymmetry=Asymmetry.SYMMETRIC, border=Border.REGULAR, colours=(Colour.DARK_BROWN,)
)
TASK = {"name": "First set", "table": "ab" * 32}
NO_RULES = Rules(lesion=False, min_confidence=0, max_correlation=1)


@settings(deadline=None, max_examples=50)
@given(lesions, lesions)
def test_agreement_is_what_adherence_says_of_a_single_image(
    requested: LesionAttributes, measured: LesionAttributes
) -> None:
    scores = score_attributes([(requested, measured)])
    assert agreement(requested, measured) == pytest.approx(np.mean(list(scores.values())))
    assert agreement(requested, requested) == 1.0
    assert agreement(requested, LesionAttributes()) == 0.0
    assert agreement(LesionAttributes(), measured) == 1.0


@settings(deadline=None, max_examples=20)
@given(st.lists(st.binary(min_size=1728, max_size=1728), min_size=2, max_size=5, unique=True))
def test_thumbnails_are_compared_by_correlation(thumbnails: list[bytes]) -> None:
    *members, new = thumbnails
    collection = Thumbnails(len(members))
    assert collection.nearest(new) == -1.0
    for member in members:
        collection.add(member)
    with np.errstate(invalid="ignore"):
        rows = [np.frombuffer(data, dtype=np.uint8).astype(float) for data in thumbnails]
        correlations = np.nan_to_num(np.corrcoef(rows))[-1, :-1]
    assert collection.nearest(new) == pytest.approx(correlations.max(), abs=1e-4)


def verdict(pixels: Pixels, rules: Rules, members: Thumbnails) -> Verdict:
    return compared(judge(pixels, LESION, rules)[0], rules, members).verdict


def test_rules_reject_plain_skin_an_unsure_mask_and_a_near_duplicate() -> None:
    members = Thumbnails(2)
    lesion = render(LESION, size=128, seed=1).image
    noise = np.random.default_rng(0).integers(-3, 4, lesion.shape)
    copy = np.clip(lesion.astype(int) + noise, 0, 255).astype(np.uint8)
    other = render(LESION, size=128, seed=2).image
    skin = np.full_like(lesion, 200)

    passed, measurement = judge(lesion, LESION, Rules())
    assert passed.verdict is Verdict.PASSED
    assert passed.measured == measurement.attributes
    assert verdict(skin, Rules(), members) is Verdict.NO_LESION
    assert verdict(skin, NO_RULES, members) is Verdict.PASSED
    sure = passed.confidence
    strict = Rules(min_confidence=1.0)
    assert (verdict(lesion, strict, members) is Verdict.UNSURE) is (sure < 1)
    assert verdict(skin, Rules(lesion=False), members) is Verdict.UNSURE
    members.add(passed.thumbnail)
    assert verdict(copy, Rules(), members) is Verdict.DUPLICATE
    assert members.nearest(thumbnail_of(copy)) > 0.985
    assert verdict(copy, NO_RULES, members) is Verdict.PASSED
    assert members.nearest(thumbnail_of(other)) < 0.985


def test_places_take_turns_among_classes_and_repeat_captions() -> None:
    table = write_table(
        make_design(
            {
                "vary": {"diagnosis": ["nevus", "solar_lentigo", "melanoma"]},
                "balanced": False,
            }
        )
    )
    task = make_task(TASK | {"per_class": 3})
    spots = places(task, table)
    assert [spot.position for spot in spots] == list(range(6))
    assert [spot.label for spot in spots] == [Label.BENIGN, Label.MALIGNANT] * 3
    benign = [spot.row for spot in spots if spot.label is Label.BENIGN]
    assert benign[0] == benign[2] != benign[1]
    assert len(places(make_task(TASK), table)) == 3
    with pytest.raises(BuildError, match=r"at most 50,000 images, not 60,000"):
        places(make_task(TASK | {"per_class": 30_000}), table)


@given(st.integers(0, 2**32 - 1), st.integers(0, 10**5), st.integers(0, 1000))
def test_the_seed_of_a_candidate_is_a_function_of_build_place_and_attempt(
    seed: int, position: int, attempt: int
) -> None:
    made = candidate_seed(seed, position, attempt)
    assert made == candidate_seed(seed, position, attempt)
    assert 0 <= made < 2**32
    assert made != candidate_seed(seed, position, attempt + 1)


def test_a_candidate_is_an_ordinary_request_with_its_template() -> None:
    design = make_design({"vary": {"border": ["regular"]}, "template": "A {border} border."})
    (row,) = write_table(design).rows
    task = make_task(TASK | {"seed": 5, "steps": 3})
    (place,) = places(task, write_table(design))
    request = candidate_request(task, place, 2)
    assert (request.template, request.caption) == ("A {border} border.", row.caption)
    assert (request.seed, request.steps, request.count) == (candidate_seed(5, 0, 2), 3, 1)
    assert request.attributes == row.attributes


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": " \n"}, "The name of a set has 1 to 80 characters"),
        ({"name": "x" * 81}, "The name of a set"),
        ({"best_of": 17}, "best of of the build should be"),
        ({"best_of": 4, "attempts": 3}, "3 attempts an image are fewer than the 4"),
        ({"per_class": 0}, "per class of the build"),
        ({"rules": {"max_correlation": 2}}, "rules max correlation of the build"),
        ({"table": "../x"}, "table of the build"),
        ({"shape": 1}, "unknown field, shape"),
    ],
)
def test_a_bad_build_gets_a_sentence(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(BuildError) as caught:
        make_task(TASK | change)
    assert sentence in str(caught.value)
