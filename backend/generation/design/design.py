"""The declaration of a caption design: what varies, by which plan, and in which words."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from backend.abc.attributes import LesionAttributes
from backend.abc.caption_text import CaptionError
from backend.abc.grammar import MAX_SENTENCES, CaptionStyle
from backend.abc.template import attributes_named, parse_template
from backend.generation.design.levels import AttributeName, Levels, said
from backend.generation.errors import GenerationError
from backend.generation.request import SEEDS

MAX_ROWS = 50_000


class DesignError(GenerationError):
    """A design that cannot be written out, or a table that cannot be read."""


class Plan(StrEnum):
    """How the chosen levels are combined."""

    FACTORIAL = "factorial"  # every possible combination, each `repeats` times
    HYPERCUBE = "hypercube"  # `count` rows in which every level is as frequent as any other


class Design(BaseModel):
    """Captions to be written: `vary` by `plan`, `fixed` in every row, `drawn` row by row.

    An attribute that is in none of the three is left out of the captions. `template` has the
    wildcards of `backend.abc.template`; without one the grammar writes in `style`. `balanced`
    repeats the combinations of the rarer label in a factorial plan until both are equal; a
    hypercube always is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    vary: Levels = Levels()
    fixed: LesionAttributes = LesionAttributes()
    drawn: tuple[AttributeName, ...] = ()
    plan: Plan = Plan.FACTORIAL
    count: int | None = Field(None, ge=1)
    repeats: int = Field(1, ge=1, le=MAX_ROWS)
    balanced: bool = True
    template: str | None = None
    style: CaptionStyle = CaptionStyle.PLAIN
    sentences: int | None = Field(None, ge=1, le=MAX_SENTENCES)
    seed: int = Field(0, ge=0, lt=SEEDS)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        self._check_places()
        if self.plan is Plan.HYPERCUBE and self.count is None:
            raise ValueError("A hypercube has as many rows as you like: give the count.")
        if self.plan is Plan.FACTORIAL and self.count is not None:
            raise ValueError(
                "A factorial plan has as many rows as there are combinations: leave the count "
                "out, give repeats, or choose a hypercube."
            )
        if self.plan is Plan.HYPERCUBE and self.repeats > 1:
            raise ValueError("A hypercube is not repeated: give a larger count.")
        self._check_words()
        return self

    def stated(self) -> frozenset[str]:
        """The attributes that every row has, those that follow from others included."""
        names = {*self.vary.chosen(), *_set(self.fixed), *self.drawn}
        if "colours" in names:
            names.add("pattern")
        if "diagnosis" in names:
            names.add("label")
        return frozenset(names)

    def _check_places(self) -> None:
        varied, fixed, drawn = set(self.vary.chosen()), _set(self.fixed), set(self.drawn)
        twice = sorted(varied & fixed | varied & drawn | fixed & drawn)
        if twice:
            raise ValueError(
                f"The {said(twice[0])} is both varied, fixed or drawn: choose one of the three."
            )
        told = varied | fixed
        if {"colours", "pattern"} <= told and told & varied & {"colours", "pattern"}:
            raise ValueError(
                "The pattern follows from the number of colours: choose the colours or the "
                "pattern, not both."
            )

    def _check_words(self) -> None:
        if self.template is None:
            if self.style is not CaptionStyle.PLAIN and "label" not in self.stated():
                raise ValueError(
                    "This caption style names the label: vary, fix or draw the label, or choose "
                    "the plain style."
                )
            return
        try:
            named = attributes_named(parse_template(self.template))
        except CaptionError as error:
            raise ValueError(str(error)) from error
        missing = [name for name in named if name not in self.stated()]
        if missing:
            raise ValueError(
                f"The template names {{{missing[0]}}}, which the design leaves out: vary, fix or "
                f"draw the {said(missing[0])}."
            )


def make_design(values: Mapping[str, object]) -> Design:
    """A design from the values of a form, a command line or a stored job.

    Raises:
        DesignError: one sentence for each thing that is wrong.
    """
    try:
        return Design.model_validate(dict(values))
    except ValidationError as error:
        raise DesignError(problem_sentences(error, "design")) from error


def problem_sentences(error: ValidationError, subject: str) -> str:
    """What pydantic found, for a person: a sentence for each problem, each once."""
    return " ".join(dict.fromkeys(_sentence(dict(item), subject) for item in error.errors()))


def _sentence(item: dict[str, object], subject: str) -> str:
    context = item.get("ctx")
    if item["type"] == "value_error" and isinstance(context, dict):
        return str(context["error"])
    location = item["loc"]
    parts = location if isinstance(location, tuple) else (location,)
    names = [str(part).replace("_", " ") for part in parts if not isinstance(part, int)]
    field = " ".join(names) or "value"
    if item["type"] == "extra_forbidden":
        return f"The {subject} has an unknown field, {field}: remove it."
    if item["type"] == "missing":
        return f"The {subject} has no {field}: fill it in."
    problem = str(item["msg"]).removeprefix("Input should be ")
    return f"The {field} of the {subject} should be {problem}, not {item['input']!r}."


def _set(attributes: LesionAttributes) -> set[str]:
    return {name for name, value in attributes if value not in (None, ())}
