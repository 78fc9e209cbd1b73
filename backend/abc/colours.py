"""Which of the six colours of the ABCD rule a text gives a lesion, and which one dominates."""

from collections.abc import Sequence

from backend.abc.attributes import Colour
from backend.abc.cues import BROWN, DARKER, LIGHTER
from backend.abc.lexicon import Role
from backend.abc.mentions import Document, Mention
from backend.abc.tokens import Break, word_set

_BROWNS = (Colour.DARK_BROWN, Colour.LIGHT_BROWN)
_SHADED = word_set(
    "shade area patch spot region zone pigmentation tone part fleck dot focus speck hue "
    "pigment center centre rim periphery streak brown portion freckle blotch section island"
)
_NOT_THE_LESION = word_set(
    "surrounding perilesional adjacent neighboring neighbouring umgebend umgebende"
)

ColourMention = tuple[Colour, Mention]


def name_colours(document: Document, mentions: Sequence[Mention]) -> list[ColourMention]:
    """The colours that mentions of the lesion stand for, in the order of the text.

    Plain "brown" is dark brown, its focal shade (Munsell value 3; light browns have names such as
    tan of their own), unless the text also names a darker brown: then it is the lighter of the two.
    Shades "lighter" or "darker" count as browns where any brown is named.
    """
    own = [mention for mention in mentions if _of_lesion(document, mention)]
    said = {mention.value for mention in own if not mention.negated}
    darker = {Colour.DARK_BROWN.value, DARKER} & said
    lighter = {Colour.LIGHT_BROWN.value, LIGHTER, "both browns"} & said
    plain = Colour.LIGHT_BROWN if darker and not lighter else Colour.DARK_BROWN
    brown = bool({BROWN, "both browns", *_BROWNS} & said)
    named: list[ColourMention] = []
    for mention in own:
        named += [(colour, mention) for colour in _meant(mention.value, plain, brown)]
    return named


def dominant_first(document: Document, named: Sequence[ColourMention]) -> tuple[Colour, ...]:
    """The colours with the dominant one first: the one called so, else the first one named."""
    colours = [colour for colour, _ in named]
    for colour, mention in named:
        if _called_dominant(document, mention):
            return tuple(dict.fromkeys([colour, *colours]))
    return tuple(dict.fromkeys(colours))


def _meant(value: str, plain: Colour, brown: bool) -> tuple[Colour, ...]:
    match value:
        case "both browns":
            return (Colour.LIGHT_BROWN, Colour.DARK_BROWN)
        case "blue and white":
            return (Colour.BLUE_GRAY, Colour.WHITE)
        case "brown":
            return (plain,)
        case "lighter":
            return (Colour.LIGHT_BROWN,) if brown else ()
        case "darker":
            return (Colour.DARK_BROWN,) if brown else ()
        case _:
            return (Colour(value),)


def _of_lesion(document: Document, mention: Mention) -> bool:
    """Whether the mention colours the lesion: not the skin, nor as a shade of the next colour."""
    if mention.value in (LIGHTER, DARKER):
        return _shades_something(document, mention)
    before = {document.word(index) for index in range(mention.first - 2, mention.first)}
    if before & _NOT_THE_LESION and not document.parted(
        max(0, mention.first - 2), mention.first, Break.COMMA
    ):
        return False
    if document.subjects[mention.first] == "skin" or _colours_skin(document, mention):
        return False
    following = mention.last + 1
    shades = document.word(mention.last).endswith("ish")
    span = document.at[following] if following < len(document.at) else None
    adjacent = span is not None and document.parting(following) is Break.NONE
    return not (shades and adjacent and span is not None and span.entry.field == "colour")


def _colours_skin(document: Document, mention: Mention) -> bool:
    for index in range(mention.last + 1, mention.last + 3):
        if document.parting(index) is not Break.NONE:
            return False
        if document.word(index) in ("skin", "skinned", "complexion"):
            lesion = document.parting(index + 1) is Break.NONE and document.role(index + 1)
            return lesion is not Role.TOPIC
        if document.role(index) is not Role.CUE and document.word(index) != "to":
            return False
    return False


def _shades_something(document: Document, mention: Mention) -> bool:
    for index in range(mention.last + 1, mention.last + 5):
        if document.parting(index) is not Break.NONE or document.word(index) in ("skin", "than"):
            return False
        if document.word(index) in _SHADED:
            return True
    return False


def _called_dominant(document: Document, mention: Mention) -> bool:
    for index in range(mention.first - 1, max(-1, mention.first - 4), -1):
        if document.parting(index + 1) is not Break.NONE:
            break
        if document.role(index) is Role.MAINLY:
            return True
        if document.role(index) is Role.CUE:
            break
    for index in range(mention.last + 1, mention.last + 3):
        if document.parting(index) is not Break.NONE:
            return False
        if document.role(index) is Role.GROUND:
            return True
        if document.role(index) is Role.CUE:
            return False
    return False
