"""Seeded captions of one to six sentences from lesion attributes.

The words come from `vocabulary` and `wording`; here they are ordered and joined. Shape, border and
colour are said first, so that they lie within the 77 tokens of CLIP; the frame (modality, skin,
site, size, lesion type) leads, rides on the first subject or closes the caption.
"""

from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from random import Random
from typing import TypeVar

from backend.abc.attributes import Label, LesionAttributes, SkinTone
from backend.abc.caption_text import CaptionError
from backend.abc.vocabulary import (
    DIAGNOSIS_NOUNS,
    DIAGNOSIS_PREDICATES,
    DIAMETER_PREDICATES,
    LESION_NOUNS,
    MODALITY_OPENINGS,
    MODALITY_PREDICATES,
    MODALITY_VIEWS,
    SITE_PLACES,
    SITE_PREDICATES,
    SKIN_PHRASES,
    SKIN_PREDICATES,
    SKIN_WORDS,
    Wording,
)
from backend.abc.wording import describe_morphology, listed, with_article

MAX_SENTENCES = 6
MAX_WORDS = 90
NOTHING_SAID = "An image of a skin lesion."

T = TypeVar("T")


class CaptionStyle(StrEnum):
    """Which prompt a caption follows."""

    AUTHORS = "authors"  # the fixed opening of the captions that the paper's LoRA was trained on
    LABEL_ONLY = "label_only"  # the label-only prompt of the paper (Fig. 2, section 2.2)
    PLAIN = "plain"  # shape, border, colour and frame, without label or diagnosis


def write_caption(
    attributes: LesionAttributes,
    *,
    style: CaptionStyle = CaptionStyle.AUTHORS,
    seed: int,
    sentences: int | None = None,
) -> str:
    """A caption that states once each attribute which is set and which the style allows.

    `sentences` (1 to 6) counts the description, without the sentence that the authors' style
    opens with; None draws it. Fewer are written where there is less to say. The same arguments
    give the same caption. A pattern that follows from the number of colours may be left to them.

    Raises:
        CaptionError: the style names a label and none is set, or `sentences` is out of range.
    """
    if sentences is not None and not 1 <= sentences <= MAX_SENTENCES:
        raise CaptionError(
            f"A caption has 1 to {MAX_SENTENCES} sentences, not {sentences}: choose one of these."
        )
    if style is not CaptionStyle.PLAIN and attributes.label is None:
        raise CaptionError(
            "This caption style names the label and none is set: "
            "choose benign or malignant, or the plain style."
        )
    if style is CaptionStyle.LABEL_ONLY:
        return f"This is an image containing a {attributes.label} lesion."
    if style is CaptionStyle.PLAIN:
        attributes = attributes.model_copy(update={"label": None, "diagnosis": None})
    rng = Random(seed)  # noqa: S311 - chooses words, guards no secret
    caption = _draft(attributes, sentences, rng)
    while len(caption.split()) > MAX_WORDS:
        caption = _draft(attributes, sentences, rng)
    return caption


def with_opening(label: Label, description: str) -> str:
    """A description behind the opening of the authors' training captions, which names the label."""
    return f"{_label_sentence(label)} Here's a description of the mole: {description}"


def _label_sentence(label: Label) -> str:
    return f"This photo depicts a {label} lesion."


def _draft(attributes: LesionAttributes, sentences: int | None, rng: Random) -> str:
    opening = _label_sentence(attributes.label) if attributes.label else ""
    body = _description(attributes, sentences, MAX_SENTENCES - bool(opening), rng)
    if not body:
        return opening or NOTHING_SAID
    description = _spelt(" ".join(_capitalised(sentence) for sentence in body), rng)
    return with_opening(attributes.label, description) if attributes.label else description


def _description(
    attributes: LesionAttributes, sentences: int | None, most: int, rng: Random
) -> list[str]:
    """The sentences: first those on shape, border and colour, then what is left of the frame."""
    morphology = describe_morphology(attributes, rng)
    frame = _Frame(attributes, rng)
    carried = [item for item in frame.items if morphology and rng.random() < 0.5]
    closing = [item for item in frame.items if item not in carried]
    limit = min(most, len(morphology) + min(2, len(closing)))
    count = min(limit, sentences or rng.randint(1, max(1, limit)))
    if not morphology:
        return frame.sentences(closing, count, subject=f"the {rng.choice(LESION_NOUNS)}")
    if count == 1:
        carried, closing = frame.items, []
    last = min(len(closing), max(1, count - len(morphology)))
    first, *later = _cut(morphology, count - last, rng)
    body = [_opening(first, frame, carried, rng)]
    body += [_sentence(group, rng) for group in later]
    return body + frame.sentences(closing, last, subject=rng.choice(("it", "the lesion")))


