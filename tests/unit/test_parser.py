"""The parser reads back what captions say, and free texts as a clinician would."""

import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.abc.attributes import (
    Asymmetry,
    Border,
    Colour,
    ColourPattern,
    Diagnosis,
    Edge,
    Label,
    LesionAttributes,
    Modality,
    Site,
    SkinTone,
    pattern_of,
)
from backend.abc.grammar import CaptionStyle, write_caption
from backend.abc.lexicon import Entry, Role, tables
from backend.abc.parser import Evidence, highlight_spans, parse
from backend.abc.sampling import sample_attributes
from backend.abc.tokens import tokenise
from tests.unit.free_texts import HAND_WRITTEN, REAL, FreeText

unhurried = settings(deadline=None)  # a busy machine is no failure
FIELDS = tuple(LesionAttributes.model_fields)


def partial(lesion: LesionAttributes, rng: np.random.Generator) -> LesionAttributes:
    """The lesion with each field unset by chance; a pattern goes with its colours."""
    kept = {
        name: value
        for name, value in lesion
        if name not in ("pattern", "label") and rng.random() < 0.6
    }
    if rng.random() < 0.7 or "diagnosis" in kept:
        kept["label"] = lesion.label
    if "colours" in kept or rng.random() < 0.3:
        kept["pattern"] = lesion.pattern
    return LesionAttributes(**kept)


def stated(lesion: LesionAttributes, style: CaptionStyle) -> LesionAttributes:
    """What a caption of this style may say of the lesion."""
    if style is CaptionStyle.LABEL_ONLY:
        return LesionAttributes(label=lesion.label)
    if style is CaptionStyle.PLAIN:
        return lesion.model_copy(update={"label": None, "diagnosis": None})
    return lesion


def grammar_captions(count: int) -> Iterator[tuple[str, LesionAttributes]]:
    rng = np.random.default_rng(20_260)
    for seed in range(count):
        lesion = sample_attributes(rng)
        lesion = partial(lesion, rng) if seed % 2 else lesion
        styles = list(CaptionStyle) if lesion.label else [CaptionStyle.PLAIN]
        style = styles[int(rng.choice(len(styles)))]
        yield write_caption(lesion, style=style, seed=seed), stated(lesion, style)


def test_captions_of_the_grammar_read_back_exactly() -> None:
    pairs = list(grammar_captions(2000))

    wrong = [caption for caption, truth in pairs if parse(caption).attributes != truth]

    assert len(wrong) <= 0.02 * len(pairs), wrong[:5]


@unhurried
@given(
    st.builds(
        LesionAttributes,
        asymmetry=st.none() | st.sampled_from(Asymmetry),
        border=st.none() | st.sampled_from(Border),
        edge=st.none() | st.sampled_from(Edge),
        colours=st.lists(st.sampled_from(Colour), unique=True).map(tuple),
        modality=st.none() | st.sampled_from(Modality),
        skin_tone=st.none() | st.sampled_from(SkinTone),
        site=st.none() | st.sampled_from(Site),
        diameter_mm=st.none() | st.decimals(1, 200, places=2).map(float),
    ),
    st.integers(0, 2**32),
)
def test_any_attributes_survive_the_way_through_a_plain_caption(
    lesion: LesionAttributes, seed: int
) -> None:
    lesion = lesion.model_copy(update={"pattern": pattern_of(lesion.colours)})

    caption = write_caption(lesion, style=CaptionStyle.PLAIN, seed=seed)

    assert parse(caption).attributes == lesion


def field_results(texts: tuple[FreeText, ...]) -> list[tuple[bool, str]]:
    """Whether each field is right that either the truth or the parser states."""
    results = []
    for free in texts:
        read = parse(free.text).attributes
        for name in FIELDS:
            truth, found = getattr(free.truth, name), getattr(read, name)
            if truth or found:
                said = f"{name}: {truth} read as {found} in {free.text!r}"
                results.append((truth == found, said))
    return results


@pytest.mark.parametrize("texts", [REAL, HAND_WRITTEN], ids=["real", "hand-written"])
def test_free_texts_are_read_as_a_clinician_reads_them(texts: tuple[FreeText, ...]) -> None:
    results = field_results(texts)

    wrong = [said for right, said in results if not right]

    assert len(wrong) <= 0.1 * len(results), wrong


def test_the_free_texts_are_as_many_as_claimed_and_state_every_field() -> None:
    truths = [free.truth for free in HAND_WRITTEN]

    assert len(HAND_WRITTEN) == 40
    assert len(REAL) == 5
    assert all(any(getattr(truth, name) for truth in truths) for name in FIELDS)


