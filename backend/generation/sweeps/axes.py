"""What a sweep varies: an attribute of the lesion, a number of the request, or a LoRA's weight."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from backend.generation.design.levels import ATTRIBUTES, Levels, said, value_words
from backend.generation.errors import RequestError
from backend.generation.request import (
    MAX_LORA_WEIGHT,
    MIN_LORA_WEIGHT,
    GenerationRequest,
    LoraUse,
)

MAX_VALUES = 50
_NUMBERS: Mapping[str, tuple[str, str, type[int] | type[float]]] = {
    "guidance": ("Guidance", "guidance_scale", float),
    "attribute-guidance": ("Attribute guidance", "attribute_guidance", float),
    "steps": ("Steps", "steps", int),
    "seed": ("Seed", "seed", int),
}
NAMES = (*ATTRIBUTES, *_NUMBERS)
LORA = "lora:"
"""What the name of an axis begins with that varies the weight of a LoRA, whose name follows."""


@dataclass(frozen=True)
class AxisKind:
    """How an axis is titled, reads its values, and changes a request.

    `attribute` names the attribute of the lesion that it varies, whose caption is then written
    anew; None where `change` gives the fields of the request that a value replaces.
    """

    title: str
    read: Callable[[object], Any]
    attribute: str | None = None
    change: Callable[[GenerationRequest, Any], Mapping[str, object]] = lambda _request, _value: {}


class Axis(BaseModel):
    """One direction of the grid: what varies, and the values in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    values: tuple[Any, ...] = Field(min_length=1, max_length=MAX_VALUES)

    @model_validator(mode="after")
    def _readable(self) -> Self:
        try:
            kind = axis_kind(self.name)
        except RequestError as error:
            raise ValueError(str(error)) from error
        values = tuple(kind.read(value) for value in self.values)
        if len(set(values)) < len(values):
            raise ValueError(f"The axis {self.name} has a value twice: name each once.")
        object.__setattr__(self, "values", values)
        return self

    @property
    def kind(self) -> AxisKind:
        """How the axis reads its values and changes a request."""
        return axis_kind(self.name)

    def words(self) -> tuple[str, ...]:
        """The values as a person reads them."""
        return tuple(value_words(value) for value in self.values)


def axis_kind(name: str) -> AxisKind:
    """The axis of this name.

    Raises:
        RequestError: there is none.
    """
    if name in ATTRIBUTES:
        return AxisKind(said(name).capitalize(), lambda value: _level(name, value), attribute=name)
    if name in _NUMBERS:
        title, field, number = _NUMBERS[name]
        return AxisKind(
            title,
            lambda value: _number(title, number, value),
            change=lambda _request, value: {field: value},
        )
    if swept_lora(name):
        return _weight_of(swept_lora(name))
    raise RequestError(
        f"A sweep has no axis {name}: use {', '.join(NAMES)}, or {LORA}NAME for the weight of a "
        "LoRA."
    )


def swept_lora(name: str) -> str:
    """The LoRA whose weight an axis of this name varies; empty where it varies something else."""
    return name.removeprefix(LORA).strip() if name.startswith(LORA) else ""


def _weight_of(lora: str) -> AxisKind:
    def change(request: GenerationRequest, weight: float) -> Mapping[str, object]:
        used = {use.name: use for use in request.loras}
        use = used.get(lora, LoraUse(name=lora))
        used[lora] = use.model_copy(update={"weight": weight})
        return {"loras": tuple(used.values())}

    return AxisKind(f"Weight of LoRA {lora}", lambda value: _weight(lora, value), change=change)


def _weight(lora: str, value: object) -> float:
    """A weight in its range; raises ValueError."""
    weight = float(_number(f"weight of LoRA {lora}", float, value))
    if not MIN_LORA_WEIGHT <= weight <= MAX_LORA_WEIGHT:
        raise ValueError(
            f"The weight of a LoRA must be between {MIN_LORA_WEIGHT} and {MAX_LORA_WEIGHT}, not "
            f"{weight:g}."
        )
    return weight


def _level(name: str, value: object) -> Any:
    """A value of an attribute; raises ValueError."""
    try:
        return getattr(Levels.model_validate({name: (value,)}), name)[0]
    except ValidationError as error:
        problem = error.errors()[0]["msg"].removeprefix("Value error, ")
        sentence = f"{value!r} is no value for the {said(name)}: {problem}"
        raise ValueError(f"{sentence.rstrip('.')}.") from error


def _number(title: str, number: type[int] | type[float], value: object) -> int | float:
    """A number of the kind that the field has; raises ValueError."""
    try:
        read = number(str(value))
    except ValueError as error:
        subject = title[:1].lower() + title[1:]
        raise ValueError(f"{value!r} is no value for the {subject}.") from error
    return read
