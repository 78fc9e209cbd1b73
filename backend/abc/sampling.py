"""Random lesions whose attributes hang together, and the combinations that training never sees."""

import hashlib
from collections.abc import Sequence
from enum import Enum
from typing import TypeVar

from numpy.random import Generator

from backend.abc.attributes import (
    Asymmetry,
    Border,
    Colour,
    Diagnosis,
    Edge,
    Label,
    LesionAttributes,
    Modality,
    Site,
    SkinTone,
    pattern_of,
)

HELD_OUT_SHARE = 0.12

_ASYMMETRY = {Label.BENIGN: (0.62, 0.26, 0.12), Label.MALIGNANT: (0.14, 0.30, 0.56)}
_BORDER = {Label.BENIGN: (0.60, 0.28, 0.12), Label.MALIGNANT: (0.14, 0.28, 0.58)}
_COLOUR_COUNT = {Label.BENIGN: (0.46, 0.38, 0.13, 0.03), Label.MALIGNANT: (0.14, 0.32, 0.36, 0.18)}
_COLOUR_WEIGHT = {
    Diagnosis.NEVUS: (0.02, 0.05, 0.48, 0.37, 0.04, 0.04),
    Diagnosis.SEBORRHEIC_KERATOSIS: (0.10, 0.03, 0.34, 0.34, 0.07, 0.12),
    Diagnosis.SOLAR_LENTIGO: (0.02, 0.04, 0.74, 0.18, 0.01, 0.01),
    Diagnosis.DERMATOFIBROMA: (0.22, 0.18, 0.42, 0.16, 0.01, 0.01),
    Diagnosis.VASCULAR_LESION: (0.06, 0.66, 0.02, 0.04, 0.14, 0.08),
    Diagnosis.MELANOMA: (0.09, 0.12, 0.19, 0.26, 0.17, 0.17),
    Diagnosis.BASAL_CELL_CARCINOMA: (0.15, 0.38, 0.14, 0.11, 0.18, 0.04),
    Diagnosis.SQUAMOUS_CELL_CARCINOMA: (0.24, 0.48, 0.16, 0.08, 0.01, 0.03),
}
_DIAGNOSES = {
    Label.BENIGN: {
        Diagnosis.NEVUS: 0.48,
        Diagnosis.SEBORRHEIC_KERATOSIS: 0.17,
        Diagnosis.SOLAR_LENTIGO: 0.12,
        Diagnosis.DERMATOFIBROMA: 0.11,
        Diagnosis.VASCULAR_LESION: 0.12,
    },
    Label.MALIGNANT: {
        Diagnosis.MELANOMA: 0.55,
        Diagnosis.BASAL_CELL_CARCINOMA: 0.27,
        Diagnosis.SQUAMOUS_CELL_CARCINOMA: 0.18,
    },
}

_SITE = (0.16, 0.16, 0.14, 0.20, 0.14, 0.16, 0.04)
_RARELY_DOMINANT = {Colour.WHITE: 0.25, Colour.BLUE_GRAY: 0.5}

T = TypeVar("T", bound=Enum)


def sample_attributes(rng: Generator, *, label: Label | None = None) -> LesionAttributes:
    """A complete lesion, its asymmetry, border and colours drawn as its lesion type shows them.

    Every value of A, B and C stays possible under either label, so that a model can learn
    each attribute by itself.
    """
    label = label or _draw(rng, list(Label), (0.5, 0.5))
    types = _DIAGNOSES[label]
    diagnosis = _draw(rng, list(types), tuple(types.values()))
    colours = _colours(rng, label, diagnosis)
    return LesionAttributes(
        asymmetry=_draw(rng, list(Asymmetry), _ASYMMETRY[label]),
        border=_draw(rng, list(Border), _BORDER[label]),
        edge=_draw(rng, list(Edge), (0.65, 0.35)),
        colours=colours,
        pattern=pattern_of(colours),
        label=label,
        diagnosis=diagnosis,
        modality=_draw(rng, list(Modality), (0.72, 0.28)),
        skin_tone=_draw(rng, list(SkinTone), (1 / 6,) * 6),
        site=_draw(rng, list(Site), _SITE),
        diameter_mm=round(float(rng.uniform(3.0, 12.0)), 1),
    )


def combination_key(attributes: LesionAttributes) -> str:
    """The part of a lesion that counts as its combination: A, B, colours and skin tone."""
    colours = "+".join(attributes.colours)
    return f"{attributes.asymmetry}|{attributes.border}|{colours}|{attributes.skin_tone}"


def is_held_out(attributes: LesionAttributes) -> bool:
    """Whether this combination is kept out of every training set of the starter model.

    The choice is a hash of the combination, hence the same on every machine.
    """
    digest = hashlib.sha256(combination_key(attributes).encode()).digest()
    return int.from_bytes(digest[:4], "big") < HELD_OUT_SHARE * 2**32


def sample_split(rng: Generator, *, held_out: bool, label: Label | None = None) -> LesionAttributes:
    """A complete lesion whose combination is, or is not, among those held out of training."""
    while True:
        attributes = sample_attributes(rng, label=label)
        if is_held_out(attributes) == held_out:
            return attributes


def _colours(rng: Generator, label: Label, diagnosis: Diagnosis) -> tuple[Colour, ...]:
    count = 1 + int(rng.choice(4, p=_COLOUR_COUNT[label]))
    weights = dict(zip(Colour, _COLOUR_WEIGHT[diagnosis], strict=True))
    leading = {colour: w * _RARELY_DOMINANT.get(colour, 1.0) for colour, w in weights.items()}
    dominant = _weighted(rng, leading)
    others = {colour: weight for colour, weight in weights.items() if colour != dominant}
    chosen = [dominant]
    for _ in range(count - 1):
        chosen.append(_weighted(rng, others))
        del others[chosen[-1]]
    return LesionAttributes(colours=tuple(chosen)).colours


def _weighted(rng: Generator, weights: dict[Colour, float]) -> Colour:
    total = sum(weights.values())
    return _draw(rng, list(weights), tuple(weight / total for weight in weights.values()))


def _draw(rng: Generator, values: Sequence[T], probabilities: tuple[float, ...]) -> T:
    return values[int(rng.choice(len(values), p=probabilities))]
