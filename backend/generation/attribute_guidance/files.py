"""The classifier in a model's folder: is it there, is it whole, and how strongly it acts."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from backend.generation.errors import ModelError
from backend.generation.families import ATTRIBUTE_CLASSIFIER
from backend.generation.layout import read_json
from backend.generation.weights import read_tensors

CONFIG, WEIGHTS = "config.json", "model.safetensors"
ATTRIBUTES = ("asymmetry", "border", "edge", "skin_tone", "colours")


class ClassifierConfig(BaseModel):
    """`config.json` of a classifier of noisy latents.

    width: channels of its first level; image_size: the side in pixels that it knows; strengths:
    what the log-probability of each attribute counts at an attribute guidance of 1; temperature:
    what its logits are divided by; highest_sigma: noise above it counts as if it were this much.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(ge=8, le=1024, multiple_of=8)
    image_size: int = Field(ge=32, le=2048, multiple_of=32)
    strengths: dict[str, float]
    temperature: float = Field(gt=0, allow_inf_nan=False)
    highest_sigma: float = Field(gt=0, lt=1)

    @field_validator("strengths", mode="after")
    @classmethod
    def _of_each(cls, strengths: dict[str, float]) -> dict[str, float]:
        if set(strengths) != set(ATTRIBUTES) or not all(
            0 <= value < float("inf") for value in strengths.values()
        ):
            raise ValueError(f"a strength for each of {', '.join(ATTRIBUTES)}")
        return strengths


def has_classifier(model: Path) -> bool:
    """Whether the folder of a model holds a classifier, whole or not."""
    return (model / ATTRIBUTE_CLASSIFIER).is_dir()


def classifier_files(model: Path) -> list[Path]:
    """What decides how it leads, weights first; none where there is no classifier."""
    folder = model / ATTRIBUTE_CLASSIFIER
    return [folder / WEIGHTS, folder / CONFIG] if has_classifier(model) else []


def known_side(model: Path) -> int | None:
    """The side in pixels that the classifier of a model knows; None where it has none.

    Reads the header of its weights, not the weights.

    Raises:
        ModelError: its configuration or its weights are missing, damaged or truncated.
    """
    if not has_classifier(model):
        return None
    read_tensors(model / ATTRIBUTE_CLASSIFIER / WEIGHTS)
    return classifier_config(model).image_size


def classifier_config(model: Path) -> ClassifierConfig:
    """How the classifier of a model is made and used.

    Raises:
        ModelError: the configuration is missing or damaged.
    """
    try:
        return ClassifierConfig.model_validate(read_json(model / ATTRIBUTE_CLASSIFIER / CONFIG))
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise ModelError(
            f"The {ATTRIBUTE_CLASSIFIER}/{CONFIG} of the model {model.name} has a bad {field}: "
            "copy or download the folder again."
        ) from error
