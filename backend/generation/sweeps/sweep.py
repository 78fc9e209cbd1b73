"""The declaration of a sweep, and the request of each of its cells."""

from collections.abc import Mapping
from itertools import product
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from backend.abc.attributes import LesionAttributes, pattern_of
from backend.abc.caption_text import CaptionError
from backend.abc.grammar import write_caption
from backend.abc.parser import parse
from backend.abc.template import attributes_named, fill_template, parse_template
from backend.errors import DermaFluxError
from backend.generation.design.design import problem_sentences
from backend.generation.errors import RequestError
from backend.generation.request import MAX_COUNT, GenerationRequest, make_request
from backend.generation.sweeps.axes import Axis


class Sweep(BaseModel):
    """A grid of images: `across` varies from column to column, `down` from row to row.

    Every cell is `request` with the values of its place, its noise from the same seed unless the
    seed is an axis. Where an attribute varies, the caption is written anew for each cell: from
    `template` (wildcards of `backend.abc.template`), whose other words stay as they are, or by
    the grammar in the style of the request.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    request: GenerationRequest
    across: Axis
    down: Axis | None = None
    template: str | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.request.count != 1:
            raise ValueError("A sweep makes one image a cell: set the number of images to 1.")
        if self.down is not None and self.down.name == self.across.name:
            raise ValueError(f"Both axes are {self.across.name}: choose two, or leave one out.")
        size = len(self.across.values) * len(self.down.values if self.down else (None,))
        if size > MAX_COUNT:
            raise ValueError(
                f"The grid has {size:,} cells, the most allowed is {MAX_COUNT:,}: choose fewer "
                "values."
            )
        try:
            cells(self)
        except DermaFluxError as error:
            raise ValueError(str(error)) from error
        return self

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes that there are, the rows' first."""
        return (self.across,) if self.down is None else (self.down, self.across)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return (len(self.down.values) if self.down else 1, len(self.across.values))


def make_sweep(values: Mapping[str, object]) -> Sweep:
    """A sweep from the values of a form, a command line or a stored job.

    Raises:
        RequestError: one sentence for each thing that is wrong.
    """
    try:
        return Sweep.model_validate(dict(values))
    except ValidationError as error:
        raise RequestError(problem_sentences(error, "sweep")) from error


def cells(sweep: Sweep) -> tuple[GenerationRequest, ...]:
    """The request of every cell, row by row.

    Raises:
        RequestError, CaptionError: a combination is impossible, or its caption cannot be written.
    """
    names = [axis.name for axis in sweep.axes]
    values = product(*(axis.values for axis in sweep.axes))
    return tuple(_cell(sweep, dict(zip(names, place, strict=True))) for place in values)


def _cell(sweep: Sweep, place: Mapping[str, Any]) -> GenerationRequest:
    changes: dict[str, object] = {}
    lesion: dict[str, Any] = {}
    for axis in sweep.axes:
        value = place[axis.name]
        changed = sweep.request.model_copy(update=changes)
        changes |= axis.kind.change(changed, value)
        if axis.kind.attribute is not None:
            lesion[axis.kind.attribute] = value
    if lesion or sweep.template is not None:
        changes |= _worded(sweep, _lesion(sweep.request, lesion), lesion)
    return make_request(sweep.request.model_dump() | changes)


def _lesion(request: GenerationRequest, values: Mapping[str, Any]) -> LesionAttributes:
    """The lesion of the request with these values, and with what follows from them."""
    said = dict(request.attributes or parse(request.caption).attributes)
    said |= values
    if "colours" in values:
        said["pattern"] = pattern_of(said["colours"])
    if "diagnosis" in values and said["label"] is not None and "label" not in values:
        said["label"] = said["diagnosis"].label
    if "pattern" in values and said["colours"]:
        raise RequestError(
            "The pattern follows from the number of colours: vary the colours, or leave them out."
        )
    try:
        return LesionAttributes.model_validate(said)
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise RequestError(f"A cell of the sweep is impossible: {message}") from error


def _worded(
    sweep: Sweep, lesion: LesionAttributes, varied: Mapping[str, Any]
) -> Mapping[str, object]:
    """Caption and origin; the words are drawn by the seed of the sweep, the same in all cells."""
    request = sweep.request
    if sweep.template is not None:
        template = parse_template(sweep.template)
        missing = [name for name in varied if name not in attributes_named(template)]
        if missing:
            raise CaptionError(
                f"The template does not name {{{missing[0]}}}, which the sweep varies: write it "
                "where it belongs."
            )
        caption = fill_template(template, lesion, seed=request.seed)
        return {"caption": caption, "template": sweep.template, "attributes": lesion, "style": None}
    if request.style is None:
        name = next(iter(varied))
        raise CaptionError(
            f"The caption is in words of its own, which do not follow the {name}: give a template "
            f"with {{{name}}} in it, or let the caption be written from attributes."
        )
    return {
        "caption": write_caption(lesion, style=request.style, seed=request.seed),
        "template": f"grammar, seed {request.seed}",
        "attributes": lesion,
    }
