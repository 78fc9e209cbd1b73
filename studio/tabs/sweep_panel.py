"""The Sweep panel: two axes over the settings of the form, made as a job, shown as one figure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.errors import DermaFluxError
from backend.generation.design.levels import all_levels, read_level, value_words
from backend.generation.sweeps.axes import LORA, NAMES, axis_kind, swept_lora
from backend.generation.sweeps.running import FIGURE, KIND, submit_sweep
from backend.generation.sweeps.sweep import Sweep, make_sweep
from backend.jobs.queue import JobView, list_jobs, queue_position
from backend.jobs.states import JobState
from backend.permissions import Deed
from studio.context import StudioContext
from studio.guard import guarded
from studio.markup import html_block
from studio.permissions import permit
from studio.tabs.generate_form import GenerateForm
from studio.tabs.lora_form import usable_loras, with_gone
from studio.tabs.sweep_view import NO_SWEEPS, SweepRun, preview_html, problem_html, sweeps_html

NO_AXIS = ""
FIRST_AXIS = "guidance"
LATEST = 4
USUAL: Mapping[str, str] = {
    "guidance": "1, 3.5, 7",
    "attribute-guidance": "0, 0.5, 1, 2",
    "steps": "4, 10, 20",
    "seed": "1, 2, 3",
    "diameter_mm": "3, 6, 12",
}
USUAL_WEIGHTS = "0, 0.5, 1"
Values = Mapping[Component, Any]
Updates = dict[Component, Any]


@dataclass(frozen=True)
class SweepPanel:
    """The components of the panel; model, caption, seed and the rest come from the form."""

    form: GenerateForm
    across: gr.Dropdown
    across_values: gr.Textbox
    down: gr.Dropdown
    down_values: gr.Textbox
    template: gr.Textbox
    preview: gr.Markdown
    make: gr.Button
    results: gr.Markdown

    @property
    def inputs(self) -> set[Component]:
        """What a sweep depends on."""
        axes = {self.across, self.across_values, self.down, self.down_values}
        return {*self.form.components, *axes, self.template}

    def read(self, values: Values) -> Sweep:
        """The sweep that panel and form show.

        Raises RequestError with a sentence for each thing that is wrong.
        """
        template = (values[self.template] or "").strip() or None
        caption = (values[self.form.caption] or "").strip() or template
        request = self.form.read({**values, self.form.caption: caption})
        axes = {"across": (self.across, self.across_values), "down": (self.down, self.down_values)}
        return make_sweep(
            {
                "request": request.model_copy(update={"count": 1}),
                "template": template,
                **{
                    name: _axis(values[axis], values[listed])
                    for name, (axis, listed) in axes.items()
                },
            }
        )

    @property
    def axes(self) -> list[Component]:
        """What `offer` reads and changes."""
        return [self.across, self.down]

    def offer(self, studio: StudioContext, values: Values) -> Updates:
        """The axes that there are now; one whose LoRA is gone stays offered while it is chosen."""
        offered = axis_choices(studio)
        across, down = (
            with_gone(
                offered, {values[axis]: axis_kind(values[axis]).title} if values[axis] else {}
            )
            for axis in (self.across, self.down)
        )
        return {
            self.across: gr.Dropdown(choices=across),
            self.down: gr.Dropdown(choices=[("None", NO_AXIS), *down]),
        }

    def look(self, studio: StudioContext) -> Updates:
        """The latest sweeps as the database has them now."""
        jobs = list_jobs(studio.database, kinds=(KIND,), limit=LATEST)
        return {self.results: sweeps_html([_run(studio, job) for job in jobs])}


def build_sweep_panel(studio: StudioContext, form: GenerateForm, timer: gr.Timer) -> SweepPanel:
    """Lay the panel out and wire it; `timer` watches its jobs."""
    axes = axis_choices(studio)
    gr.Markdown("## Sweep", elem_classes="df-heading", container=False)
    gr.Markdown(
        "A grid of images that differ in one or two things only. Caption, negative caption, model, "
        "size, seed and LoRAs are those of the form.",
        elem_classes="df-note",
        container=False,
    )
    with gr.Row():
        across, across_values = _axis_controls("across", "From left to right", axes, FIRST_AXIS)
        down, down_values = _axis_controls(
            "down", "From top to bottom", [("None", NO_AXIS), *axes], NO_AXIS
        )
    template = gr.Textbox(
        label="Template (optional)",
        info="Words with wildcards such as {border}: only the attribute changes from image to "
        "image. Without it the caption is written anew from attributes.",
        placeholder="A lesion with {asymmetry} and a {border} border.",
        max_lines=4,
        elem_id="sweep-template",
    )
    preview = html_block(elem_id="sweep-preview")
    with gr.Row(elem_classes="df-actions"):
        make = gr.Button("Make the sweep", variant="primary", elem_id="make-sweep")
    results = html_block(NO_SWEEPS, elem_id="sweeps")
    panel = SweepPanel(
        form, across, across_values, down, down_values, template, preview, make, results
    )
    _wire(panel, studio, timer)
    return panel


def axis_choices(studio: StudioContext) -> list[tuple[str, str]]:
    """Every axis by title; the weights of the LoRAs on the shelf last."""
    names = [*NAMES, *(f"{LORA}{view.name}" for view in usable_loras(studio))]
    return [(axis_kind(name).title, name) for name in names]


def usual_values(name: str) -> str:
    """Values to begin with: all of an attribute, a few of a number."""
    if swept_lora(name):
        return USUAL_WEIGHTS
    return USUAL.get(name) or ", ".join(map(value_words, all_levels(name)))


def _axis_controls(
    name: str, label: str, axes: list[tuple[str, str]], chosen: str
) -> tuple[gr.Dropdown, gr.Textbox]:
    with gr.Column(min_width=260):
        axis = gr.Dropdown(
            axes, value=chosen, label=label, filterable=False, elem_id=f"sweep-{name}"
        )
        values = gr.Textbox(
            value=usual_values(chosen),
            label=f"Values {label[:1].lower()}{label[1:]}",
            info="Separated by commas; several colours at once as black + red.",
            max_lines=3,
            visible=bool(chosen),
            elem_id=f"sweep-{name}-values",
        )
    return axis, values


def _axis(name: str, listed: str | None) -> dict[str, object] | None:
    if not name:
        return None
    parts = [part for part in (listed or "").split(",") if part.strip()]
    return {"name": name, "values": [read_level(name, part) for part in parts]}


def _run(studio: StudioContext, job: JobView) -> SweepRun:
    figure = studio.settings.jobs_dir / job.id / FIGURE
    shown = figure if job.state is JobState.DONE and figure.is_file() else None
    return SweepRun(job, queue_position(studio.database, job.id), shown)


def _wire(panel: SweepPanel, studio: StudioContext, timer: gr.Timer) -> None:
    @guarded
    def suggest(name: str) -> Any:
        return gr.Textbox(value=usual_values(name), visible=bool(name))

    @guarded
    def preview(values: Values) -> Updates:
        return {panel.preview: preview_of(panel, values)}

    @guarded
    def make(values: Values, request: gr.Request) -> Updates:
        permit(studio, Deed.MAKE)
        submit_sweep(studio.database, studio.settings, panel.read(values), owner=request.username)
        return panel.look(studio) | {timer: gr.Timer(active=True)}

    quiet: dict[str, Any] = {"show_progress": "hidden"}
    for axis, listed in (
        (panel.across, panel.across_values),
        (panel.down, panel.down_values),
    ):
        axis.input(suggest, axis, listed, **quiet)
    gr.on(
        [
            *(panel.across.change, panel.across_values.change),
            *(panel.down.change, panel.down_values.change, panel.template.change),
        ],
        preview,
        panel.inputs,
        [panel.preview],
        trigger_mode="always_last",
        **quiet,
    )
    panel.make.click(make, panel.inputs, [panel.results, timer], **quiet)


def preview_of(panel: SweepPanel, values: Values) -> str:
    """What would be made, or why it cannot be."""
    try:
        return preview_html(panel.read(values))
    except DermaFluxError as error:
        return problem_html(str(error))
