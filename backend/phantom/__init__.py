"""Parametric skin-lesion phantoms: a picture and the exact truth of its A, B and C."""

from backend.phantom.colouring import COLOUR_JITTER, COLOUR_LAB, colour_lab
from backend.phantom.errors import PhantomError
from backend.phantom.outline import mirror_mismatch
from backend.phantom.rendering import LARGEST_SIZE, SMALLEST_SIZE, Phantom, render, render_between
from backend.phantom.skin import SKIN_JITTER, SKIN_LAB

__all__ = [
    "COLOUR_JITTER",
    "COLOUR_LAB",
    "LARGEST_SIZE",
    "SKIN_JITTER",
    "SKIN_LAB",
    "SMALLEST_SIZE",
    "Phantom",
    "PhantomError",
    "colour_lab",
    "mirror_mismatch",
    "render",
    "render_between",
]
