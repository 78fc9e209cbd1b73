"""A caption in hand: what it says, who worded it, and how it is written anew."""

import secrets
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

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
from backend.abc.caption_text import clean_caption
from backend.abc.grammar import CaptionStyle, write_caption
from backend.abc.parser import parse
from studio.tabs.generate_form import origin_of

FIRST_SEED = 11
FIRST_LESION = LesionAttributes(
    asymmetry=Asymmetry.ONE_AXIS,
    border=Border.SLIGHTLY_IRREGULAR,
    edge=Edge.WELL_DEFINED,
    colours=(Colour.LIGHT_BROWN, Colour.DARK_BROWN),
    pattern=ColourPattern.TWO_TONE,
    label=Label.BENIGN,
    diagnosis=Diagnosis.NEVUS,
    modality=Modality.DERMOSCOPIC,
    skin_tone=SkinTone.III,
    site=Site.BACK,
    diameter_mm=5.0,
)


class Draft(BaseModel):
    """A caption with the attributes it states; `style` is None once a person edited it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    caption: str
    attributes: LesionAttributes
    style: CaptionStyle | None
    seed: int

    @classmethod
    def write(cls, attributes: LesionAttributes, style: CaptionStyle, seed: int) -> Self:
        """Word the attributes.

        Raises CaptionError where the style names a label and none is set.
        """
        caption = write_caption(attributes, style=style, seed=seed)
        return cls(caption=caption, attributes=attributes, style=style, seed=seed)

    @classmethod
    def edited(cls, caption: str, seed: int) -> Self:
        """What a person typed, read back.

        Raises CaptionError for a caption that is empty or too long.
        """
        attributes = parse(clean_caption(caption)).attributes
        return cls(caption=caption, attributes=attributes, style=None, seed=seed)

    @classmethod
    def restore(cls, stored: object) -> Self | None:
        """The draft that a browser kept; None for anything else."""
        try:
            return cls.model_validate(stored)
        except ValidationError:
            return None

    def stated(self) -> LesionAttributes:
        """The attributes that the caption itself says: a style may leave some out."""
        if self.style is CaptionStyle.PLAIN:
            return self.attributes.model_copy(update={"label": None, "diagnosis": None})
        if self.style is CaptionStyle.LABEL_ONLY:
            return LesionAttributes(label=self.attributes.label)
        return self.attributes

    def origin(self) -> dict[str, object]:
        """Where the caption came from, for the request that will use it.

        Raises CaptionError for a caption that is empty or too long.
        """
        return origin_of(
            clean_caption(self.caption),
            style=self.style,
            template=f"grammar, seed {self.seed}" if self.style else None,
            attributes=self.stated(),
        )


def first_draft() -> Draft:
    """The example that a first visitor meets."""
    return Draft.write(FIRST_LESION, CaptionStyle.AUTHORS, FIRST_SEED)


def new_seed() -> int:
    """A seed for another wording."""
    return secrets.randbelow(2**31)
