"""Words for places on the body that also mean something else."""

from backend.abc.mentions import Document, Mention
from backend.abc.tokens import Break, word_set

_BEFORE_BACK = word_set(
    "the my his her their upper lower mid middle left right patient on entire whole"
)
_ONLY = word_set(
    "color finding feature abnormality reason exception change concern symptom complaint sign "
    "criterion purpose lesion irregularity one"
)


def names_site(document: Document, mention: Mention) -> bool:
    """Whether "back", "sole" or "face" is meant as a place on the body here."""
    word = document.word(mention.last)
    if mention.first != mention.last or word not in ("back", "sole"):
        return True
    opens = mention.first == 0 or document.parting(mention.first) >= Break.COMMA
    closes = document.parting(mention.last + 1) >= Break.COMMA
    following = document.word(mention.last + 1)
    if word == "sole":
        return closes or following not in _ONLY
    if following in ("half", "side", "part", "end"):
        return False
    return (opens and closes) or document.word(mention.first - 1) in _BEFORE_BACK
