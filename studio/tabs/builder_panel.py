"""The panel of synthetic sets: captions designed and looked at, a build as a job, its card."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.generation.building.card import CARD, read_card, set_folder
from backend.generation.building.ledger import build_counts
from backend.generation.building.running import KIND, prepare_build, submit_build
from backend.generation.design.design import make_design
from backend.generation.design.table import write_table
from backend.jobs.queue import JobView, count_jobs, get_job, list_jobs, queue_position
from backend.permissions import Deed
from studio.context import StudioContext
from studio.guard import guarded
from studio.markup import html_block
from studio.permissions import permit
from studio.tabs.builder_form import BuilderForm, build_builder_form
from studio.tabs.builder_view import NO_SETS, SetRun, captions_html, set_card_html, sets_html
from studio.tabs.generate_form import GenerateForm

LATEST = 10
CHANGED = (
    '<p class="df-note" role="status">Press <strong>Design captions</strong> to see them '
    "before they are built.</p>"
)
Values = Mapping[Component, Any]
Updates = dict[Component, Any]


@dataclass(frozen=True)
class BuilderPanel:
    """The components of the panel; `designed` is the design whose captions were looked at."""

    sampling: GenerateForm
    form: BuilderForm
    design: gr.Button
    build: gr.Button
    preview: gr.Markdown
    sets: gr.Markdown
    card: gr.Markdown
    designed: gr.State

    def look(self, studio: StudioContext) -> Updates:
        """The latest sets as the database has them now."""
        jobs = list_jobs(studio.database, kinds=(KIND,), limit=LATEST)
        older = count_jobs(studio.database, kinds=(KIND,)) - len(jobs)
        return {self.sets: sets_html([_run(studio, job) for job in jobs], older)}

    def open_card(self, studio: StudioContext, job_id: str) -> Updates:
        """The card of a set.

        Raises GenerationError where there is none yet.
        """
        job, card = get_job(studio.database, job_id), read_card(studio.settings, job_id)
        return {self.card: set_card_html(job, card, set_folder(studio.settings, job_id))}


def build_builder_panel(
    studio: StudioContext, sampling: GenerateForm, timer: gr.Timer
) -> BuilderPanel:
    """Lay the panel out and wire it; `timer` watches its jobs."""
    gr.Markdown("## Synthetic sets", elem_classes="df-heading", container=False)
    gr.Markdown(
        "A named set of images from designed captions. Model, size, steps, guidance, negative "
        "caption and LoRAs are those of the form.",
        elem_classes="df-note",
        container=False,
    )
    form = build_builder_form()
    with gr.Row(elem_classes="df-actions"):
        design = gr.Button("Design captions", elem_id="design-captions")
        build = gr.Button("Build the set", variant="primary", interactive=False, elem_id="build")
    panel = BuilderPanel(
        sampling=sampling,
        form=form,
        design=design,
        build=build,
        preview=html_block(CHANGED, elem_id="set-preview"),
        sets=html_block(NO_SETS, elem_id="sets"),
        card=html_block(elem_id="set-card"),
        designed=gr.State(None),
    )
    _wire(panel, studio, timer)
    return panel


def _run(studio: StudioContext, job: JobView) -> SetRun:
    return SetRun(
        job=job,
        position=queue_position(studio.database, job.id),
        counts=build_counts(studio.database, job.id),
        described=job.state.ended and (set_folder(studio.settings, job.id) / CARD).is_file(),
    )


def _wire(panel: BuilderPanel, studio: StudioContext, timer: gr.Timer) -> None:
    form, quiet = panel.form, {"show_progress": "hidden"}

    @guarded
    def design(values: Values) -> Updates:
        declared = form.design(values)
        table = write_table(declared)
        shown = captions_html(table, form.images_per_class(values), int(values[form.best_of]))
        return {
            panel.preview: shown,
            panel.designed: declared.model_dump(mode="json"),
            panel.build: gr.Button(interactive=True),
        }

    @guarded
    def build(values: Values, request: gr.Request) -> Updates:
        permit(studio, Deed.MAKE)
        declared = make_design(values[panel.designed] or {})
        task = prepare_build(
            studio.database,
            studio.settings,
            write_table(declared),
            {**form.task(values), **panel.sampling.sampling(values), "design": declared},
        )
        submit_build(studio.database, studio.settings, task, owner=request.username)
        return panel.look(studio) | {timer: gr.Timer(active=True)}

    def forget() -> Any:
        return CHANGED, None, gr.Button(interactive=False)

    shown = [panel.preview, panel.designed, panel.build]
    gr.on([part.input for part in form.designing], forget, None, shown, **quiet)
    panel.design.click(design, form.components, shown, **quiet)
    inputs = {*form.components, *panel.sampling.components, panel.designed}
    panel.build.click(build, inputs, [panel.sets, timer], **quiet)
