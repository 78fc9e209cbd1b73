"""The page: header, tabs, and what happens when it is opened."""

from collections.abc import Mapping
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.generation.models import list_models
from backend.jobs.queue import count_jobs
from backend.jobs.states import OPEN
from backend.jobs.workers import worker_state
from backend.settings import Settings
from backend.store.database import Database
from studio.context import StudioContext
from studio.dialogs import dialogs_html
from studio.guard import guarded, guarded_tick
from studio.header import facts_html, title_html
from studio.machine import device_name
from studio.markup import html_block
from studio.tabs.compose import ComposeTab, build_compose
from studio.tabs.generate import GenerateTab, build_generate
from studio.tabs.jobs import JobsTab, build_jobs
from studio.tabs.models import ModelsTab, build_models

TITLE = "DermaFlux Studio"
HEARTBEAT_S = 5.0
COMPOSE, GENERATE, MODELS, JOBS = "compose", "generate", "models", "jobs"
Values = Mapping[Component, Any]
Updates = dict[Component, Any]


def build_page(settings: Settings, database: Database) -> gr.Blocks:
    """The whole page, to be mounted with the theme, the stylesheets and the head of the studio."""
    studio = StudioContext(settings, database)
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as page:
        title = html_block(title_html(None), elem_id="title")
        facts = html_block(elem_id="runs-here")
        html_block(dialogs_html(), elem_id="dialogs")
        with gr.Tabs(selected=COMPOSE, elem_id="tabs") as tabs:
            with gr.Tab("Compose", id=COMPOSE, elem_id="tab-compose"):
                compose = build_compose(studio)
            with gr.Tab("Generate", id=GENERATE, elem_id="tab-generate") as generate_tab:
                generate = build_generate(studio)
            with gr.Tab("Models", id=MODELS, elem_id="tab-models") as models_tab:
                models = build_models(studio)
            with gr.Tab("Jobs", id=JOBS, elem_id="tab-jobs") as jobs_tab:
                jobs = build_jobs(studio)
        heartbeat = gr.Timer(HEARTBEAT_S)
        _wire_header(page, studio, title, facts, heartbeat)
        _wire_compose(page, studio, tabs, compose, generate)
        _wire_looks(page, studio, generate, jobs, (generate_tab, jobs_tab), heartbeat)
        _wire_models(page, studio, models, models_tab)
    return page


def _wire_header(
    page: gr.Blocks,
    studio: StudioContext,
    title: gr.Markdown,
    facts: gr.Markdown,
    heartbeat: gr.Timer,
) -> None:
    device = device_name(studio.settings)

    @guarded_tick
    def show_facts() -> str:
        models = list_models(studio.settings)
        usable = next((entry for entry in models if entry.problem is None), None)
        return facts_html(device, usable, worker_state(studio.database))

    def show_title(request: gr.Request) -> str:
        return title_html(request.username)

    quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None}
    page.load(show_title, None, title, **quiet)
    page.load(show_facts, None, facts, **quiet)
    heartbeat.tick(show_facts, None, facts, **quiet)


def _wire_compose(
    page: gr.Blocks,
    studio: StudioContext,
    tabs: gr.Tabs,
    compose: ComposeTab,
    generate: GenerateTab,
) -> None:
    """One click from a caption in Compose to the same caption in Generate."""

    @guarded
    def remember(values: Values) -> Any:
        return compose.remember(studio, values)

    @guarded
    def use_caption(values: Values) -> Updates:
        origin = compose.origin(values)
        form = generate.form
        return {
            tabs: gr.Tabs(selected=GENERATE),
            form.caption: origin["caption"],
            form.origin: origin,
        }

    page.load(
        remember,
        {compose.kept, *compose.library.inputs},
        [*compose.outputs, *compose.library.outputs],
        show_progress="hidden",
    )
    compose.use.click(
        use_caption,
        compose.inputs,
        [tabs, generate.form.caption, generate.form.origin],
        show_progress="hidden",
    )


def _wire_looks(
    page: gr.Blocks,
    studio: StudioContext,
    generate: GenerateTab,
    jobs: JobsTab,
    opened: tuple[gr.Tab, gr.Tab],
    heartbeat: gr.Timer,
) -> None:
    """Look at the database on page load and when a tab is opened; wake the timers when work starts.

    The heartbeat is what lets a second window notice work that was started in the first.
    """

    @guarded
    def look_at_runs(values: Values) -> Updates:
        offered = generate.offer_models(studio, values) | generate.offer_loras(studio, values)
        return offered | generate.look(studio, values)

    @guarded
    def remember(values: Values) -> Updates:
        return generate.remember(studio, values)

    @guarded
    def look_at_jobs(values: Values) -> Updates:
        return jobs.draw(studio, values)

    @guarded_tick
    def wake() -> Any:
        if not count_jobs(studio.database, states=OPEN):
            return gr.skip()
        return gr.Timer(active=True), gr.Timer(active=True)

    quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None}
    form = generate.form
    gr.on(
        [page.load, opened[0].select],
        look_at_runs,
        {*generate.watched, form.model, *form.loras.names, *generate.sweeps.axes},
        [*generate.shown, *generate.offered],
        **quiet,
    )
    page.load(remember, {form.caption}, [form.caption, form.origin], show_progress="hidden")
    gr.on([page.load, opened[1].select], look_at_jobs, jobs.inputs, jobs.outputs, **quiet)
    heartbeat.tick(wake, None, [generate.timer, jobs.timer], **quiet)


def _wire_models(page: gr.Blocks, studio: StudioContext, models: ModelsTab, opened: gr.Tab) -> None:
    """Look at the folders of models on page load and when the tab is opened."""

    @guarded
    def look() -> Updates:
        return models.draw(studio)

    gr.on(
        [page.load, opened.select],
        look,
        None,
        models.outputs,
        show_progress="hidden",
        concurrency_limit=None,
    )
