"""The page: header, tabs, and what happens when it is opened."""

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.finetuning.run_folder import find_run, read_config
from backend.finetuning.shelving import put_on_shelf
from backend.finetuning.submitting import KIND as TRAINING
from backend.generation.models import list_models
from backend.generation.request import LoraUse
from backend.jobs.queue import open_kinds
from backend.jobs.workers import worker_state
from backend.permissions import Deed
from backend.settings import Settings
from backend.store.database import Database
from studio.actions import on_action, read_action
from studio.context import StudioContext
from studio.dialogs import dialogs_html
from studio.guard import guarded, guarded_tick
from studio.header import facts_html, title_html
from studio.machine import device_name
from studio.markup import html_block
from studio.permissions import permit
from studio.tabs.benchmark import WATCHED as BENCHMARK_WATCHED
from studio.tabs.benchmark import BenchmarkTab, build_benchmark
from studio.tabs.compose import ComposeTab, build_compose
from studio.tabs.corpus import GUESTS_WATCH, WATCHED, CorpusTab, build_corpus
from studio.tabs.generate import GenerateTab, build_generate
from studio.tabs.jobs import JobsTab, build_jobs
from studio.tabs.models import ModelsTab, build_models
from studio.tabs.review import build_review
from studio.tabs.train import TrainTab, build_train

TITLE = "DermaFlux Studio"
HEARTBEAT_S = 5.0
COMPOSE, GENERATE, CORPUS, REVIEW = "compose", "generate", "corpus", "review"
TRAIN, BENCHMARK, MODELS, JOBS = "train", "benchmark", "models", "jobs"
LOOK: Mapping[str, Any] = {
    "show_progress": "hidden",
    "concurrency_limit": None,
    "trigger_mode": "always_last",
}
"""A tab that is opened while the page still looks is looked at once more, after that."""
Values = Mapping[Component, Any]
Updates = dict[Component, Any]


def build_page(settings: Settings, database: Database) -> gr.Blocks:
    """The whole page, to be mounted with the theme, the stylesheets and the head of the studio."""
    studio = StudioContext(settings, database)
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as page:
        title = html_block(title_html(None), elem_id="title")
        facts = html_block(elem_id="runs-here")
        html_block(dialogs_html(), elem_id="dialogs")
        heartbeat = gr.Timer(HEARTBEAT_S)
        with gr.Tabs(selected=COMPOSE, overflow_behavior="wrap", elem_id="tabs") as tabs:
            with gr.Tab("Compose", id=COMPOSE, elem_id="tab-compose"):
                compose = build_compose(studio)
            with gr.Tab("Generate", id=GENERATE, elem_id="tab-generate") as generate_tab:
                generate = build_generate(studio)
            with gr.Tab("Corpus", id=CORPUS, elem_id="tab-corpus") as corpus_tab:
                corpus = build_corpus(studio)
            with gr.Tab("Review", id=REVIEW, elem_id="tab-review"):
                build_review()
            with gr.Tab("Train", id=TRAIN, elem_id="tab-train") as train_tab:
                train = build_train(studio)
            with gr.Tab("Benchmark", id=BENCHMARK, elem_id="tab-benchmark") as benchmark_tab:
                benchmark = build_benchmark(studio)
            with gr.Tab("Models", id=MODELS, elem_id="tab-models") as models_tab:
                models = build_models(studio)
            with gr.Tab("Jobs", id=JOBS, elem_id="tab-jobs") as jobs_tab:
                jobs = build_jobs(studio)
        watched: list[tuple[Sequence[str], Sequence[gr.Timer]]] = [
            ((), (generate.timer, jobs.timer)),
            (WATCHED, (corpus.timer,)),
            (GUESTS_WATCH, [guest.panel.timer for guest in corpus.guests]),
            ((TRAINING,), (train.timer,)),
            (BENCHMARK_WATCHED, (benchmark.timer,)),
        ]
        _wire_header(page, studio, title, facts, heartbeat, watched)
        _wire_compose(page, studio, tabs, compose, generate)
        _wire_looks(page, studio, generate, jobs, (generate_tab, jobs_tab))
        _wire_corpus(page, studio, corpus, corpus_tab)
        _wire_train(page, studio, train, train_tab)
        _wire_trained(studio, tabs, train, generate)
        _wire_models(page, studio, models, models_tab)
        _wire_benchmark(page, studio, benchmark, benchmark_tab)
        _hide_progress_at(page, heartbeat)
    return page


def _hide_progress_at(page: gr.Blocks, place: Component) -> None:
    """Let one part that nobody sees hold the state of all events that show no progress.

    At every event, Gradio's page walks through its tree once for each part that ever held such a
    state, which, unless told otherwise, is each part that any event fills. `place` is early in the
    tree; a part that is seen would fade while something is under way.
    """
    for function in page.fns.values():
        if function.show_progress == "hidden":
            function.show_progress_on = [place]


