"""The filters of the gallery as one typed value."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.abc.attributes import Asymmetry, Border, Colour, Label, SkinTone
from backend.generation.gallery import GalleryFilter
from studio.wording import ANY, choices, multiple_choices

REQUESTED, MEASURED = "requested", "measured"


@dataclass(frozen=True)
class FilterControls:
    """One control a field of GalleryFilter."""

    text: gr.Textbox
    starred: gr.Checkbox
    model: gr.Dropdown
    label: gr.Dropdown
    source: gr.Radio
    asymmetry: gr.Dropdown
    border: gr.Dropdown
    skin_tone: gr.Dropdown
    colours: gr.Dropdown

    @property
    def components(self) -> set[Component]:
        """All of them, for the inputs of a handler."""
        return {getattr(self, field.name) for field in fields(self)}

    def read(self, values: Mapping[Component, Any]) -> GalleryFilter:
        """The filter that the controls show."""
        tone = values[self.skin_tone]
        asymmetry, border, label = (
            values[self.asymmetry],
            values[self.border],
            values[self.label],
        )
        return GalleryFilter(
            text=values[self.text] or "",
            model=values[self.model] or None,
            label=Label(label) if label else None,
            asymmetry=Asymmetry(asymmetry) if asymmetry else None,
            border=Border(border) if border else None,
            colours=tuple(Colour(colour) for colour in values[self.colours] or ()),
            skin_tone=SkinTone(int(tone)) if tone else None,
            starred=True if values[self.starred] else None,
            measured=values[self.source] == MEASURED,
        )

    def cleared(self) -> dict[Component, Any]:
        """Every control without a filter."""
        empty: dict[Component, Any] = {
            getattr(self, name): ""
            for name in ("text", "model", "label", "asymmetry", "border", "skin_tone")
        }
        return empty | {self.starred: False, self.colours: [], self.source: REQUESTED}


def build_filters() -> tuple[FilterControls, gr.Button]:
    """A search line that is always there, the rest folded away, and the button that clears all."""
    with gr.Row(elem_classes="df-search"):
        text = gr.Textbox(
            label="Search captions",
            placeholder="For example: blue-gray",
            max_lines=1,
            scale=4,
            elem_id="gallery-search",
        )
        starred = gr.Checkbox(label="Starred only", scale=1, min_width=140, elem_id="starred-only")
    with gr.Accordion("More filters", open=False, elem_id="more-filters"):
        with gr.Row():
            model = _dropdown([(ANY, "")], "Model")
            label = _dropdown(choices(Label, ANY), "Label")
        source = gr.Radio(
            [("As asked for", REQUESTED), ("As measured", MEASURED)],
            value=REQUESTED,
            label="Filter the ABC fields below",
            elem_id="filter-source",
            elem_classes="df-segmented",
        )
        with gr.Row():
            asymmetry = _dropdown(choices(Asymmetry, ANY), "Asymmetry")
            border = _dropdown(choices(Border, ANY), "Border")
            skin_tone = _dropdown(choices(SkinTone, ANY), "Skin tone")
            colours = gr.Dropdown(
                multiple_choices(Colour),
                value=[],
                multiselect=True,
                filterable=False,
                label="All of these colours",
            )
        clear = gr.Button("Clear filters", size="sm", elem_id="clear-filters")
    controls = FilterControls(
        text=text,
        starred=starred,
        model=model,
        label=label,
        source=source,
        asymmetry=asymmetry,
        border=border,
        skin_tone=skin_tone,
        colours=colours,
    )
    return controls, clear


def _dropdown(offered: list[tuple[str, str]], label: str) -> gr.Dropdown:
    elem_id = f"filter-{label.lower().replace(' ', '-')}"
    return gr.Dropdown(offered, value="", label=label, filterable=False, elem_id=elem_id)
