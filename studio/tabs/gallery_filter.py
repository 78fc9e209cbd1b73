"""The filters of the gallery as one typed value."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.abc.attributes import Asymmetry, Border, Colour, Label, SkinTone
from backend.generation.building.running import KIND as BUILD
from backend.generation.gallery import GalleryFilter
from backend.generation.image_sets import list_sets
from backend.generation.sweeps.running import KIND as SWEEP
from backend.jobs.queue import list_jobs
from backend.store.database import Database
from studio.wording import ANY, choices, multiple_choices

REQUESTED, MEASURED = "requested", "measured"
SET, JOB = "set:", "job:"
"""What the value of "In" begins with: the name of a set of images, or the job that made them."""
OFFERED_JOBS = 50
EVERYWHERE = ("The whole gallery", "")


@dataclass(frozen=True)
class FilterControls:
    """One control a field of GalleryFilter."""

    text: gr.Textbox
    starred: gr.Checkbox
    within: gr.Dropdown
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
        within = values[self.within] or ""
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
            image_set=within.removeprefix(SET) if within.startswith(SET) else None,
            job_id=within.removeprefix(JOB) if within.startswith(JOB) else None,
        )

    def cleared(self) -> dict[Component, Any]:
        """Every control without a filter."""
        empty: dict[Component, Any] = {
            getattr(self, name): ""
            for name in ("text", "within", "model", "label", "asymmetry", "border", "skin_tone")
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
        within = gr.Dropdown(
            [EVERYWHERE],
            value="",
            label="In",
            filterable=False,
            scale=2,
            min_width=160,
            elem_id="gallery-within",
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
        within=within,
        model=model,
        label=label,
        source=source,
        asymmetry=asymmetry,
        border=border,
        skin_tone=skin_tone,
        colours=colours,
    )
    return controls, clear


def within_choices(db: Database, chosen: str) -> list[tuple[str, str]]:
    """The whole gallery, sets of images by name, the latest synthetic sets and sweeps.

    What is chosen stays offered, also when it is older or gone.
    """
    jobs = list_jobs(db, kinds=(BUILD, SWEEP), limit=OFFERED_JOBS)
    offered = [EVERYWHERE]
    offered += [(f"{one.name} ({one.images:,})", f"{SET}{one.name}") for one in list_sets(db)]
    offered += [(job.title, f"{JOB}{job.id}") for job in jobs]
    known = {value for _, value in offered}
    return offered if chosen in known else [*offered, (chosen.partition(":")[2], chosen)]


def _dropdown(offered: list[tuple[str, str]], label: str) -> gr.Dropdown:
    elem_id = f"filter-{label.lower().replace(' ', '-')}"
    return gr.Dropdown(offered, value="", label=label, filterable=False, elem_id=elem_id)
