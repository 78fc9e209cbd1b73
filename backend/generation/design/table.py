"""A design written out: one row a caption, each with its lesion, its words and its seed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from backend.abc.attributes import Label, LesionAttributes, pattern_of
from backend.abc.caption_text import CaptionError, clean_caption
from backend.abc.grammar import CaptionStyle, write_caption
from backend.abc.template import Template, fill_template, parse_template
from backend.generation.design.design import Design
from backend.generation.design.plans import Combination, combine
from backend.generation.request import SEEDS
from backend.phantom.completion import complete

_STEP = 0x9E37_79B1
"""Odd, hence no seed occurs twice in a table: 2^32 over the golden ratio (Knuth, vol. 3, 6.4)."""


class DesignRow(BaseModel):
    """One caption as `caption` says it, made from `template`, and the lesion that it describes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attributes: LesionAttributes
    template: str | None = None
    style: CaptionStyle | None = None
    caption: str
    seed: int = Field(ge=0, lt=SEEDS)

    @field_validator("caption", mode="after")
    @classmethod
    def _clean(cls, caption: str) -> str:
        try:
            return clean_caption(caption)
        except CaptionError as error:
            raise ValueError(str(error)) from error

    @property
    def label(self) -> Label | None:
        """The class that the row belongs to."""
        attributes = self.attributes
        return attributes.diagnosis.label if attributes.diagnosis else attributes.label


@dataclass(frozen=True)
class CaptionTable:
    """The rows of a design; never changed once made."""

    rows: tuple[DesignRow, ...]

    def counts(self) -> Mapping[Label | None, int]:
        """How many rows each label has."""
        counts: dict[Label | None, int] = {}
        for row in self.rows:
            counts[row.label] = counts.get(row.label, 0) + 1
        return counts


def write_table(design: Design) -> CaptionTable:
    """Every row of a design, the same for the same design.

    Raises:
        DesignError: the design has no row, or too many.
        CaptionError: a caption would be empty or too long.
    """
    template = None if design.template is None else parse_template(design.template)
    first = int(np.random.SeedSequence(design.seed).generate_state(1)[0])
    return CaptionTable(
        tuple(
            _row(design, template, combination, index, (first + index * _STEP) % SEEDS)
            for index, combination in enumerate(combine(design))
        )
    )


def _row(
    design: Design, template: Template | None, combination: Combination, index: int, seed: int
) -> DesignRow:
    attributes = _lesion(design, combination, index)
    if template is not None:
        caption = fill_template(template, attributes, seed=seed)
        return DesignRow(
            attributes=attributes, template=design.template, caption=caption, seed=seed
        )
    return DesignRow(
        attributes=attributes,
        template=f"grammar, seed {seed}",
        style=design.style,
        caption=write_caption(
            attributes, style=design.style, seed=seed, sentences=design.sentences
        ),
        seed=seed,
    )


def _lesion(design: Design, combination: Combination, index: int) -> LesionAttributes:
    """What the plan and the fixed part say, the drawn part to suit them, and what follows."""
    stated = LesionAttributes.model_validate(
        {name: value for name, value in design.fixed if value not in (None, ())} | combination
    )
    values = dict(stated)
    if design.drawn:
        drawn = complete(np.random.default_rng((design.seed, index)), stated)
        values |= {name: getattr(drawn, name) for name in design.drawn}
    if values["diagnosis"] is not None:
        values["label"] = values["diagnosis"].label
    if values["colours"] and values["pattern"] is None:
        values["pattern"] = pattern_of(values["colours"])
    return LesionAttributes.model_validate(values)
