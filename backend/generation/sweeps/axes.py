"""What a sweep can vary: an attribute of the lesion, or a number of the request."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from backend.generation.design.levels import ATTRIBUTES, Levels, said, value_words
from backend.generation.errors import RequestError
from backend.generation.request import GenerationRequest

MAX_VALUES = 50
_NUMBERS: Mapping[str, tuple[str, str, type[int] | type[float]]] = {
    "guidance": ("Guidance", "guidance_scale", float),
    "steps": ("Steps", "steps", int),
    "seed": ("Seed", "seed", int),
}
NAMES = (*ATTRIBUTES, *_NUMBERS)


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
    raise RequestError(f"A sweep has no axis {name}: use one of {', '.join(NAMES)}.")


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
        raise ValueError(f"{value!r} is no value for the {title.lower()}.") from error
    return read
