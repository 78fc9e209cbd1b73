"""Wildcards become words that the parser reads back; what is broken is named with its place."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.abc.attributes import Asymmetry, Border, Colour, LesionAttributes, SkinTone
from backend.abc.caption_text import CaptionError
from backend.abc.parser import parse
from backend.abc.template import PHRASES, attributes_named, fill_template, parse_template
from tests.unit.test_grammar import lesions, seeds

FULL = (
    "A {modality} of a {label} lesion, a {diagnosis}, with {asymmetry} and a {border} border. "
    "It has a {edge} edge. The colour is {pattern}: {colours}. It lies on {site} on {skin_tone} "
    "and measures {diameter_mm}."
)


@settings(deadline=None, max_examples=30)
@given(lesions, seeds)
def test_every_placeholder_says_what_the_parser_reads(lesion: LesionAttributes, seed: int) -> None:
    caption = fill_template(parse_template(FULL), lesion, seed=seed)
    read = parse(caption).attributes
    for name in ("asymmetry", "border", "edge", "label", "modality", "site", "diameter_mm"):
        assert getattr(read, name) == getattr(lesion, name), caption
    assert read.skin_tone == lesion.skin_tone
    assert set(read.colours) == set(lesion.colours)
    assert read.colours[0] == lesion.colours[0]


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_template_once_its_braces_are_doubled(text: str) -> None:
    escaped = text.replace("{", "{{").replace("}", "}}")
    assert "".join(parse_template(escaped)) == text


@settings(deadline=None, max_examples=100)
@given(st.text(alphabet="{}|ab {border}", max_size=40))
def test_a_broken_template_is_refused_with_a_place_and_any_other_is_filled(text: str) -> None:
    lesion = LesionAttributes(border=Border.IRREGULAR)
    try:
        template = parse_template(text)
    except CaptionError as error:
        assert "at character" in str(error)
        return
    try:
        fill_template(template, lesion, seed=1)
    except CaptionError as error:
        assert "The caption is empty" in str(error)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("A {border lesion", "brace at character 3 is not closed"),
        ("A border} lesion", "closing brace at character 9 has no opening one"),
        ("A {red|{blue}} lesion", "character 3 has another brace inside, at character 8"),
        ("A {bordr} lesion", "{bordr} at character 3 is no attribute"),
        ("A {} lesion", "{} at character 3 is no attribute"),
        ("A {border}} lesion", "closing brace at character 11"),
        ("x" * 4001, "4,001 characters"),
    ],
)
def test_each_mistake_gets_its_sentence(text: str, sentence: str) -> None:
    with pytest.raises(CaptionError) as caught:
        parse_template(text)
    assert sentence in str(caught.value)


def test_a_wildcard_may_stand_beside_a_literal_brace() -> None:
    lesion = LesionAttributes(diameter_mm=6.0)
    assert fill_template(parse_template("{{{diameter_mm}}}"), lesion, seed=0) == "{6 mm}"


def test_an_attribute_that_is_not_set_is_named_with_its_place() -> None:
    with pytest.raises(CaptionError, match=r"\{border\} at character 4, which is not set"):
        fill_template(parse_template("An {border} edge"), LesionAttributes(), seed=0)


def test_alternatives_are_all_used_and_each_seed_repeats_its_choice() -> None:
    template = parse_template("A {red|light brown|} lesion.")
    made = [fill_template(template, LesionAttributes(), seed=seed) for seed in range(40)]
    assert set(made) == {"A red lesion.", "A light brown lesion.", "A lesion."}
    assert made == [fill_template(template, LesionAttributes(), seed=seed) for seed in range(40)]


def test_articles_and_capitals_follow_the_words() -> None:
    template = parse_template("{border} outline. This is a {border} border, an {old|new} one.")
    for border in Border:
        for seed in range(12):
            caption = fill_template(template, LesionAttributes(border=border), seed=seed)
            assert caption[0].isupper()
            assert "a irregular" not in caption
            assert "a even" not in caption
            assert "an slightly" not in caption
            assert "an old one" in caption or "a new one" in caption


def test_one_attribute_changes_without_the_words_for_the_others() -> None:
    template = parse_template("A lesion with {asymmetry} and a colour of {colours}.")
    first = LesionAttributes(asymmetry=Asymmetry.ONE_AXIS, colours=(Colour.RED, Colour.BLACK))
    second = first.model_copy(update={"asymmetry": Asymmetry.TWO_AXES})
    ends = {fill_template(template, one, seed=5).partition(" and a ")[2] for one in (first, second)}
    assert len(ends) == 1


def test_the_attributes_of_a_template_are_known() -> None:
    assert attributes_named(parse_template("{site} {a|b} {skin_tone} {site}")) == (
        "site",
        "skin_tone",
    )
    for name, phrase in PHRASES.items():
        assert attributes_named(parse_template(phrase)) == (name,)
    assert SkinTone.IV.name in fill_template(
        parse_template("on {skin_tone} IV"), LesionAttributes(skin_tone=SkinTone.IV), seed=0
    )
