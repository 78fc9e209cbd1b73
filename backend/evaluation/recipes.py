"""How a classifier is trained: the paper's two recipes, small ones for the CPU, any other by name.

No torch here: the page, the command line and the training program read the same recipe.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Precision = Literal["auto", "float32", "bfloat16"]
EMBEDDED, NO_WEIGHTS = "embedded", "none"


class Recipe(BaseModel):
    """One architecture of timm and everything that decides how it is trained.

    `weights` are `none`, `embedded` (those of the studio's assets), a safetensors file, or a folder
    in the hub's layout; nothing is downloaded. `side` is the width of the square images in pixels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str = Field(min_length=1)
    learning_rate: float = Field(1e-4, gt=0, le=1)
    epochs: int = Field(40, ge=1, le=1000)
    batch_size: int = Field(32, ge=2, le=4096)
    side: int = Field(224, ge=32, le=1024)
    weights: str = NO_WEIGHTS
    weight_decay: float = Field(0.0, ge=0, le=1)
    flips: bool = True
    precision: Precision = "auto"


PAPER: Mapping[str, Recipe] = {
    "resnext50_32x4d": Recipe(architecture="resnext50_32x4d", learning_rate=1e-4),
    "vit_base_patch16_224": Recipe(architecture="vit_base_patch16_224", learning_rate=2e-5),
}
"""Section 3 of the paper: 40 epochs, batches of 32, cosine annealing; pretrained on ImageNet."""

SMALL: Mapping[str, Recipe] = {
    "tf_efficientnet_lite0": Recipe(
        architecture="tf_efficientnet_lite0",
        learning_rate=1e-3,
        epochs=8,
        side=64,
        weights=EMBEDDED,
    ),
    "resnet10t": Recipe(architecture="resnet10t", learning_rate=1e-3, epochs=8, side=64),
}
"""What a CPU trains in seconds: from weights that come with the studio, or from nothing."""


class Architecture(BaseModel):
    """A recipe by the name of its architecture, with what is to be different from it."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = ""
    architecture: str

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, value: object) -> object:
        return {"architecture": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _is_a_recipe(self) -> "Architecture":
        self.recipe()
        return self

    def recipe(self) -> Recipe:
        """The recipe that this amounts to."""
        known = {**PAPER, **SMALL}.get(self.architecture)
        base = known.model_dump() if known else {}
        changes = {**(self.model_extra or {}), "architecture": self.architecture}
        return Recipe.model_validate({**base, **changes})

    @property
    def title(self) -> str:
        """What tables call it."""
        return self.name or self.architecture