def _wire_header(
    page: gr.Blocks,
    studio: StudioContext,
    title: gr.Markdown,
    facts: gr.Markdown,
    heartbeat: gr.Timer,
    watched: Sequence[tuple[Sequence[str], Sequence[gr.Timer]]],
) -> None:
    """Say who is here and what runs, and wake the timers of the tabs where work has started.

    The heartbeat is what lets a second window notice work that was started in the first. It is one
    event for all tabs, as the page looks through all its parts for each. `watched` are kinds of
    jobs, none for all kinds, and the timers that they wake.
    """
    device = device_name(studio.settings)

    @guarded_tick
    def show_facts() -> str:
        models = list_models(studio.settings)
        usable = next((entry for entry in models if entry.problem is None), None)
        return facts_html(device, usable, worker_state(studio.database))

    def show_title(request: gr.Request) -> str:
        return title_html(request.username)

    @guarded_tick
    def beat() -> Updates:
        at_work = open_kinds(studio.database)
        woken = [
            timer
            for kinds, timers in watched
            if (at_work.intersection(kinds) if kinds else at_work)
            for timer in timers
        ]
        shown = show_facts()
        return {facts: shown} | {timer: gr.Timer(active=True) for timer in woken}

    quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None}
    page.load(show_title, None, title, **quiet)
    page.load(show_facts, None, facts, **quiet)
    everyone = [timer for _, timers in watched for timer in timers]
    heartbeat.tick(beat, None, [facts, *everyone], **quiet)


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
) -> None:
    """Look at the database on page load and when a tab is opened."""

    @guarded
    def look_at_runs(values: Values) -> Updates:
        offered = generate.offer_models(studio, values) | generate.offer_loras(studio, values)
        return offered | generate.look(studio, values)

    @guarded
    def remember(values: Values) -> Any:
        return generate.remember(studio, values) or gr.skip()

    @guarded
    def look_at_jobs(values: Values) -> Updates:
        return jobs.draw(studio, values)

    form = generate.form
    gr.on(
        [page.load, opened[0].select],
        look_at_runs,
        {*generate.watched, form.model, *form.loras.names, *generate.sweeps.axes},
        [*generate.shown, *generate.offered],
        **LOOK,
    )
    page.load(remember, {form.caption}, [form.caption, form.origin], show_progress="hidden")
    gr.on([page.load, opened[1].select], look_at_jobs, jobs.inputs, jobs.outputs, **LOOK)


def _wire_corpus(page: gr.Blocks, studio: StudioContext, corpus: CorpusTab, opened: gr.Tab) -> None:
    """Look at the catalogue on page load and when the tab is opened."""

    @guarded
    def look(values: Values) -> Updates:
        return corpus.draw(studio, values)

    gr.on([page.load, opened.select], look, corpus.inputs, corpus.outputs, **LOOK)


def _wire_train(page: gr.Blocks, studio: StudioContext, train: TrainTab, opened: gr.Tab) -> None:
    """Look at the runs on page load and when the tab is opened."""

    @guarded
    def look(values: Values) -> Updates:
        return train.look(studio, values)

    inputs = {*train.watched, *train.form.data, train.form.base}
    outputs = [*train.shown, *train.form.offered]
    gr.on([page.load, opened.select], look, inputs, outputs, **LOOK)


def _wire_trained(
    studio: StudioContext, tabs: gr.Tabs, train: TrainTab, generate: GenerateTab
) -> None:
    """One click from a run to Generate, with its LoRA chosen and its base."""
    form = generate.form

    @guarded
    def use(text: str) -> Updates:
        permit(studio, Deed.MAKE)
        run = find_run(studio.settings, read_action(text).value)
        name = put_on_shelf(studio.database, studio.settings, run)
        config = read_config(run)
        chosen = form.loras.recall(studio, [LoraUse(name=name)])
        models = {entry.name: entry for entry in list_models(studio.settings)}
        base = models.get(config.base)
        if base is not None and base.problem is None:
            chosen |= {form.model: base.name} | form.show_model(base)
        if config.t5_length is not None:
            chosen[form.max_sequence_length] = config.t5_length
        opened = {tabs: gr.Tabs(selected=GENERATE), form.loras.part: gr.Accordion(open=True)}
        return chosen | opened

    of_request = {form.model, *form.of_model, form.max_sequence_length}
    outputs = [tabs, form.loras.part, *of_request, *form.loras.components]
    on_action(train.use_actions, use, train.use_actions, outputs)


def _wire_models(page: gr.Blocks, studio: StudioContext, models: ModelsTab, opened: gr.Tab) -> None:
    """Look at the folders of models on page load and when the tab is opened."""

    @guarded
    def look() -> Updates:
        return models.draw(studio)

    gr.on([page.load, opened.select], look, None, models.outputs, **LOOK)


def _wire_benchmark(
    page: gr.Blocks,
    studio: StudioContext,
    benchmark: BenchmarkTab,
    opened: gr.Tab,
) -> None:
    """Look at predictions on page load and when the tab is opened."""

    @guarded
    def look(values: Values) -> Updates:
        return benchmark.look(studio, values)

    gr.on([page.load, opened.select], look, benchmark.inputs, benchmark.outputs, **LOOK)
