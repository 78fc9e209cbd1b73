"""Training captions: a fresh wording, style and choice of stated attributes each time."""

import numpy as np
from numpy.random import Generator

from backend.abc.attributes import LesionAttributes
from backend.abc.grammar import CaptionStyle, write_caption

_STYLES = (CaptionStyle.AUTHORS, CaptionStyle.PLAIN, CaptionStyle.LABEL_ONLY)
_STYLE_SHARE = (0.48, 0.47, 0.05)
_KEEP = {
    "asymmetry": 0.95,
    "border": 0.95,
    "edge": 0.8,
    "colours": 0.95,
    "pattern": 0.6,
    "diagnosis": 0.4,
    "modality": 0.75,
    "skin_tone": 0.85,
    "site": 0.4,
    "diameter_mm": 0.4,
}


def training_caption(truth: LesionAttributes, rng: Generator) -> tuple[str, LesionAttributes]:
    """A caption of some of what is true, and exactly what it states."""
    style = _STYLES[int(rng.choice(3, p=_STYLE_SHARE))]
    stated = _stated(truth, style, rng)
    seed = int(rng.integers(2**31))
    return write_caption(stated, style=style, seed=seed), stated


def _stated(truth: LesionAttributes, style: CaptionStyle, rng: Generator) -> LesionAttributes:
    if style is CaptionStyle.LABEL_ONLY:
        return LesionAttributes(label=truth.label)
    dropped: dict[str, object] = {
        field: () if field == "colours" else None
        for field, keep in _KEEP.items()
        if rng.random() > keep
    }
    unlabelled = {"label": None, "diagnosis": None} if style is CaptionStyle.PLAIN else {}
    stated = truth.model_copy(update=dropped | unlabelled)
    if not (stated.asymmetry or stated.border or stated.colours):
        return truth.model_copy(update=unlabelled)
    return stated


def caption_generator(seed: int, stream: int, step: int) -> Generator:
    """The random numbers of one step, the same when a run is resumed at it."""
    return np.random.default_rng([seed, stream, step])
