"""Value objects for the A, B and C of the ABCDE rule and for the frame around them.

Vocabulary: asymmetry axes, border cut-off and the six colours of Stolz' ABCD rule of dermoscopy
(Stolz et al., Eur J Dermatol 1994; Nachbar et al., J Am Acad Dermatol 1994); skin tone after
Fitzpatrick (Arch Dermatol 1988).
"""

from enum import IntEnum, StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Asymmetry(StrEnum):
    """In how many of two perpendicular axes the halves differ."""

    SYMMETRIC = "symmetric"
    ONE_AXIS = "one_axis"
    TWO_AXES = "two_axes"


class Border(StrEnum):
    """How regular the outline runs."""

    REGULAR = "regular"
    SLIGHTLY_IRREGULAR = "slightly_irregular"
    IRREGULAR = "irregular"


class Edge(StrEnum):
    """How the pigment ends at the outline."""

    WELL_DEFINED = "well_defined"
    FADING = "fading"


class Colour(StrEnum):
    """The six colours that the ABCD rule counts."""

    WHITE = "white"
    RED = "red"
    LIGHT_BROWN = "light_brown"
    DARK_BROWN = "dark_brown"
    BLUE_GRAY = "blue_gray"
    BLACK = "black"


class ColourPattern(StrEnum):
    """One colour, two, or three and more."""

    UNIFORM = "uniform"
    TWO_TONE = "two_tone"
    VARIEGATED = "variegated"


class Label(StrEnum):
    """The binary label of the paper."""

    BENIGN = "benign"
    MALIGNANT = "malignant"


class Diagnosis(StrEnum):
    """Lesion types that the public datasets share."""

    NEVUS = "nevus"
    SEBORRHEIC_KERATOSIS = "seborrheic_keratosis"
    SOLAR_LENTIGO = "solar_lentigo"
    DERMATOFIBROMA = "dermatofibroma"
    VASCULAR_LESION = "vascular_lesion"
    MELANOMA = "melanoma"
    BASAL_CELL_CARCINOMA = "basal_cell_carcinoma"
    SQUAMOUS_CELL_CARCINOMA = "squamous_cell_carcinoma"

    @property
    def label(self) -> Label:
        """The binary label that every dataset of the paper gives this diagnosis."""
        malignant = (
            Diagnosis.MELANOMA,
            Diagnosis.BASAL_CELL_CARCINOMA,
            Diagnosis.SQUAMOUS_CELL_CARCINOMA,
        )
        return Label.MALIGNANT if self in malignant else Label.BENIGN


class Modality(StrEnum):
    """How the picture was taken."""

    DERMOSCOPIC = "dermoscopic"
    CLINICAL = "clinical"


class SkinTone(IntEnum):
    """Fitzpatrick skin type."""

    I = 1  # noqa: E741 - the Roman numeral is the name
    II = 2
    III = 3
    IV = 4
    V = 5
    VI = 6


class Site(StrEnum):
    """Where on the body, in the words of the ISIC archive."""

    HEAD_NECK = "head_neck"
    CHEST = "chest"
    ABDOMEN = "abdomen"
    BACK = "back"
    UPPER_EXTREMITY = "upper_extremity"
    LOWER_EXTREMITY = "lower_extremity"
    PALMS_SOLES = "palms_soles"


DiameterMm = Annotated[float, Field(gt=0, le=200)]


def pattern_of(colours: tuple[Colour, ...]) -> ColourPattern | None:
    """The pattern that a number of colours amounts to; None where no colour is named."""
    if not colours:
        return None
    if len(colours) == 1:
        return ColourPattern.UNIFORM
    return ColourPattern.TWO_TONE if len(colours) == 2 else ColourPattern.VARIEGATED


class LesionAttributes(BaseModel):
    """What a caption can say of a lesion. None, or no colour, means: not said.

    `colours` starts with the dominant colour; the others follow in the order of `Colour`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    asymmetry: Asymmetry | None = None
    border: Border | None = None
    edge: Edge | None = None
    colours: tuple[Colour, ...] = ()
    pattern: ColourPattern | None = None
    label: Label | None = None
    diagnosis: Diagnosis | None = None
    modality: Modality | None = None
    skin_tone: SkinTone | None = None
    site: Site | None = None
    diameter_mm: DiameterMm | None = None

    @field_validator("colours", mode="after")
    @classmethod
    def _dominant_first(cls, colours: tuple[Colour, ...]) -> tuple[Colour, ...]:
        unique = tuple(dict.fromkeys(colours))
        order = list(Colour)
        return unique[:1] + tuple(sorted(unique[1:], key=order.index))

    @model_validator(mode="after")
    def _label_of_diagnosis(self) -> Self:
        if self.diagnosis and self.label and self.diagnosis.label != self.label:
            raise ValueError(
                f"A {self.diagnosis.value.replace('_', ' ')} is {self.diagnosis.label.value}, "
                f"not {self.label.value}: change the label or the lesion type."
            )
        return self

    @property
    def dominant_colour(self) -> Colour | None:
        """The colour that covers most of the lesion."""
        return self.colours[0] if self.colours else None

    @property
    def has_abc(self) -> bool:
        """Whether asymmetry, border and at least one colour are all stated."""
        return self.asymmetry is not None and self.border is not None and bool(self.colours)
