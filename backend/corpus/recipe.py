"""How the standard copy of an image is made: what a person chooses at an import."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

MAX_SIDE = 2048
THUMBNAIL_SIDE = 256


class Fit(StrEnum):
    """How an image becomes square."""

    CROP = "crop"  # shorter side to scale, then the centre
    SQUASH = "squash"
    PAD = "pad"  # longer side to scale, black around it


class Encoding(StrEnum):
    """The file format of the standard copy; JPEG has quality 95 without chroma subsampling."""

    JPEG = "jpeg"
    PNG = "png"


class Minimum(StrEnum):
    """What the smallest allowed size is measured by: px of a side, or bytes of the file."""

    SHORTER_SIDE = "shorter"
    LONGER_SIDE = "longer"
    FILE_SIZE = "bytes"


class Recipe(BaseModel):
    """How the standard copy is made; images below `minimum` are left out, 0 keeps all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    side: int = Field(512, ge=32, le=MAX_SIDE)
    fit: Fit = Fit.CROP
    encoding: Encoding = Encoding.JPEG
    minimum: int = Field(0, ge=0)
    minimum_of: Minimum = Minimum.SHORTER_SIDE

    @property
    def name(self) -> str:
        """Names what is made of the same bytes: the folder of the copies."""
        return f"{self.side}-{self.fit}-{self.encoding}"

    @property
    def has_thumbnail(self) -> bool:
        """Whether the copy is too large to be its own thumbnail."""
        return self.side > THUMBNAIL_SIDE