@pytest.mark.parametrize(
    ("text", "border"),
    [
        ("relatively smooth border, but in places it is slightly irregular", "slightly_irregular"),
        ("smoother on the right, jagged on the left border", "irregular"),
        ("The border is smooth above and irregular below.", "slightly_irregular"),
        ("The border has a few small notches.", "slightly_irregular"),
        ("The border has fewer notches than before.", None),
        ("The surface is irregular.", None),
        ("The border is not entirely smooth.", "slightly_irregular"),
        ("The outline lacks any irregularity.", "regular"),
        ("no asymmetry and a jagged margin", "irregular"),
        ("a description regarding its border irregularity", None),
        ("Border irregularity: none.", "regular"),
        ("Irregular border? No.", "regular"),
        ("Features consistent with the history. Smooth border.", "regular"),
    ],
)
def test_borders_hedged_denied_and_contrasted(text: str, border: str | None) -> None:
    assert parse(text).attributes.border == border


@pytest.mark.parametrize(
    ("text", "asymmetry"),
    [
        ("It is not symmetric.", "one_axis"),
        ("generally symmetrical", "symmetric"),
        ("without asymmetry", "symmetric"),
        ("markedly asymmetric", "two_axes"),
        ("markedly asymmetric, but in one axis only", "one_axis"),
        ("symmetric in only one of two axes", "one_axis"),
        ("neither axis shows asymmetry", "symmetric"),
        ("neither axis divides it into matching halves", "two_axes"),
        ("one half is larger than the other", "one_axis"),
        ("Asymmetry: 2", "two_axes"),
        ("Asymmetry: present", "one_axis"),
        ("The right half is brown.", None),
    ],
)
def test_asymmetry_by_axis_by_degree_and_by_halves(text: str, asymmetry: str | None) -> None:
    assert parse(text).attributes.asymmetry == asymmetry


@pytest.mark.parametrize(
    ("text", "colours"),
    [
        ("brown", ("dark_brown",)),
        ("brown and dark brown", ("light_brown", "dark_brown")),
        ("brown with lighter and darker shades", ("dark_brown", "light_brown")),
        ("bluish-gray", ("blue_gray",)),
        ("reddish brown", ("dark_brown",)),
        ("red/brown", ("red", "dark_brown")),
        ("black areas on a mainly tan background", ("light_brown", "black")),
        ("a skin-coloured papule", ()),
        ("on dark brown skin", ()),
        ("surrounding erythema", ()),
        ("jet-black, with no blue, white or red", ("black",)),
        ("no blue; white in the centre", ("white",)),
        ("Colours present: black. Colours absent: red, white, blue.", ("black",)),
        ("dark brown with some lighter areas", ("dark_brown", "light_brown")),
    ],
)
def test_colours_with_their_shades_and_denials(text: str, colours: tuple[str, ...]) -> None:
    assert parse(text).attributes.colours == colours


def test_denied_values_are_kept_apart() -> None:
    reading = parse("Black, no blue and no red. Not a melanoma.")

    assert reading.attributes.colours == (Colour.BLACK,)
    assert reading.denied["colours"] == {Colour.BLUE_GRAY, Colour.RED}
    assert reading.denied["diagnosis"] == {Diagnosis.MELANOMA}


@pytest.mark.parametrize(
    "text",
    [
        "suggests a potential malignancy",
        "suspicious for melanoma",
        "?melanoma",
        "melanoma cannot be excluded",
        "a benign-appearing lesion",
        "family history of melanoma",
        "no signs of malignancy",
    ],
)
def test_suspicion_is_not_a_statement(text: str) -> None:
    attributes = parse(text).attributes

    assert (attributes.label, attributes.diagnosis) == (None, None)


def test_a_lesion_type_that_contradicts_the_label_is_left_out() -> None:
    attributes = parse("This photo depicts a benign lesion, a melanoma.").attributes

    assert (attributes.label, attributes.diagnosis) == (Label.BENIGN, None)


@pytest.mark.parametrize(
    ("text", "diameter"),
    [
        ("0.6 cm", 6.0),
        ("8,5mm", 8.5),
        ("11 x 8 mm", 11.0),
        ("11 mm × 8 mm", 11.0),
        ("more than 6 mm", None),
        (">6 mm", None),
        ("Breslow thickness 0.8 mm", None),
        ("900 mm", None),
        ("0 mm", None),
    ],
)
def test_diameters_in_millimetres(text: str, diameter: float | None) -> None:
    assert parse(text).attributes.diameter_mm == diameter


