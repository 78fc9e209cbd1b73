"""The one object that the form fills, the job stores, the PNG carries and Recall restores."""

import re
from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from backend.abc.attributes import LesionAttributes
from backend.abc.caption_text import CaptionError, clean_caption
from backend.abc.grammar import CaptionStyle
from backend.generation.errors import RequestError
from backend.generation.profile import Profile

SIZE_MULTIPLE = 16
"""8 from the autoencoder times 2 from packing latents two by two."""
SEEDS = 2**32
MAX_COUNT = 1000
MIN_SIDE, MAX_SIDE = 64, 2048
MAX_ATTRIBUTE_GUIDANCE = 2
MIN_LORA_WEIGHT, MAX_LORA_WEIGHT = -2, 2

_RANGES: Mapping[str, tuple[str, float, float]] = {
    "count": ("The number of images", 1, MAX_COUNT),
    "seed": ("The seed", 0, SEEDS - 1),
    "steps": ("The number of steps", 1, 100),
    "guidance_scale": ("The guidance", 0, 20),
    "attribute_guidance": ("The attribute guidance", 0, MAX_ATTRIBUTE_GUIDANCE),
    "width": ("The width", MIN_SIDE, MAX_SIDE),
    "height": ("The height", MIN_SIDE, MAX_SIDE),
    "max_sequence_length": ("The text length in tokens", 8, 512),
}


class LoraUse(BaseModel):
    """A LoRA of the shelf and how strongly it acts: 1 as it was trained, 0 not at all.

    `hash` is over its tensors; it is filled in when the request is submitted, and a request that
    carries it never runs with other tensors of the same name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    weight: float = 1.0
    hash: str | None = None

    @field_validator("name", mode="after")
    @classmethod
    def _named(cls, name: str) -> str:
        if not name.strip():
            raise ValueError("A LoRA without a name cannot be used: choose one from the shelf.")
        return name.strip()

    @field_validator("weight", mode="after")
    @classmethod
    def _in_range(cls, weight: float) -> float:
        if not MIN_LORA_WEIGHT <= weight <= MAX_LORA_WEIGHT:
            raise ValueError(
                f"The weight of a LoRA must be between {MIN_LORA_WEIGHT} and {MAX_LORA_WEIGHT}, "
                f"not {weight:g}."
            )
        return weight

    @field_validator("hash", mode="after")
    @classmethod
    def _whole(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[0-9a-f]{64}", value):
            raise ValueError("The hash of a LoRA must have 64 hexadecimal digits: leave it out.")
        return value


class GenerationRequest(BaseModel):
    """A caption and everything else that decides the pixels.

    `template` names the wording that the caption came from, `attributes` what it was asked to
    say (None: as the parser reads it). `max_sequence_length` None means the model's own, `profile`
    None what suits the device. `negative_caption` says what guidance is to lead away from, for
    models that have one; `attribute_guidance` how strongly the model's classifier leads to the
    attributes that the caption states, None fully, and not at all where LoRAs act.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    caption: str
    negative_caption: str | None = None
    style: CaptionStyle | None = None
    template: str | None = None
    attributes: LesionAttributes | None = None
    model: str = "starter"
    count: int = 1
    seed: int
    steps: int = 20
    guidance_scale: float = 3.5
    attribute_guidance: float | None = None
    width: int = 128
    height: int = 128
    max_sequence_length: int | None = None
    loras: tuple[LoraUse, ...] = ()
    profile: Profile | None = None

    @field_validator("caption", mode="after")
    @classmethod
    def _clean(cls, caption: str) -> str:
        try:
            return clean_caption(caption)
        except CaptionError as error:
            raise ValueError(str(error)) from error

    @field_validator("negative_caption", mode="after")
    @classmethod
    def _clean_negative(cls, text: str | None) -> str | None:
        return cls._clean(text) if text and text.strip() else None

    @field_validator("model", mode="after")
    @classmethod
    def _named(cls, model: str) -> str:
        if not model.strip():
            raise ValueError("No model is chosen: choose one from the list.")
        return model.strip()

    @field_validator("loras", mode="after")
    @classmethod
    def _each_once(cls, loras: tuple[LoraUse, ...]) -> tuple[LoraUse, ...]:
        names = [use.name for use in loras]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"The LoRA {twice} is asked for twice: give it once, with one weight.")
        return loras

    @field_validator(*_RANGES, mode="after")
    @classmethod
    def _in_range(cls, value: float | None, info: ValidationInfo) -> float | None:
        subject, low, high = _RANGES[str(info.field_name)]
        if value is not None and not low <= value <= high:
            raise ValueError(f"{subject} must be between {low:,} and {high:,}, not {value:,}.")
        return value

    @field_validator("width", "height", mode="after")
    @classmethod
    def _multiple(cls, value: int, info: ValidationInfo) -> int:
        if value % SIZE_MULTIPLE:
            below = value - value % SIZE_MULTIPLE
            near = " or ".join(
                str(side) for side in (below, below + SIZE_MULTIPLE) if side >= MIN_SIDE
            )
            raise ValueError(
                f"The {info.field_name} must be a multiple of {SIZE_MULTIPLE}, not {value}: "
                f"choose {near}."
            )
        return value

    def per_image(self, index: int) -> Self:
        """The request of image `index` alone: one image, its seed counted on from the first."""
        return self.model_copy(update={"count": 1, "seed": (self.seed + index) % SEEDS})


def make_request(values: Mapping[str, object]) -> GenerationRequest:
    """A request from the values of a form, a command line or a stored job.

    Raises:
        RequestError: one sentence for each field that is wrong.
    """
    try:
        return GenerationRequest.model_validate(dict(values))
    except ValidationError as error:
        raise RequestError(_sentences(error)) from error


def stored_request(values: Mapping[str, object]) -> GenerationRequest:
    """A request that was kept; one from before there was attribute guidance was made without it.

    Raises:
        RequestError: as `make_request`.
    """
    return make_request({"attribute_guidance": 0.0, **values})


def _sentences(error: ValidationError) -> str:
    return " ".join(dict.fromkeys(_sentence(dict(item)) for item in error.errors()))


def _sentence(item: dict[str, object]) -> str:
    context = item.get("ctx")
    if item["type"] == "value_error" and isinstance(context, dict):
        return str(context["error"])
    location = item["loc"]
    parts = location if isinstance(location, tuple) else (location,)
    field = " ".join(str(part) for part in parts).replace("_", " ")
    if item["type"] == "missing":
        return f"The request has no {field}: fill it in."
    if item["type"] == "extra_forbidden":
        return f"The request has an unknown field, {field}: remove it."
    subject = _RANGES[str(parts[0])][0] if parts[0] in _RANGES else f"The field {field}"
    message = str(item["msg"]).removeprefix("Input should be ")
    return f"{subject} is not valid: it should be {message}."
