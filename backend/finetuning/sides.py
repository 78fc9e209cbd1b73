"""Whether captions speak of left and right, which a mirrored image would make wrong."""

import re
from collections.abc import Iterable

from backend.finetuning.errors import FinetuningError
from backend.finetuning.pairs import Pair

_SIDES = re.compile(
    r"\b(left|right|o'clock|links|rechts|linke[nrs]?|rechte[nrs]?)\b", re.IGNORECASE
)
_NO_SIDES = re.compile(r"\bright (angles?|away|now)\b|\bleft (alone|untreated)\b", re.IGNORECASE)


def names_a_side(caption: str) -> bool:
    """Whether a caption tells left from right."""
    return _SIDES.search(_NO_SIDES.sub(" ", caption)) is not None


def refuse_flip(pairs: Iterable[Pair]) -> None:
    """Raises FinetuningError where a caption names a side, saying how many do."""
    count = sum(names_a_side(pair.caption) for pair in pairs)
    if count:
        raise FinetuningError(
            f"{count:,} captions speak of left and right, which a mirrored image makes wrong: "
            "switch flips off, or edit these captions."
        )
