"""The Benchmark tab: predictions chosen or imported, read at an operating point, reported."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.evaluation.demo import demo_grid
from backend.evaluation.errors import EvaluationError
from backend.evaluation.exploring import MAX_SHOWN, RunAtPoint, at_point
from backend.evaluation.operating_points import Rule, Wanted
from backend.evaluation.prediction_tables import find_tables, list_tables
from backend.evaluation.predictions import Split
from backend.evaluation.reporting import KIND, report_dir, submit_evaluate
from backend.evaluation.running import KIND as EXPERIMENT
from backend.evaluation.running import submit_grid
from backend.evaluation.seen_images import find_pictures
from backend.evaluation.thresholds import images_in
from backend.jobs.queue import count_jobs, list_jobs, queue_position
from backend.jobs.states import OPEN
from backend.permissions import Deed
from studio.actions import PageAction, bridge, on_action, read_action
from studio.context import StudioContext
from studio.guard import guarded, guarded_tick
from studio.job_actions import act_on_job
from studio.markup import html_block
from studio.permissions import permit
from studio.tabs.benchmark_import import ImportForm, build_import_form
from studio.tabs.benchmark_session import Choice, OpenPredictions, OpenTables
from studio.tabs.benchmark_view import (
    BRIDGE,
    CELL_WORDS,
    EMPTY,
    NO_IMAGES,
    PAGE_SIZE,
    curves_html,
    downloads_html,
    forest_html,
    images_html,
    paper_html,
    readout_html,
)
from studio.tabs.generate_progress import job_card

WATCHED = (KIND, EXPERIMENT)
TICK_S = 1.0
LATEST = 3
PRESETS = {
    "youden": Wanted(Rule.YOUDEN),
    "sensitivity": Wanted(Rule.SENSITIVITY, 0.95),
    "specificity": Wanted(Rule.SPECIFICITY, 0.9),
    "half": Wanted(Rule.FIXED, 0.5),
}
PRESET_WORDS = [
    ("Youden", "youden"),
    ("Sensitivity 0.95", "sensitivity"),
    ("Specificity 0.90", "specificity"),
    ("Threshold 0.5", "half"),
]
SPLIT_WORDS = [("Test", "test"), ("Validation", "validation"), ("Training", "train")]
FIRST: dict[str, Any] = {"preset": "youden", "threshold": None}
Values = Mapping[Component, Any]
Updates = dict[Component, Any]


@dataclass(frozen=True)
class BenchmarkTab:
    """The components of the tab; the page calls `look` when it is opened.

    `point` is the preset or the threshold set by hand, `cell` the open cell of the confusion with
    the place of its first image, `seen` what was drawn last.
    """

    tables: gr.Dropdown
    split: gr.Dropdown
    shown: gr.Dropdown
    shared: gr.Checkbox
    demo: gr.Button
    form: ImportForm
    curves: gr.Markdown
    controls: gr.Column
    focus: gr.Dropdown
    preset: gr.Radio
    threshold: gr.Slider
    readout: gr.Markdown
    images: gr.Markdown
    forest: gr.Markdown
    paper: gr.Markdown
    report: gr.Button
    downloads: gr.Markdown
    jobs: gr.Markdown
    actions: gr.Textbox
    timer: gr.Timer
    point: gr.State
    cell: gr.State
    seen: gr.State
    opened: OpenPredictions

    @property
    def inputs(self) -> set[Component]:
        """What drawing depends on."""
        chosen = {self.tables, self.split, self.shown, self.shared, self.focus}
        return {*chosen, self.point, self.cell, self.seen}

    @property
    def moved(self) -> list[Component]:
        """What follows the operating point."""
        return [self.readout, self.forest, self.images, self.point, self.cell]

    @property
    def outputs(self) -> list[Component]:
        """What drawing may change."""
        chosen = [self.tables, self.split, self.shown, self.focus, self.threshold, self.preset]
        drawn = [self.curves, self.controls, self.paper, self.report, self.downloads, self.jobs]
        return [*self.moved, *chosen, *drawn, self.timer, self.seen]

    def choice(self, values: Values) -> Choice:
        """What this window has chosen."""
        return Choice(
            tuple(values[self.tables] or ()),
            Split(values[self.split] or Split.TEST),
            bool(values[self.shared]),
            tuple(values[self.shown] or ())[:MAX_SHOWN],
        )

    def look(self, studio: StudioContext, values: Values) -> Updates:
        """Tables and jobs as they are now, and the chosen predictions where they changed."""
        offered = [(entry.title, entry.name) for entry in list_tables(studio.settings.workspace)]
        known = {name for _, name in offered}
        chosen = [name for name in values[self.tables] or () if name in known]
        drawn: Updates = {self.tables: gr.Dropdown(choices=offered, value=chosen, multiselect=True)}
        return drawn | self.follow(studio, {**values, self.tables: chosen})

    def follow(self, studio: StudioContext, values: Values) -> Updates:
        """Jobs, and the predictions once more when a report of them is finished."""
        watching = count_jobs(studio.database, states=OPEN, kinds=WATCHED) > 0
        jobs = list_jobs(studio.database, kinds=WATCHED, limit=LATEST)
        cards = "".join(
            job_card(job, queue_position(studio.database, job.id), bridge=BRIDGE) for job in jobs
        )
        drawn: Updates = {
            self.jobs: f'<section class="df-runs" aria-label="Reports">{cards}</section>',
            self.timer: gr.Timer(active=watching),
        }
        choice = self.choice(values)
        if not choice.tables:
            return drawn | self._nothing()
        found = self.opened.open(studio, choice)
        if values[self.seen] != [repr(choice), found.has_report]:
            drawn |= self.draw(studio, values)
        return drawn

    def draw(self, studio: StudioContext, values: Values) -> Updates:
        """Everything of the chosen predictions."""
        choice = self.choice(values)
        if not choice.tables:
            return self._nothing()
        found = self.opened.open(studio, choice)
        keys = [run.key for run in found.exploration.runs]
        focus = values[self.focus] if values[self.focus] in keys else keys[0]
        folder = report_dir(
            studio.settings, find_tables(studio.settings.workspace, choice.tables), choice.task
        )
        drawn: Updates = {
            self.curves: curves_html(found.exploration),
            self.controls: gr.Column(visible=True),
            self.split: gr.Dropdown(
                choices=[one for one in SPLIT_WORDS if one[1] in found.splits], value=choice.split
            ),
            self.shown: gr.Dropdown(
                choices=list(found.exploration.names), value=keys, multiselect=True
            ),
            self.focus: gr.Dropdown(choices=keys, value=focus),
            self.paper: paper_html(found.tables),
            self.report: gr.Button(interactive=True),
            self.downloads: downloads_html(folder),
            self.seen: [repr(choice), found.has_report],
        }
        return drawn | self.move(studio, {**values, self.focus: focus})

    def move(self, studio: StudioContext, values: Values) -> Updates:
        """What the operating point makes of the predictions: this is what a drag asks for."""
        choice = self.choice(values)
        if not choice.tables:
            return {}
        found = self.opened.open(studio, choice)
        points = at_point(found.exploration, wanted_of(values[self.point]))
        chosen = _in_focus(points, values[self.focus])
        cell = values[self.cell] or {"name": "", "first": 0}
        drawn: Updates = {
            self.readout: readout_html(points, chosen.run.key if chosen else "", cell["name"]),
            self.forest: forest_html(chosen),
            self.images: NO_IMAGES,
        }
        if chosen and values[self.point]["preset"]:
            drawn[self.threshold] = min(1.0, chosen.at.threshold)
        if chosen and cell["name"]:
            drawn[self.images] = self._images(studio, found, chosen, cell)
        return drawn

    def act(self, studio: StudioContext, values: Values, action: PageAction) -> Updates:
        """What a cell, a page of images, a dragged dot or a job's button does.

        Raises EvaluationError for what the page does not know.
        """
        if act_on_job(studio, action.action, action.value):
            return self.follow(studio, values) | {self.timer: gr.Timer(active=True)}
        cell = values[self.cell] or {"name": "", "first": 0}
        if action.action == "point":
            point = {"preset": "", "threshold": _share(action.value)}
            moved = self.move(studio, {**values, self.point: point})
            hand = {self.point: point, self.threshold: point["threshold"]}
            return moved | hand | {self.preset: gr.Radio(value=None)}
        if action.action == "cell" and action.value in CELL_WORDS:
            name = "" if cell["name"] == action.value else action.value
            cell = {"name": name, "first": 0}
        elif action.action == "page" and action.value.isdecimal():
            cell = {**cell, "first": int(action.value)}
        else:
            raise EvaluationError("The page asked for something unknown: reload it.")
        return self.move(studio, {**values, self.cell: cell}) | {self.cell: cell}

    def _images(
        self, studio: StudioContext, found: OpenTables, chosen: RunAtPoint, cell: dict[str, Any]
    ) -> str:
        places = images_in(chosen.run.scores, chosen.at.threshold, cell["name"])
        first = min(cell["first"], max(0, (len(places) - 1) // PAGE_SIZE * PAGE_SIZE))
        ids = found.exploration.predictions.frame["image_id"].cat.categories
        names = [str(ids[place]) for place in places[first : first + PAGE_SIZE]]
        series = chosen.run.series
        scores = dict(zip(series.images.tolist(), series.score.tolist(), strict=True))
        cards = find_pictures(studio.database, studio.settings, names)
        shown = [
            (name, scores[int(place)], cards[name])
            for name, place in zip(names, places[first : first + PAGE_SIZE], strict=True)
        ]
        return images_html(cell["name"], chosen.run.key, shown, len(places), first)

    def _nothing(self) -> Updates:
        empty = [self.readout, self.images, self.forest, self.paper, self.downloads]
        return {
            self.curves: EMPTY,
            self.controls: gr.Column(visible=False),
            self.report: gr.Button(interactive=False),
            self.seen: None,
            **dict.fromkeys(empty, ""),
        }


def wanted_of(point: Mapping[str, Any]) -> Wanted:
    """The rule of a preset, or the threshold that was set by hand."""
    if point["preset"] in PRESETS:
        return PRESETS[point["preset"]]
    return Wanted(Rule.FIXED, _share(point["threshold"]))


def build_benchmark(studio: StudioContext) -> BenchmarkTab:
    """Lay the tab out and wire it."""
    with gr.Column(elem_classes="df-panel"):
        gr.Markdown("## Predictions", elem_classes="df-heading", container=False)
        with gr.Row():
            tables = gr.Dropdown(
                [], value=[], multiselect=True, label="Results", elem_id="benchmark-tables",
                info="Experiments that have ended, and tables that were imported.", min_width=280,
            )  # fmt: skip
            split = gr.Dropdown(
                SPLIT_WORDS, value="test", label="Images", elem_id="benchmark-split", min_width=120
            )
            shown = gr.Dropdown(
                [], value=[], multiselect=True, max_choices=MAX_SHOWN, min_width=240,
                label=f"Curves, {MAX_SHOWN} at most", elem_id="benchmark-shown",
            )  # fmt: skip
        shared = gr.Checkbox(
            label="Only images that every run has scored", elem_id="benchmark-shared"
        )
        form = build_import_form()
        with gr.Row(elem_classes="df-actions"):
            demo = gr.Button("Run the embedded demo", elem_id="benchmark-demo")
            report = gr.Button(
                "Compute intervals and report", variant="primary", interactive=False,
                elem_id="benchmark-report",
            )  # fmt: skip
        downloads = html_block(elem_id="benchmark-takeaway")
        jobs = html_block(elem_id="benchmark-jobs")
    with gr.Column(elem_classes="df-panel"):
        gr.Markdown("## Curves", elem_classes="df-heading", container=False)
        curves = html_block(EMPTY, elem_id="benchmark-curves")
    with gr.Column(visible=False, elem_classes="df-panel") as controls:
        gr.Markdown("## Operating point", elem_classes="df-heading", container=False)
        with gr.Row():
            focus = gr.Dropdown([], label="Run in focus", elem_id="benchmark-focus", min_width=220)
            preset = gr.Radio(
                PRESET_WORDS, value="youden", label="Chosen on validation images where there are",
                elem_id="benchmark-preset", elem_classes="df-segmented",
            )  # fmt: skip
        threshold = gr.Slider(
            0, 1, value=0.5, step=0.001, label="Threshold by hand, for every run",
            info="Arrow keys move it; or drag a dot of the ROC curve.",
            elem_id="benchmark-threshold",
        )  # fmt: skip
        readout = html_block(elem_id="benchmark-readout")
        images = html_block(elem_id="benchmark-images")
        gr.Markdown("## Subgroups", elem_classes="df-heading", container=False)
        forest = html_block(elem_id="benchmark-forest")
        gr.Markdown("## Beside the paper", elem_classes="df-heading", container=False)
        paper = html_block(elem_id="benchmark-paper")
    tab = BenchmarkTab(
        tables=tables, split=split, shown=shown, shared=shared, demo=demo, form=form,
        curves=curves, controls=controls, focus=focus, preset=preset, threshold=threshold,
        readout=readout, images=images, forest=forest, paper=paper, report=report,
        downloads=downloads, jobs=jobs, actions=bridge(BRIDGE),
        timer=gr.Timer(TICK_S, active=False), point=gr.State(FIRST), cell=gr.State(None),
        seen=gr.State(None), opened=OpenPredictions(),
    )  # fmt: skip
    _wire_choice(tab, studio)
    _wire_point(tab, studio)
    _wire_jobs(tab, studio)
    return tab


def _wire_choice(tab: BenchmarkTab, studio: StudioContext) -> None:
    quiet: dict[str, Any] = {"show_progress": "hidden"}

    @guarded
    def choose_tables(values: Values) -> Updates:
        return tab.draw(studio, {**values, tab.shown: [], tab.split: Split.TEST.value})

    @guarded
    def choose_split(values: Values) -> Updates:
        return tab.draw(studio, {**values, tab.shown: []})

    @guarded
    def choose(values: Values) -> Updates:
        return tab.draw(studio, values)

    @guarded
    def offer(values: Values) -> Updates:
        return tab.form.offer(values)

    @guarded
    def take(values: Values) -> Updates:
        permit(studio, Deed.IMPORT)
        entry = tab.form.keep(studio, values)
        tables = list(dict.fromkeys([*(values[tab.tables] or ()), entry.name]))
        chosen = {**values, tab.tables: tables, tab.shown: [], tab.seen: None}
        return tab.look(studio, chosen)

    tab.tables.input(choose_tables, tab.inputs, tab.outputs, **quiet)
    tab.split.input(choose_split, tab.inputs, tab.outputs, **quiet)
    gr.on([tab.shown.input, tab.shared.input], choose, tab.inputs, tab.outputs, **quiet)
    tab.form.drop.change(offer, {tab.form.drop}, tab.form.outputs, **quiet)
    tab.form.start.click(take, {*tab.inputs, *tab.form.inputs}, tab.outputs, **quiet)


def _wire_point(tab: BenchmarkTab, studio: StudioContext) -> None:
    quiet: dict[str, Any] = {"show_progress": "hidden"}

    @guarded
    def refocus(values: Values) -> Updates:
        return tab.move(studio, values)

    @guarded
    def use_preset(values: Values) -> Updates:
        point = {"preset": values[tab.preset], "threshold": None}
        return tab.move(studio, {**values, tab.point: point}) | {tab.point: point}

    @guarded
    def slide(values: Values) -> Updates:
        point = {"preset": "", "threshold": values[tab.threshold]}
        moved = tab.move(studio, {**values, tab.point: point})
        return moved | {tab.point: point, tab.preset: gr.Radio(value=None)}

    @guarded
    def act(values: Values) -> Updates:
        return tab.act(studio, values, read_action(values[tab.actions]))

    both = [*tab.moved, tab.threshold, tab.preset]
    tab.focus.input(refocus, tab.inputs, both, **quiet)
    tab.preset.input(use_preset, {*tab.inputs, tab.preset}, both, **quiet)
    tab.threshold.input(
        slide,
        {*tab.inputs, tab.threshold},
        [*tab.moved, tab.preset],
        trigger_mode="always_last",
        **quiet,
    )
    outputs = [*both, tab.jobs, tab.timer, *_drawn_by_follow(tab)]
    on_action(tab.actions, act, {*tab.inputs, tab.actions}, outputs)


def _drawn_by_follow(tab: BenchmarkTab) -> list[Component]:
    already = {*tab.moved, tab.threshold, tab.preset, tab.jobs, tab.timer}
    return [one for one in tab.outputs if one not in already]


def _wire_jobs(tab: BenchmarkTab, studio: StudioContext) -> None:
    quiet: dict[str, Any] = {"show_progress": "hidden"}

    @guarded
    def report(values: Values, request: gr.Request) -> Updates:
        permit(studio, Deed.EXPORT)
        task = tab.choice(values).task
        submit_evaluate(studio.database, studio.settings, task, owner=request.username)
        return tab.follow(studio, values) | {tab.timer: gr.Timer(active=True)}

    @guarded
    def demo(values: Values, request: gr.Request) -> Updates:
        permit(studio, Deed.MAKE)
        grid = demo_grid(studio.settings)
        submit_grid(studio.database, grid, demo=True, owner=request.username)
        return tab.follow(studio, values) | {tab.timer: gr.Timer(active=True)}

    @guarded_tick
    def tick(values: Values) -> Updates:
        return tab.look(studio, values)

    tab.report.click(report, tab.inputs, tab.outputs, **quiet)
    tab.demo.click(demo, tab.inputs, tab.outputs, **quiet)
    tab.timer.tick(tick, tab.inputs, tab.outputs, concurrency_limit=None, **quiet)


def _in_focus(points: tuple[RunAtPoint, ...], key: str | None) -> RunAtPoint | None:
    return next((one for one in points if one.run.key == key), points[0] if points else None)


def _share(value: object) -> float:
    """A threshold from the page; raises EvaluationError for anything that is none."""
    try:
        number = float(str(value))
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise EvaluationError("A threshold lies from 0 to 1: move the slider or drag the dot.")
    return number
