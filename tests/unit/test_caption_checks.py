"""The checks of captions against 300 in which faults were planted, and their smaller promises."""

from collections import Counter
from dataclasses import dataclass
from random import Random

import pytest

from backend.abc.attributes import Asymmetry, Border, Colour, Label, LesionAttributes
from backend.abc.grammar import CaptionStyle, write_caption
from backend.captioning.checks import check_caption, strip_leaks
from backend.captioning.findings import Check, Severity
from backend.captioning.seen import Seen

RELEASED = (
    "The mole exhibits a pronounced asymmetry, characterized by an uneven distribution of pigment "
    "and shape, with one half being notably darker than the other. The border of the mole is "
    "irregular, featuring jagged edges and a lack of smooth, uniform contours. The color of the "
    "mole is predominantly brown, with patches of lighter and darker shades scattered throughout, "
    "creating a mottled appearance."
)
"""A caption that the paper's authors released, without its last sentence."""
LEAKS = (
    (
        "Overall, the mole displays a concerning combination of features that are often indicative "
        "of malignancy."
    ),
    "These features raise suspicion for melanoma.",
    "This appearance is typical of a benign nevus.",
    "The combination warrants further evaluation by biopsy.",
    "Nothing about it looks cancerous.",
    "Such changes are red flags.",
    "It is most likely a harmless mole.",
    "The overall picture is worrisome.",
    "A basal cell carcinoma comes to mind.",
    "It should be excised without delay.",
)
SIZES = (
    "It measures approximately 6 mm in diameter.",
    "The lesion is about 1.2 cm across.",
    "It spans 8 x 5 millimeters.",
    "Its width is roughly five millimetres.",
    "It is larger than a pencil eraser.",
)
HISTORIES = (
    "It has been growing over the past six months.",
    "The patient first noticed it last summer.",
    "This 54-year-old man has had it since childhood.",
    "There is a family history of skin disease.",
    "It recently changed and keeps changing over time.",
)
SYMPTOMS = (
    "It itches at night.",
    "The area is tender and bleeds at times.",
    "Slight pain is present.",
    "It feels rough to the touch.",
    "The mole is pruritic.",
)
REFUSALS = (
    "I'm sorry, but I can't help with medical images.",
    "As an AI language model, I cannot diagnose skin lesions.",
    "I am unable to describe this photograph.",
    "Please consult a dermatologist for an accurate answer.",
    "I won\u2019t speculate about this picture.",
)
FOREIGN = (
    "Die Läsion ist asymmetrisch, der Rand unregelmäßig, die Farbe dunkelbraun bis schwarz.",
    "La lésion est asymétrique avec des bords irréguliers et une couleur brun foncé.",
    "La lesión es asimétrica, con bordes irregulares y un color marrón oscuro.",
    "病变不对称，边缘不规则，颜色为深棕色。",
    "Поражение асимметрично, края неровные, цвет тёмно-коричневый.",
)
PLANTED = 20
"""Captions a fault; the rest of the 300 is clean."""


@dataclass(frozen=True)
class Planted:
    """A caption, what its image measured, its label, and the faults that were put in."""

    text: str
    seen: Seen
    label: Label
    faults: frozenset[Check]


def seen_as(attributes: LesionAttributes) -> Seen:
    """An image that measures exactly this, surely."""
    sure = dict.fromkeys(("asymmetry", "border", "colours"), 0.95)
    return Seen(attributes, sure, {c: 0.97 if c in attributes.colours else 0.02 for c in Colour})


def drawn(rng: Random) -> LesionAttributes:
    colours = rng.sample(list(Colour), rng.randint(1, 3))
    return LesionAttributes(
        asymmetry=rng.choice(list(Asymmetry)),
        border=rng.choice(list(Border)),
        colours=(colours[0], *sorted(colours[1:], key=list(Colour).index)),
    )


def opposite(attributes: LesionAttributes, field: str) -> LesionAttributes:
    """The same with the far end of A or B, or with another colour."""
    if field == "colours":
        other = next(c for c in Colour if c not in attributes.colours)
        return attributes.model_copy(update={"colours": (other,)})
    scale = list(Asymmetry if field == "asymmetry" else Border)
    far = scale[-1] if scale.index(getattr(attributes, field)) < 1 else scale[0]
    return attributes.model_copy(update={field: far})


