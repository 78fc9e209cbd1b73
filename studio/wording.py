"""How the page names the values of the ABC language, and the choices its controls offer."""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import TypeVar

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
)
from backend.abc.grammar import CaptionStyle
from backend.jobs.states import JobState

Value = TypeVar("Value", bound=Enum)
NOT_SAID = "Not said"
ANY = "Any"

NAMES: Mapping[Enum, str] = {
    Asymmetry.SYMMETRIC: "Symmetric",
    Asymmetry.ONE_AXIS: "In one axis",
    Asymmetry.TWO_AXES: "In two axes",
    Border.REGULAR: "Regular",
    Border.SLIGHTLY_IRREGULAR: "Slightly irregular",
    Border.IRREGULAR: "Irregular",
    Edge.WELL_DEFINED: "Well-defined",
    Edge.FADING: "Fading",
    Colour.WHITE: "White",
    Colour.RED: "Red",
    Colour.LIGHT_BROWN: "Light brown",
    Colour.DARK_BROWN: "Dark brown",
    Colour.BLUE_GRAY: "Blue-gray",
    Colour.BLACK: "Black",
    ColourPattern.UNIFORM: "Uniform",
    ColourPattern.TWO_TONE: "Two-tone",
    ColourPattern.VARIEGATED: "Variegated",
    Label.BENIGN: "Benign",
    Label.MALIGNANT: "Malignant",
    Diagnosis.NEVUS: "Nevus",
    Diagnosis.SEBORRHEIC_KERATOSIS: "Seborrheic keratosis",
    Diagnosis.SOLAR_LENTIGO: "Solar lentigo",
    Diagnosis.DERMATOFIBROMA: "Dermatofibroma",
    Diagnosis.VASCULAR_LESION: "Vascular lesion",
    Diagnosis.MELANOMA: "Melanoma",
    Diagnosis.BASAL_CELL_CARCINOMA: "Basal cell carcinoma",
    Diagnosis.SQUAMOUS_CELL_CARCINOMA: "Squamous cell carcinoma",
    Modality.DERMOSCOPIC: "Dermoscopic",
    Modality.CLINICAL: "Clinical photo",
    Site.HEAD_NECK: "Head or neck",
    Site.CHEST: "Chest",
    Site.ABDOMEN: "Abdomen",
    Site.BACK: "Back",
    Site.UPPER_EXTREMITY: "Arm",
    Site.LOWER_EXTREMITY: "Leg",
    Site.PALMS_SOLES: "Palm or sole",
    CaptionStyle.AUTHORS: "As in training (names the label)",
    CaptionStyle.LABEL_ONLY: "Label only",
    CaptionStyle.PLAIN: "ABC only, no diagnosis",
    JobState.QUEUED: "Waiting",
    JobState.RUNNING: "Running",
    JobState.DONE: "Done",
    JobState.FAILED: "Failed",
    JobState.CANCELLED: "Cancelled",
    JobState.INTERRUPTED: "Interrupted",
} | {tone: tone.name for tone in SkinTone}


def name_of(value: Enum | None) -> str:
    """The value as the page writes it."""
    return NOT_SAID if value is None else NAMES[value]


def names_of(values: Iterable[Enum]) -> str:
    """Several values in one line."""
    return ", ".join(NAMES[value] for value in values) or NOT_SAID


def choices(values: type[Value], first: str = NOT_SAID) -> list[tuple[str, str]]:
    """What a single-choice control offers: nothing said, then every value."""
    return [(first, ""), *((NAMES[value], str(value.value)) for value in values)]


def multiple_choices(values: type[Value]) -> list[tuple[str, str]]:
    """What a multiple-choice control offers."""
    return [(NAMES[value], str(value.value)) for value in values]


def compared_fields(attributes: LesionAttributes) -> dict[str, str]:
    """The fields that can be both asked for and measured, by their name on the page."""
    return {
        "Asymmetry": name_of(attributes.asymmetry),
        "Border": name_of(attributes.border),
        "Edge": name_of(attributes.edge),
        "Colours": names_of(attributes.colours),
        "Skin tone": name_of(attributes.skin_tone),
    }