class _Frame:
    """What is said around shape, border and colour: each set item as subject part or predicate."""

    def __init__(self, attributes: LesionAttributes, rng: Random) -> None:
        self.attributes = attributes
        self.rng = rng
        said = {
            "modality": attributes.modality,
            "diagnosis": attributes.diagnosis,
            "diameter": attributes.diameter_mm,
            "site": attributes.site,
            "skin": attributes.skin_tone,
        }
        self.items = [name for name, value in said.items() if value is not None]

    def sentences(self, items: list[str], count: int, subject: str) -> list[str]:
        """The items as `count` sentences; the first has `subject`, any other a pronoun."""
        shuffled = self.rng.sample(items, len(items))
        groups = zip((subject, "it"), _cut(shuffled, count, self.rng), strict=False)
        return [
            f"{who} {listed([self._predicate(item) for item in group])}." for who, group in groups
        ]

    def subject(self, items: list[str], article: str) -> str:
        """A noun phrase that carries `items`, all but the modality: "the 6 mm mole on the back"."""
        said, choose = self.attributes, self.rng.choice
        noun = choose(LESION_NOUNS)
        if "diagnosis" in items and said.diagnosis:
            noun = choose(DIAGNOSIS_NOUNS[said.diagnosis])
        after = ""
        if "diameter" in items and self.rng.random() < 0.6:
            noun = f"{self._size()} mm {noun}"
        elif "diameter" in items:
            after += f" measuring {self._size()} mm"
        if "site" in items and said.site:
            after += f" on {choose(SITE_PLACES[said.site])}"
        if "skin" in items and said.skin_tone:
            after += f" {'in' if 'site' in items else 'on'} {self._skin(said.skin_tone)}"
        return (with_article(noun) if article == "a" else f"{article} {noun}") + after

    def lead(self) -> str:
        """How the picture was taken, as an adverbial before the first subject."""
        modality = self.attributes.modality
        return f"{self.rng.choice(MODALITY_OPENINGS[modality])} " if modality else ""

    def view(self) -> str:
        """How the picture was taken, as the head of a noun phrase."""
        modality = self.attributes.modality
        return f"{self.rng.choice(MODALITY_VIEWS[modality])} of " if modality else ""

    def _predicate(self, item: str) -> str:
        said, choose = self.attributes, self.rng.choice
        if item == "modality" and said.modality:
            return choose(MODALITY_PREDICATES[said.modality])
        if item == "diagnosis" and said.diagnosis:
            noun = with_article(choose(DIAGNOSIS_NOUNS[said.diagnosis]))
            return choose(DIAGNOSIS_PREDICATES).format(a_noun=noun)
        if item == "site" and said.site:
            return choose(SITE_PREDICATES).format(place=choose(SITE_PLACES[said.site]))
        if item == "skin" and said.skin_tone:
            return choose(SKIN_PREDICATES).format(skin=self._skin(said.skin_tone))
        return choose(DIAMETER_PREDICATES).format(size=self._size())

    def _size(self) -> str:
        """The diameter as it was given, without an exponent or a trailing ".0"."""
        return format(Decimal(repr(self.attributes.diameter_mm)), "f").removesuffix(".0")

    def _skin(self, tone: SkinTone) -> str:
        return self.rng.choice(SKIN_PHRASES).format(
            words=self.rng.choice(SKIN_WORDS[tone]), roman=tone.name, arabic=tone.value
        )


def _opening(group: list[Wording], frame: _Frame, carried: list[str], rng: Random) -> str:
    """The first sentence: a noun phrase as in a caption, or a subject with its predicates."""
    modality = "modality" in carried
    if rng.random() < 0.3:
        view = frame.view() if modality else ""
        phrases = listed([rng.choice(wording.phrases) for wording in group])
        return f"{view}{frame.subject(carried, 'a')} with {phrases}."
    lead = frame.lead() if modality else ""
    if set(carried) <= {"modality"} and rng.random() < 0.35:
        return lead + _clauses(group, rng)
    return lead + _predicates(frame.subject(carried, rng.choice(("the", "this"))), group, rng)


def _sentence(group: list[Wording], rng: Random) -> str:
    if rng.random() < 0.6:
        return _clauses(group, rng)
    return _predicates(rng.choice(("it", "the lesion")), group, rng)


def _predicates(subject: str, group: list[Wording], rng: Random) -> str:
    """One subject with all predicates, or with one of them and the rest after "with"."""
    head, *rest = group
    if rest and rng.random() < 0.5:
        phrases = listed([rng.choice(wording.phrases) for wording in rest])
        return f"{subject} {rng.choice(head.predicates)}, with {phrases}."
    return f"{subject} {listed([rng.choice(wording.predicates) for wording in group])}."


def _clauses(group: list[Wording], rng: Random) -> str:
    clauses = [rng.choice(wording.clauses) for wording in group]
    if len(clauses) == 2:
        return f"{clauses[0]}{rng.choice((', and ', '; ', ', while '))}{clauses[1]}."
    return f"{'; '.join(clauses)}." if rng.random() < 0.5 else f"{listed(clauses)}."


def _cut(items: list[T], count: int, rng: Random) -> list[list[T]]:
    """The items in order, as `count` groups of at least one; none for no items."""
    cuts = sorted(rng.sample(range(1, len(items)), count - 1)) if count > 1 else []
    bounds = [0, *cuts, len(items)]
    return [items[start:end] for start, end in pairwise(bounds) if end > start]


def _capitalised(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _spelt(text: str, rng: Random) -> str:
    """British or American spelling, one for the whole caption."""
    if rng.random() < 0.5:
        return text
    return text.replace("olour", "olor").replace("grey", "gray")
