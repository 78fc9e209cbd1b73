"""Captions say what is set, in the style asked for, the same for the same seed."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.abc.attributes import (
    Asymmetry,
    Border,
    Colour,
    Diagnosis,
    Label,
    LesionAttributes,
    SkinTone,
)
from backend.abc.caption_text import CaptionError, clean_caption
from backend.abc.grammar import MAX_SENTENCES, MAX_WORDS, CaptionStyle, write_caption
from backend.abc.sampling import sample_attributes

unhurried = settings(deadline=None)  # a busy machine is no failure
seeds = st.integers(min_value=0, max_value=2**32 - 1)
lesions = seeds.map(lambda seed: sample_attributes(np.random.default_rng(seed)))
MALIGNANT_TELLS = re.compile(
    r"malignan|benign|melanoma|n(a)?evus|keratosis|lentigo|fibroma|vascular|carcinoma",
    re.IGNORECASE,
)


def sentences_of(caption: str) -> list[str]:
    return re.findall(r"[^.]+(?:\.\d[^.]*)*\.", caption)


@unhurried
@given(lesions, seeds)
def test_the_authors_style_opens_verbatim(lesion: LesionAttributes, seed: int) -> None:
    caption = write_caption(lesion, style=CaptionStyle.AUTHORS, seed=seed)

    assert caption.startswith(
        f"This photo depicts a {lesion.label} lesion. Here's a description of the mole: "
    )


@unhurried
@given(lesions, seeds)
def test_the_label_only_style_is_the_sentence_of_the_paper(
    lesion: LesionAttributes, seed: int
) -> None:
    caption = write_caption(lesion, style=CaptionStyle.LABEL_ONLY, seed=seed)

    assert caption == f"This is an image containing a {lesion.label} lesion."


@unhurried
@given(lesions, seeds)
def test_plain_captions_give_away_neither_label_nor_lesion_type(
    lesion: LesionAttributes, seed: int
) -> None:
    caption = write_caption(lesion, style=CaptionStyle.PLAIN, seed=seed)

    assert not MALIGNANT_TELLS.search(caption)


@unhurried
@given(lesions, seeds, st.sampled_from(CaptionStyle))
def test_the_same_seed_writes_the_same_caption(
    lesion: LesionAttributes, seed: int, style: CaptionStyle
) -> None:
    assert write_caption(lesion, style=style, seed=seed) == write_caption(
        lesion, style=style, seed=seed
    )


@unhurried
@given(lesions, seeds, st.integers(1, MAX_SENTENCES))
def test_a_caption_has_the_sentences_asked_for_or_what_the_content_allows(
    lesion: LesionAttributes, seed: int, count: int
) -> None:
    caption = write_caption(lesion, style=CaptionStyle.PLAIN, seed=seed, sentences=count)

    written = len(sentences_of(caption))
    assert written == count if count <= 3 else 3 <= written <= count


@unhurried
@given(lesions, seeds)
def test_captions_stay_short_and_well_formed(lesion: LesionAttributes, seed: int) -> None:
    caption = write_caption(lesion, style=CaptionStyle.AUTHORS, seed=seed)

    assert len(caption.split()) <= MAX_WORDS
    assert 1 <= len(sentences_of(caption)) <= MAX_SENTENCES
    assert all(sentence.strip()[0].isupper() for sentence in sentences_of(caption))
    assert not re.search(r"  | [,.;]|\{|\}|\ba [aeio]\w|None", caption)


def test_one_lesion_has_hundreds_of_wordings() -> None:
    lesion = LesionAttributes(
        asymmetry=Asymmetry.ONE_AXIS, border=Border.IRREGULAR, colours=(Colour.BLACK, Colour.RED)
    )

    captions = {write_caption(lesion, style=CaptionStyle.PLAIN, seed=s) for s in range(1000)}

    assert len(captions) > 700


def test_unset_attributes_are_not_mentioned() -> None:
    for seed in range(200):
        caption = write_caption(
            LesionAttributes(skin_tone=SkinTone.IV), style=CaptionStyle.PLAIN, seed=seed
        )
        assert not re.search(r"border|edge|colou?r|symmetr|mm|dermos|clinic|back", caption)


def test_nothing_set_is_still_a_caption() -> None:
    caption = write_caption(LesionAttributes(), style=CaptionStyle.PLAIN, seed=1)

    assert caption == "An image of a skin lesion."


def test_a_label_alone_leaves_the_authors_opening_without_description() -> None:
    caption = write_caption(LesionAttributes(label=Label.BENIGN), seed=1)

    assert caption == "This photo depicts a benign lesion."


@pytest.mark.parametrize("style", [CaptionStyle.AUTHORS, CaptionStyle.LABEL_ONLY])
def test_a_style_that_names_the_label_refuses_a_lesion_without_one(style: CaptionStyle) -> None:
    with pytest.raises(CaptionError, match="choose benign or malignant"):
        write_caption(LesionAttributes(diagnosis=Diagnosis.NEVUS), style=style, seed=0)


@pytest.mark.parametrize("count", [0, -1, MAX_SENTENCES + 1])
def test_a_number_of_sentences_out_of_range_is_refused(count: int) -> None:
    with pytest.raises(CaptionError, match=f"not {count}"):
        write_caption(LesionAttributes(), style=CaptionStyle.PLAIN, seed=0, sentences=count)


def test_cleaning_keeps_the_words_and_any_script() -> None:
    assert clean_caption(" dark\x00 brown\n\tmole\u200b ") == "dark brown mole\u200b"
    assert clean_caption("cafe\u0301-au-lait") == "café-au-lait"
    assert clean_caption("色素性病変") == "色素性病変"


@pytest.mark.parametrize("text", ["", " \n\t", "\x00\x07"])
def test_an_empty_caption_is_refused(text: str) -> None:
    with pytest.raises(CaptionError, match="caption is empty"):
        clean_caption(text)


def test_a_caption_of_ten_thousand_characters_is_refused_with_its_length() -> None:
    with pytest.raises(CaptionError, match=r"10,000 characters.*2,000.*shorten"):
        clean_caption("x" * 10_000)


@unhurried
@given(st.text())
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    try:
        once = clean_caption(text)
    except CaptionError:
        return
    assert clean_caption(once) == once
