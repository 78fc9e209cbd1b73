"""The Generate tab: a request on the left, its progress and the gallery on the right."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.generation.building.running import KIND as BUILD
from backend.generation.errors import ModelError
from backend.generation.export.running import KIND as EXPORT
from backend.generation.gallery import get_image
from backend.generation.models import find_model, list_models, usable_model
from backend.generation.profile import Profile
from backend.generation.provenance import read_png
from backend.generation.request import GenerationRequest, make_request
from backend.generation.running import KIND, submit_generation
from backend.generation.speed.replay import not_repeatable
from backend.generation.sweeps.running import KIND as SWEEP
from backend.jobs.queue import count_jobs, list_jobs
from backend.jobs.states import OPEN
from backend.permissions import Deed
from studio.actions import bridge, on_action, read_action
from studio.context import StudioContext
from studio.guard import guarded, guarded_tick, warn
from studio.job_actions import act_on_job
from studio.markup import html_block
from studio.permissions import permit
from studio.tabs.builder_panel import BuilderPanel, build_builder_panel
from studio.tabs.gallery import build_gallery
from studio.tabs.gallery_page import Gallery
from studio.tabs.generate_form import GenerateForm, build_form, model_choices
from studio.tabs.generate_progress import BRIDGE, NOTHING_YET, runs_html
from studio.tabs.generate_runs import active_job, find_runs
from studio.tabs.image_view import RECALL_BRIDGE
from studio.tabs.lora_shelf import LoraShelf, build_lora_shelf
from studio.tabs.sweep_panel import SweepPanel, build_sweep_panel, preview_of
from studio.tabs.sweep_view import BRIDGE as MAKING_BRIDGE

TICK_S = 1.0
WATCHED = (KIND, SWEEP, BUILD, EXPORT)
GALLERY, SWEEPS, SETS = "gallery", "sweep", "sets"
Values = Mapping[Component, Any]
Updates = dict[Component, Any]


@dataclass(frozen=True)
class GenerateTab:
    """The components of the tab; `timer` runs while a job is open, `dismissed` are hidden."""

    form: GenerateForm
    generate: gr.Button
    cancel: gr.Button
    runs: gr.Markdown
    progress_actions: gr.Textbox
    recall_actions: gr.Textbox
    drop: gr.File
    shelf: LoraShelf
    parts: gr.Tabs
    gallery: Gallery
    sweeps: SweepPanel
    sets: BuilderPanel
    making_actions: gr.Textbox
    timer: gr.Timer
    dismissed: gr.State

    @property
    def watched(self) -> set[Component]:
        """What a look at the job table depends on."""
        return {*self.gallery.inputs, self.dismissed}

    @property
    def shown(self) -> list[Component]:
        """What a look at the job table may change."""
        made = [self.sweeps.results, self.sets.sets]
        return [self.runs, self.cancel, self.timer, *made, *self.gallery.outputs]

    def offer_models(self, studio: StudioContext, values: Values) -> Updates:
        """The models that are there now; another is chosen where the chosen one is gone."""
        models = list_models(studio.settings)
        chosen = values[self.form.model]
        usable = [entry for entry in models if entry.problem is None]
        if chosen in [entry.name for entry in usable] or not usable:
            return {self.form.model: gr.Dropdown(choices=model_choices(models))}
        first = usable[0]
        offered = gr.Dropdown(choices=model_choices(models), value=first.name)
        return {self.form.model: offered} | self.form.show_model(first)

    def offer_loras(self, studio: StudioContext, values: Values) -> Updates:
        """The shelf as it is now, and the same in the form."""
        offered = self.form.loras.offer(studio, values) | self.sweeps.offer(studio, values)
        return offered | self.shelf.draw(studio)

    @property
    def offered(self) -> list[Component]:
        """What models and shelf may change."""
        models = [self.form.model, *self.form.of_model]
        return [*models, *self.form.loras.names, *self.shelf.outputs, *self.sweeps.axes]

    def remember(self, studio: StudioContext, values: Values) -> Updates:
        """The caption of the newest run, where a freshly opened page has none."""
        newest = list_jobs(studio.database, kinds=(KIND,), limit=1)
        if values[self.form.caption] or not newest:
            return {}
        return self.form.recall_caption(make_request(newest[0].payload))

    def look(self, studio: StudioContext, values: Values) -> Updates:
        """Progress and gallery as the database has them now; the timer runs while work is open.

        Open work is counted first: a job that ends meanwhile is drawn once more, as ended.
        """
        watching = count_jobs(studio.database, states=OPEN, kinds=WATCHED) > 0
        runs = find_runs(studio, values[self.dismissed])
        busy = any(not run.job.state.ended for run in runs)
        drawn = {
            self.runs: runs_html(runs),
            self.cancel: gr.Button(interactive=busy),
            self.timer: gr.Timer(active=watching or busy),
        }
        made = self.sweeps.look(studio) | self.sets.look(studio)
        return drawn | made | self.gallery.refresh(studio, values)


def build_generate(studio: StudioContext) -> GenerateTab:
    """Lay the tab out and wire it."""
    timer = gr.Timer(TICK_S, active=False)
    with gr.Row(elem_classes="df-columns"):
        with gr.Column(scale=2, min_width=320, elem_classes="df-side"):
            with gr.Column(elem_classes="df-panel"):
                form = build_form(studio, list_models(studio.settings))
                with gr.Row(elem_classes="df-actions"):
                    generate = gr.Button("Generate", variant="primary", elem_id="generate")
                    stop = gr.Button("Cancel", variant="stop", interactive=False, elem_id="cancel")
            with gr.Column(elem_classes="df-panel"):
                drop = gr.File(
                    label="Recall: drop a PNG of this studio",
                    file_count="single",
                    height=120,
                    elem_id="recall-drop",
                )
            with gr.Column(elem_classes="df-panel"):
                shelf = build_lora_shelf()
        with gr.Column(scale=5, min_width=320):
            runs = html_block(NOTHING_YET, elem_id="runs", classes="df-panel")
            with (
                gr.Column(elem_classes="df-panel"),
                gr.Tabs(
                    selected=GALLERY,
                    overflow_behavior="wrap",
                    elem_id="makings",
                    elem_classes="df-parts",
                ) as parts,
            ):
                with gr.Tab("Gallery", id=GALLERY, elem_id="part-gallery"):
                    gallery = build_gallery(studio, timer)
                with gr.Tab("Sweep", id=SWEEPS, elem_id="part-sweep") as sweep_part:
                    sweeps = build_sweep_panel(studio, form, timer)
                with gr.Tab("Synthetic sets", id=SETS, elem_id="part-sets"):
                    sets = build_builder_panel(studio, form, timer)
    tab = GenerateTab(
        form=form,
        generate=generate,
        cancel=stop,
        runs=runs,
        progress_actions=bridge(BRIDGE),
        recall_actions=bridge(RECALL_BRIDGE),
        drop=drop,
        shelf=shelf,
        parts=parts,
        gallery=gallery,
        sweeps=sweeps,
        sets=sets,
        making_actions=bridge(MAKING_BRIDGE),
        timer=timer,
        dismissed=gr.State([]),
    )
    _wire_runs(tab, studio)
    _wire_form(tab, studio)
    _wire_recall(tab, studio)
    _wire_shelf(tab, studio)
    _wire_makings(tab, studio, sweep_part)
    return tab


def _wire_runs(tab: GenerateTab, studio: StudioContext) -> None:
    @guarded
    def generate(values: Values, request: gr.Request) -> Updates:
        permit(studio, Deed.MAKE)
        wanted = tab.form.read(values)
        submit_generation(studio.database, studio.settings, wanted, owner=request.username)
        after = tab.form.after(wanted, values[tab.form.seed_mode])
        return after | tab.look(studio, values)

    @guarded
    def cancel_active(values: Values) -> Updates:
        job = active_job(studio.database)
        if job is not None:
            act_on_job(studio, "cancel", job.id)
        return tab.look(studio, values)

    @guarded
    def act(values: Values) -> Updates:
        action = read_action(values[tab.progress_actions])
        dismissed = values[tab.dismissed]
        if not act_on_job(studio, action.action, action.value) and action.action == "dismiss":
            dismissed = [*dismissed, action.value]
        return {tab.dismissed: dismissed} | tab.look(studio, {**values, tab.dismissed: dismissed})

    @guarded_tick
    def look(values: Values) -> Updates:
        return tab.look(studio, values)

    tab.generate.click(
        generate,
        {*tab.form.components, *tab.watched},
        [*tab.shown, tab.form.seed],
        show_progress="hidden",
        concurrency_limit=None,
    )
    tab.cancel.click(cancel_active, tab.watched, tab.shown, show_progress="hidden")
    inputs = {tab.progress_actions, *tab.watched}
    on_action(tab.progress_actions, act, inputs, [*tab.shown, tab.dismissed])
    tab.timer.tick(look, tab.watched, tab.shown, show_progress="hidden", concurrency_limit=None)


def _wire_form(tab: GenerateTab, studio: StudioContext) -> None:
    form = tab.form

    @guarded
    def show_model(name: str) -> Updates:
        return form.show_model(usable_model(studio.settings, name))

    form.model.input(
        show_model,
        form.model,
        form.of_model,
        show_progress="hidden",
    )


def _wire_shelf(tab: GenerateTab, studio: StudioContext) -> None:
    shelf, sweeps = tab.shelf, tab.sweeps
    chosen = [*tab.form.loras.names, *sweeps.axes]
    outputs = [*chosen, *shelf.outputs]

    def offer(values: Values) -> Updates:
        return tab.form.loras.offer(studio, values) | sweeps.offer(studio, values)

    def add_file(values: Values) -> Updates:
        """The drop zone is emptied whatever the file was, so that the next one can be dropped."""
        path = values[shelf.drop]
        return {shelf.drop: None} | (keep(values, path) if path else {})

    @guarded
    def keep(values: Values, path: str) -> Updates:
        added = shelf.add(studio, path)
        return offer(values) | added

    @guarded
    def add_path(path: str) -> Updates:
        return shelf.add_from_path(studio, path)

    @guarded
    def act(values: Values) -> Updates:
        drawn = shelf.act(studio, values[shelf.actions])
        return offer(values) | drawn

    @guarded_tick
    def look(values: Values) -> Updates:
        """What is chosen is left alone until the file has arrived."""
        drawn = shelf.draw(studio)
        return drawn if shelf.is_busy(studio) else drawn | offer(values)

    quiet: dict[str, Any] = {"show_progress": "hidden"}
    shelf.drop.upload(add_file, {shelf.drop, *chosen}, [shelf.drop, *outputs], **quiet)
    gr.on(
        [shelf.add_path.click, shelf.path.submit],
        add_path,
        shelf.path,
        [shelf.path, *shelf.outputs],
        **quiet,
    )
    on_action(shelf.actions, act, {shelf.actions, *chosen}, outputs)
    shelf.timer.tick(look, {*chosen}, outputs, concurrency_limit=None, **quiet)


def _wire_makings(tab: GenerateTab, studio: StudioContext, sweep_part: gr.Tab) -> None:
    """Sweeps and sets: the card of one opened, their images shown in the gallery."""
    sweeps, sets, gallery = tab.sweeps, tab.sets, tab.gallery

    @guarded
    def preview(values: Values) -> Updates:
        return {sweeps.preview: preview_of(sweeps, values)}

    @guarded
    def act(values: Values) -> Updates:
        action = read_action(values[tab.making_actions])
        if action.action == "images":
            shown = gallery.show_job(studio, values, action.value)
            return {tab.parts: gr.Tabs(selected=GALLERY)} | shown
        if action.action == "open_set":
            return sets.open_card(studio, action.value)
        return {sets.card: ""}

    quiet: dict[str, Any] = {"show_progress": "hidden"}
    sweep_part.select(preview, sweeps.inputs, [sweeps.preview], **quiet)
    outputs = {tab.parts, sets.card, *gallery.outputs, *gallery.filters.components}
    inputs = {tab.making_actions, *gallery.inputs}
    on_action(tab.making_actions, act, inputs, list(outputs))


def _wire_recall(tab: GenerateTab, studio: StudioContext) -> None:
    form, settings = tab.form, studio.settings
    outputs = [*form.components, tab.gallery.dialog, tab.drop]

    @guarded
    def recall_image(text: str) -> Updates:
        action = read_action(text)
        image = get_image(studio.database, settings, action.value)
        recalled = _recalled(tab, studio, image.request, image.profile, action.action)
        return recalled | {tab.gallery.dialog: ""}

    def recall_file(path: str | None) -> Updates:
        """The drop zone is emptied whatever the file was, so that the next one can be dropped."""
        return {tab.drop: None} | (read_file(path) if path else {})

    @guarded
    def read_file(path: str) -> Updates:
        provenance = read_png(Path(path))
        return _recalled(tab, studio, provenance.request, provenance.profile, "all")

    on_action(tab.recall_actions, recall_image, tab.recall_actions, outputs)
    tab.drop.upload(recall_file, tab.drop, outputs, show_progress="hidden")


def _recalled(
    tab: GenerateTab,
    studio: StudioContext,
    request: GenerationRequest,
    profile: Profile,
    what: str,
) -> Updates:
    """The form as the request wants it; only its caption where its model is gone."""
    form = tab.form
    if what == "caption":
        return form.recall_caption(request)
    try:
        entry = find_model(studio.settings, request.model)
    except ModelError as error:
        warn(f"{error} Only the caption was recalled.")
        return form.recall_caption(request)
    if what == "all" and profile is not Profile.EXACT:
        warn(not_repeatable(profile))
    recalled = form.recall if what == "all" else form.recall_but_seed
    choices = model_choices(list_models(studio.settings))
    if entry.problem is not None:
        choices.append((f"{entry.title} (cannot be used)", entry.name))
    offered = gr.Dropdown(choices=choices, value=request.model)
    return recalled(studio, request, entry) | {form.model: offered}
