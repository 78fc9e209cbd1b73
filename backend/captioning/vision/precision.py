"""In which precision a model fits, and what is said of the choice."""

from dataclasses import dataclass
from importlib.util import find_spec

from backend.captioning.errors import CaptioningError
from backend.captioning.task import Precision
from backend.files import size_words

BYTES_PER_WEIGHT = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "8bit": 1.1, "4bit": 0.65}
"""8 and 4 bits include the embeddings, which stay whole, and the scales of the blocks."""
QUANTISED = ("8bit", "4bit")
ROOM = 1.2
"""Weights, and a fifth of them for the images and the words so far of a batch."""
QUANTISER = "bitsandbytes"


@dataclass(frozen=True)
class Place:
    """Where a model is to run: `total` bytes of memory; whether it computes bfloat16 natively."""

    name: str
    cuda: bool
    total: int
    native_bfloat16: bool


@dataclass(frozen=True)
class Choice:
    """A precision, and why, in a sentence."""

    precision: Precision
    sentence: str


def choose_precision(
    title: str, weights: int, place: Place, wanted: Precision, *, quantiser: bool | None = None
) -> Choice:
    """What is wanted; else the most precise that fits into the whole memory of the place.

    It depends on the machine, not on what else runs there: the precision is part of a version.
    `quantiser` says whether bitsandbytes is installed, and is looked up unless given.

    Raises:
        CaptioningError: nothing fits, or it needs what is not installed.
    """
    if quantiser is None:
        quantiser = find_spec(QUANTISER) is not None
    if wanted != "auto":
        return _wanted(title, place, wanted, quantiser=quantiser)
    half: Precision = "bfloat16" if place.native_bfloat16 or not place.cuda else "float16"
    whole: tuple[Precision, ...] = (half,) if place.cuda else ("float32", half)
    for precision in whole:
        if _need(weights, precision) <= place.total:
            return Choice(precision, f"{title} runs in {precision} on {place.name}.")
    needs = (
        f"{title} needs about {size_words(round(_need(weights, half)))} in {half}, and "
        f"{place.name} has {size_words(place.total)}"
    )
    fitting = [one for one in QUANTISED if _need(weights, one) <= place.total]
    if not place.cuda or not fitting:
        raise CaptioningError(f"{needs}: choose a smaller model.")
    bits = fitting[0].removesuffix("bit")
    if not quantiser:
        raise CaptioningError(
            f"{needs}; in {bits} bits it would fit, which needs {QUANTISER}: run `python -m pip "
            f"install {QUANTISER}` with the studio's Python, or choose a smaller model."
        )
    precision = "8bit" if bits == "8" else "4bit"
    return Choice(precision, f"{needs}: it runs in {bits} bits by {QUANTISER}.")


def _wanted(title: str, place: Place, wanted: Precision, *, quantiser: bool) -> Choice:
    if wanted in QUANTISED and not place.cuda:
        raise CaptioningError(
            f"{wanted} needs a graphics card, and there is none: choose the precision auto."
        )
    if wanted in QUANTISED and not quantiser:
        raise CaptioningError(
            f"{wanted} needs {QUANTISER}, which is not installed: run `python -m pip install "
            f"{QUANTISER}` with the studio's Python, or choose bfloat16."
        )
    return Choice(wanted, f"{title} runs in {wanted} on {place.name}, as was asked for.")


def _need(weights: int, precision: str) -> float:
    return weights * BYTES_PER_WEIGHT[precision] * ROOM