@pytest.mark.parametrize(
    ("text", "tone"),
    [
        ("Fitzpatrick type 4", 4),
        ("skin type IV", 4),
        ("phototype II–III", 2),
        ("type V skin", 5),
        ("very fair skin", 1),
        ("areas of lighter skin tone", None),
        ("Fitzpatrick type 9", None),
    ],
)
def test_skin_types_by_number_and_by_word(text: str, tone: int | None) -> None:
    assert parse(text).attributes.skin_tone == tone


def test_evidence_marks_the_words_that_said_it() -> None:
    text = "Jagged BORDER, no blue."

    said = parse(text).evidence

    assert said == (
        Evidence(0, 6, "border", "irregular"),
        Evidence(18, 22, "colours", "blue_gray", negated=True),
    )


def test_highlights_tag_the_letters_of_the_abc() -> None:
    text = "Symmetric, jagged, fading, black mole on the back."

    pieces = highlight_spans(text, parse(text))

    assert [piece for piece in pieces if piece[1]] == [
        ("Symmetric", "A"),
        ("jagged", "B"),
        ("fading", "B"),
        ("black", "C"),
        ("back", "frame"),
    ]


def test_equal_words_in_other_dress_read_the_same() -> None:
    plain = parse("well-defined, bluish-gray colour, doesn't fade").attributes

    assert parse("WELL‑DEFINED, bluish–grey COLOR, doesn’t fade").attributes == plain
    assert (
        parse("ｗｅｌｌ defined, blu\u00adish grey color, doesn't fa\u0000de").attributes == plain
    )


FRAGMENTS = st.sampled_from([words for words, _ in tables()]).map(" ".join)
MIXED = st.lists(FRAGMENTS | st.sampled_from([*".,;:?!-\n ", "6 mm", "IV", "and", "the"]))


@settings(max_examples=300, deadline=None)
@given(st.text() | MIXED.map(" ".join) | MIXED.map("".join))
def test_any_text_is_read_without_error_and_marked_in_order(text: str) -> None:
    reading = parse(text)

    pieces = highlight_spans(text, reading)

    assert "".join(piece for piece, _ in pieces) == text
    assert all(0 <= said.start < said.end <= len(text) for said in reading.evidence)
    starts = [said.start for said in reading.evidence]
    assert starts == sorted(starts)


REPEATED = (
    "no ",
    "not slightly ",
    "border irregular, ",
    "half ",
    "no blue, or ",
    "6 x ",
    "1,",
    "'",
)
MORE_REPEATED = (
    "one axis asymmetry ",
    "benign or malignant vs ",
    "a: ",
    "\x00",
    "ü",
    "皮膚",
    "(((",
    "?",
)


@pytest.mark.parametrize("unit", REPEATED + MORE_REPEATED)
def test_ten_thousand_characters_take_no_more_than_linear_time(unit: str) -> None:
    def seconds(length: int) -> float:
        text = (unit * length)[:length]
        started = time.process_time()
        parse(text)
        return time.process_time() - started

    seconds(1000)
    short, long = (min(seconds(n) for _ in range(3)) for n in (2_500, 10_000))

    assert long < 12 * short + 0.05


def test_no_phrase_of_the_lexicon_has_two_meanings() -> None:
    meanings: dict[tuple[str, ...], Entry] = {}
    for words, entry in tables():
        assert meanings.setdefault(words, entry) == entry, words


def test_every_phrase_of_the_lexicon_is_found_where_it_stands_alone() -> None:
    for words, entry in tables():
        if entry.role is Role.CUE and entry.field in ("label", "diagnosis", "modality"):
            assert getattr(parse(" ".join(words)).attributes, entry.field) == entry.value, words


def test_offsets_refer_to_the_text_as_given() -> None:
    text = "Läsion —  ﬁne “Brown” spot"

    assert [text[token.start : token.end] for token in tokenise(text)][-2:] == ["Brown", "spot"]


def test_a_pattern_that_is_said_outweighs_the_number_of_colours() -> None:
    assert parse("a mottled brown lesion").attributes.pattern is ColourPattern.VARIEGATED
    assert parse("tan and black").attributes.pattern is ColourPattern.TWO_TONE
    assert parse("uniform pigmentation").attributes.pattern is ColourPattern.UNIFORM