def planted_captions() -> list[Planted]:
    rng = Random(20261125)
    kinds: list[Check | None] = [
        check
        for check in Check
        if check not in (Check.SILENCE, Check.REFUSAL, Check.LANGUAGE)
        for _ in range(PLANTED)
    ]
    kinds += [Check.REFUSAL, Check.LANGUAGE] * (PLANTED // 2)
    kinds += [None] * (300 - len(kinds))
    return [_planted(kind, rng) for kind in kinds]


def _planted(kind: Check | None, rng: Random) -> Planted:
    said = drawn(rng)
    shown, label = said, rng.choice(list(Label))
    if kind in (Check.ASYMMETRY, Check.BORDER):
        while (
            getattr(said, kind)
            is (Asymmetry.ONE_AXIS, Border.SLIGHTLY_IRREGULAR)[kind is Check.BORDER]
        ):
            said = shown = drawn(rng)
        shown = opposite(said, kind.value)
    if kind is Check.COLOUR:
        shown = opposite(said, "colours")
    text = write_caption(said, style=CaptionStyle.PLAIN, seed=rng.randrange(10**6), sentences=3)
    faults = {kind} - {None}
    if kind is Check.LABEL:
        other = next(one for one in Label if one is not label)
        text = f"This is a {other} lesion. {text}"
        faults = {Check.LABEL, Check.LEAKAGE}
    added = {
        Check.LEAKAGE: LEAKS,
        Check.SIZE: SIZES,
        Check.HISTORY: HISTORIES,
        Check.SYMPTOMS: SYMPTOMS,
    }
    if kind in added:
        text = f"{text} {rng.choice(added[kind])}"
    if kind is Check.REPETITION:
        sentence = f"{text.split('. ')[0].rstrip('.')}."
        text = f"{text} {' '.join([sentence] * rng.randint(1, 3))}"
    if kind is Check.TRUNCATION:
        words = text.split()
        text = " ".join(words[: rng.randint(len(words) // 2, len(words) - 2)]).rstrip(".,;!?")
    if kind is Check.REFUSAL:
        text = rng.choice(REFUSALS)
    if kind is Check.LANGUAGE:
        text = rng.choice(FOREIGN)
    return Planted(text, seen_as(shown), label, frozenset(faults))


def test_each_check_finds_what_was_planted_and_little_else():
    captions = planted_captions()
    assert len(captions) == 300
    hits, missed, false = Counter(), Counter(), Counter()
    for one in captions:
        found = {
            finding.check
            for finding in check_caption(one.text, seen=one.seen, label=one.label)
            if finding.severity is not Severity.NOTE
        }
        hits.update(found & one.faults)
        missed.update(one.faults - found)
        false.update(found - one.faults)
    for check in Check:
        if check is Check.SILENCE:
            continue
        there = hits[check] + missed[check]
        assert there >= PLANTED // 2, check
        assert hits[check] / there >= 0.95, (check, missed)
        assert hits[check] / (hits[check] + false[check]) >= 0.9, (check, false)


def test_clean_captions_of_the_grammar_have_no_finding():
    rng = Random(7)
    for seed in range(200):
        said = drawn(rng)
        text = write_caption(said, style=CaptionStyle.PLAIN, seed=seed)
        assert check_caption(text, seen=seen_as(said), label=Label.BENIGN) == (), text


def test_a_leaking_sentence_is_stripped_and_everything_else_stays():
    assert strip_leaks(f"{RELEASED} {LEAKS[0]}") == RELEASED
    for leak in LEAKS:
        assert strip_leaks(f"The shape is symmetric. {leak} It is dark brown.") == (
            "The shape is symmetric. It is dark brown."
        )
    assert not strip_leaks(LEAKS[1])


def test_the_opening_that_names_the_label_on_purpose_is_no_leak_and_stays():
    opening = "This photo depicts a malignant lesion. Here's a description of the mole: "
    text = f"{opening}{RELEASED}"
    assert Check.LEAKAGE not in {one.check for one in check_caption(text)}
    assert strip_leaks(f"{text} {LEAKS[0]}") == text
    wrong = check_caption(text, label=Label.BENIGN)
    assert [one.check for one in wrong] == [Check.LABEL]


def test_every_finding_says_why_in_words_and_where():
    text = f"{RELEASED} {LEAKS[0]} {SIZES[0]}"
    leak, size = (
        next(one for one in check_caption(text) if one.check is check)
        for check in (Check.LEAKAGE, Check.SIZE)
    )
    assert text[slice(*leak.spans[0])] in leak.reason
    assert [text[slice(*span)] for span in leak.spans] == ["concerning", "malignancy"]
    assert "6 mm" in size.reason
    assert not [one for one in check_caption(text, scale=True) if one.check is Check.SIZE]


def test_neighbouring_grades_are_a_note_and_an_unsure_meter_does_not_contradict():
    said = LesionAttributes(asymmetry=Asymmetry.ONE_AXIS)
    text = write_caption(said, style=CaptionStyle.PLAIN, seed=1)
    seen = seen_as(LesionAttributes(asymmetry=Asymmetry.TWO_AXES))
    (near,) = (one for one in check_caption(text, seen=seen) if one.check is Check.ASYMMETRY)
    assert near.severity is Severity.NOTE
    unsure = Seen(seen.attributes, {"asymmetry": 0.4}, {})
    assert not [one for one in check_caption(text, seen=unsure) if one.check is Check.ASYMMETRY]


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("", Check.TRUNCATION),
        ("brown " * 400, Check.REPETITION),
        ("The border is irregular (with notches. It is brown.", Check.TRUNCATION),
        ("A photograph of skin.", Check.SILENCE),
        ("\ud800\x00", Check.TRUNCATION),
    ],
)
def test_odd_texts_are_named_and_never_crash(text: str, check: Check):
    assert check in {one.check for one in check_caption(text)}
