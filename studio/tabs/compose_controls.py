"""The controls that say what a lesion should look like, as one typed value in and out."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr
from gradio.components import Component
from pydantic import ValidationError

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
    pattern_of,
)
from backend.abc.caption_text import CaptionError
from studio.wording import choices, multiple_choices

SINGLE = ("asymmetry", "border", "edge", "pattern", "label", "diagnosis", "modality", "site")


@dataclass(frozen=True)
class Controls:
    """One control a field of LesionAttributes, and the dominant among the chosen colours."""

    asymmetry: gr.Radio
    border: gr.Radio
    edge: gr.Radio
    colours: gr.CheckboxGroup
    dominant: gr.Dropdown
    pattern: gr.Radio
    label: gr.Radio
    diagnosis: gr.Dropdown
    modality: gr.Radio
    skin_tone: gr.Radio
    site: gr.Dropdown
    diameter_mm: gr.Number

    @property
    def components(self) -> list[Component]:
        """All controls, for the inputs or outputs of a handler."""
        return [getattr(self, field.name) for field in fields(self)]

    def read(self, values: Mapping[Component, Any]) -> LesionAttributes:
        """The attributes that the controls show.

        Raises CaptionError where they contradict each other or hold a value out of range.
        """
        chosen: dict[str, Any] = {name: values[getattr(self, name)] or None for name in SINGLE}
        dominant = [values[self.dominant]] if values[self.dominant] else []
        named = dict.fromkeys([*dominant, *(values[self.colours] or [])])
        chosen["colours"] = colours = tuple(Colour(colour) for colour in named)
        if colours:
            chosen["pattern"] = pattern_of(colours)
        chosen["skin_tone"] = int(values[self.skin_tone]) if values[self.skin_tone] else None
        chosen["diameter_mm"] = values[self.diameter_mm] or None
        try:
            return LesionAttributes.model_validate(chosen)
        except ValidationError as error:
            raise CaptionError(_sentence(error)) from error

    def show(self, attributes: LesionAttributes) -> dict[Component, Any]:
        """What every control shows for these attributes."""
        values: dict[Component, Any] = {
            getattr(self, name): str(getattr(attributes, name) or "") for name in SINGLE
        }
        values[self.colours] = [str(colour) for colour in attributes.colours]
        values[self.dominant] = str(attributes.dominant_colour or "")
        values[self.skin_tone] = str(int(attributes.skin_tone)) if attributes.skin_tone else ""
        values[self.diameter_mm] = attributes.diameter_mm
        return values


def build_controls(first: LesionAttributes) -> Controls:
    """Lay the controls out in the order of the ABC rule, showing the attributes given."""
    with gr.Column(elem_classes="df-panel"):
        _heading("a", "A", "Asymmetry")
        asymmetry = _radio(Asymmetry, "Do the halves differ?", first.asymmetry)
        _heading("b", "B", "Border")
        border = _radio(Border, "Outline", first.border)
        edge = _radio(Edge, "Edge", first.edge)
        _heading("c", "C", "Colours")
        colours, dominant, pattern = _colour_controls(first)
    with gr.Column(elem_classes="df-panel"):
        _heading("frame", "", "Lesion and picture")
        label = _radio(Label, "Label", first.label)
        with gr.Row(elem_classes="df-pair"):
            diagnosis = _dropdown(Diagnosis, "Lesion type", first.diagnosis)
            site = _dropdown(Site, "Body site", first.site)
        modality = _radio(Modality, "Kind of picture", first.modality)
        skin_tone = gr.Radio(
            choices(SkinTone),
            value=str(int(first.skin_tone)) if first.skin_tone else "",
            label="Skin tone (Fitzpatrick type)",
            elem_id="skin-tone",
            elem_classes="df-swatches df-skin",
        )
        diameter = gr.Number(
            value=first.diameter_mm,
            label="Diameter in mm",
            info="Empty or 0 says nothing of the size.",
            step=0.5,
            elem_id="diameter",
        )
    return Controls(
        asymmetry=asymmetry,
        border=border,
        edge=edge,
        colours=colours,
        dominant=dominant,
        pattern=pattern,
        label=label,
        diagnosis=diagnosis,
        modality=modality,
        skin_tone=skin_tone,
        site=site,
        diameter_mm=diameter,
    )


def _colour_controls(
    first: LesionAttributes,
) -> tuple[gr.CheckboxGroup, gr.Dropdown, gr.Radio]:
    colours = gr.CheckboxGroup(
        multiple_choices(Colour),
        value=[str(colour) for colour in first.colours],
        label="Colours present",
        elem_id="colours",
        elem_classes="df-swatches df-lesion-colours",
    )
    dominant = gr.Dropdown(
        choices(Colour),
        value=str(first.dominant_colour or ""),
        label="Dominant colour",
        filterable=False,
        elem_id="dominant",
    )
    pattern = _radio(ColourPattern, "Pattern", first.pattern)
    return colours, dominant, pattern


def _heading(letter: str, mark: str, title: str) -> None:
    badge = f'<span class="df-letter df-{letter}" aria-hidden="true">{mark}</span>' if mark else ""
    gr.Markdown(
        f'<h2 class="df-section">{badge}{title}</h2>',
        sanitize_html=False,
        container=False,
        elem_classes="df-html",
    )


def _radio(values: Any, label: str, value: Any) -> gr.Radio:
    return gr.Radio(
        choices(values),
        value=str(value or ""),
        label=label,
        elem_id=values.__name__.lower(),
        elem_classes="df-segmented",
    )


def _dropdown(values: Any, label: str, value: Any) -> gr.Dropdown:
    return gr.Dropdown(
        choices(values),
        value=str(value or ""),
        label=label,
        filterable=False,
        elem_id=values.__name__.lower(),
    )


def _sentence(error: ValidationError) -> str:
    item = error.errors()[0]
    if item["type"] == "value_error":
        return str(item["ctx"]["error"])
    field = " ".join(str(part) for part in item["loc"]).replace("_", " ")
    return f"The {field} cannot be {item['input']}: {item['msg'].lower()}."
