"""The Train tab: a run planned and started on the left, all runs and the open one on the right."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.errors import DermaFluxError
from backend.finetuning.metrics import measure_run
from backend.finetuning.planning import make_run, plan_run
from backend.finetuning.run_folder import Wish, find_run
from backend.finetuning.runs import RunFilter, RunState, RunView, find_runs, get_run
from backend.finetuning.submitting import ask, keep_notes, remove_run, submit_run
from backend.permissions import Deed
from studio.actions import ActionError, PageAction, bridge, on_action, read_action
from studio.context import StudioContext
from studio.guard import guarded, guarded_tick, warn
from studio.markup import html_block, notice_html
from studio.permissions import permit, permit_on_job, signed_in
from studio.tabs.train_compare import ComparedRuns, build_compared_runs
from studio.tabs.train_form import TrainForm, build_train_form
from studio.tabs.train_run import OpenRun, build_open_run
from studio.tabs.train_view import (
    BRIDGE,
    NO_MATCH,
    NO_RUNS,
    STATES,
    USE_BRIDGE,
    plan_html,
    problem_html,
    runs_html,
)
from studio.wording import ANY

TICK_S = 1.0
LISTED = 40
CHANGED = (
    "The choices have changed since the plan was shown: look at the new plan, then press Start."
)
Values = Mapping[Component, Any]
Updates = dict[Any, Any]


@dataclass(frozen=True)
class TrainTab:
    """The components of the tab.

    `planned` is the configuration whose plan is shown, `opened` the run that is, `picked` are
    those beside each other, `drawn` tells what the page shows; `timer` runs while a run is open.
    """

    form: TrainForm
    show_plan: gr.Button
    start: gr.Button
    plan: gr.Markdown
    text: gr.Textbox
    state: gr.Dropdown
    base: gr.Dropdown
    notice: gr.Markdown
    runs: gr.Markdown
    open_run: OpenRun
    compared: ComparedRuns
    actions: gr.Textbox
    use_actions: gr.Textbox
    timer: gr.Timer
    planned: gr.State
    opened: gr.State
    picked: gr.State
    drawn: gr.State

    @property
    def filters(self) -> set[Component]:
        """What the list of runs is narrowed by."""
        return {self.text, self.state, self.base}

    @property
    def watched(self) -> set[Component]:
        """What a look at the runs depends on."""
        states = {self.opened, self.picked, self.compared.seen, self.drawn}
        return {*self.filters, *self.open_run.inputs, *states}

    @property
    def shown(self) -> list[Any]:
        """What a look at the runs may change."""
        drawn = [self.runs, *self.open_run.outputs, *self.compared.outputs]
        return [*drawn, self.base, self.timer, self.opened, self.drawn]

    def look(self, studio: StudioContext, values: Values) -> Updates:
        """Everything as it is now, for a page that was just opened."""
        anew: Updates = {self.open_run.seen: None, self.compared.seen: None, self.drawn: {}}
        return self.follow(studio, {**values, **anew}) | self.offer(studio, values)

    def offer(self, studio: StudioContext, values: Values) -> Updates:
        """What the form can be filled with now."""
        return self.form.offer(studio, values)

    def follow(self, studio: StudioContext, values: Values) -> Updates:
        """The list, the open run and the comparison; the newest run is opened first."""
        everything = find_runs(studio.database, studio.settings)
        listed = _narrowed(self, values, everything)
        ids = {view.id: view for view in everything}
        opened = ids.get(values[self.opened] or "") or next(iter(everything), None)
        picked = [ids[one] for one in values[self.picked] if one in ids]
        rows = runs_html(
            listed[:LISTED], opened.id if opened else None, {view.id for view in picked}
        )
        nothing = NO_MATCH if everything else NO_RUNS
        drawn: Updates = {
            self.runs: rows + _rest(len(listed)) if listed else nothing,
            self.base: gr.Dropdown(choices=_bases(everything)),
            self.timer: gr.Timer(active=any(view.state.open for view in everything)),
            **self.open_run.draw(studio, values, opened),
            **self.compared.draw(studio, values, picked),
        }
        opened_id = opened.id if opened else None
        drawn |= {self.opened: opened_id} if opened_id != values[self.opened] else {}
        return self._changed(values, drawn)

    def _changed(self, values: Values, drawn: Updates) -> Updates:
        """Without the parts that the page shows already, so that a tick leaves it alone."""
        shown = self.open_run
        parts = (self.runs, self.base, shown.run, shown.controls, shown.log)
        marks = {str(part.elem_id): _mark(drawn[part]) for part in parts if part in drawn}
        before = values[self.drawn]
        kept = {
            part: update
            for part, update in drawn.items()
            if part not in parts or marks[str(part.elem_id)] != before.get(str(part.elem_id))
        }
        return kept if marks == before else kept | {self.drawn: marks}


def build_train(studio: StudioContext) -> TrainTab:
    """Lay the tab out and wire it."""
    with gr.Row(elem_classes="df-columns"):
        with gr.Column(scale=2, min_width=320, elem_classes=["df-side", "df-panel"]):
            gr.Markdown("## Train a LoRA", elem_classes="df-heading", container=False)
            form = build_train_form(studio)
            with gr.Row(elem_classes="df-actions"):
                show_plan = gr.Button("Show plan", elem_id="train-show-plan")
                start = gr.Button("Start", variant="primary", elem_id="train-start")
            plan = html_block(elem_id="train-plan")
        with gr.Column(scale=5, min_width=320):
            with gr.Column(elem_classes="df-panel"):
                gr.Markdown("## Runs", elem_classes="df-heading", container=False)
                text, state, base = _filters()
                notice = html_block(elem_id="train-notice")
                runs = html_block(NO_RUNS, elem_id="train-runs")
            open_run = build_open_run()
            compared = build_compared_runs()
    tab = TrainTab(
        form=form,
        show_plan=show_plan,
        start=start,
        plan=plan,
        text=text,
        state=state,
        base=base,
        notice=notice,
        runs=runs,
        open_run=open_run,
        compared=compared,
        actions=bridge(BRIDGE),
        use_actions=bridge(USE_BRIDGE),
        timer=gr.Timer(TICK_S, active=False),
        planned=gr.State(""),
        opened=gr.State(None),
        picked=gr.State([]),
        drawn=gr.State({}),
    )
    _wire_start(tab, studio)
    _wire_runs(tab, studio)
    _wire_open_run(tab, studio)
    return tab


def start_run(tab: TrainTab, studio: StudioContext, values: Values, owner: str | None) -> Updates:
    """Plan and queue what the form describes, once its plan was seen.

    Raises FinetuningError where it cannot be trained so, AccountError where the person may not.
    """
    permit(studio, Deed.TRAIN)
    config = tab.form.read(values)
    wanted = config.model_dump_json()
    if values[tab.planned] != wanted:
        plan = plan_run(studio.database, studio.settings, config)
        warn(CHANGED)
        return {tab.plan: plan_html(plan), tab.planned: wanted}
    run = make_run(studio.database, studio.settings, config)
    submit_run(studio.database, studio.settings, run.path.name, owner)
    opened = {tab.opened: run.path.name}
    said = {tab.plan: "", tab.planned: "", tab.notice: notice_html("The run is in the queue.")}
    return tab.follow(studio, {**values, **opened}) | opened | said


def act_on_run(tab: TrainTab, studio: StudioContext, values: Values, action: PageAction) -> Updates:
    """What a button of a run does.

    Raises FinetuningError or JobError where the run does not allow it, AccountError where the
    person may not, ActionError for what the page does not know.
    """
    if action.action == "open":
        opened = {tab.opened: action.value, tab.notice: ""}
        return tab.follow(studio, {**values, **opened}) | opened
    if action.action == "pick":
        before = [one for one in values[tab.picked] if one != action.value]
        picked = [*before, action.value] if action.on else before
        return tab.follow(studio, {**values, tab.picked: picked}) | {tab.picked: picked}
    if action.action == "settings":
        return _use_settings(tab, studio, values, action.value)
    said = _change(studio, action)
    gone = action.action == "remove" and values[tab.opened] == action.value
    closed: Updates = {tab.opened: None} if gone else {}
    drawn = tab.follow(studio, {**values, **closed})
    return closed | drawn | {tab.notice: notice_html(said)}


def _change(studio: StudioContext, action: PageAction) -> str:
    """Resume, remove, or ask a run for something; returns what was done, in a sentence."""
    run_id = action.value
    permit(studio, Deed.TRAIN)
    view = get_run(studio.database, studio.settings, run_id)
    if view.job is not None:
        permit_on_job(studio, view.job.id)
    if action.action == "resume":
        submit_run(studio.database, studio.settings, run_id, signed_in())
        kept = view.status is not None and view.status.checkpoint_step is not None
        where = "at its last checkpoint" if kept else "from the start"
        return f"{view.title} is in the queue, and goes on {where}."
    if action.action == "remove":
        remove_run(studio.database, studio.settings, run_id)
        return f"{view.title} is removed. What is on the LoRA shelf stays there."
    if action.action not in {one.value for one in Wish}:
        raise ActionError(f"Train does not know {action.action!r}: reload the page.")
    return ask(studio.database, studio.settings, run_id, Wish(action.action))


def _use_settings(tab: TrainTab, studio: StudioContext, values: Values, run_id: str) -> Updates:
    """The form as the run was asked for, to be changed and started anew."""
    view = get_run(studio.database, studio.settings, run_id)
    form = tab.form
    if view.config is None:
        raise ActionError("The settings of this run cannot be read.")
    data = view.config.data
    chosen: Updates = {form.base: view.config.base}
    if data.caption_set:
        chosen |= {
            form.caption_set: data.caption_set,
            form.version: str(data.version or ""),
            form.subset: data.subset or "",
        }
    offered = form.offer(studio, {**values, **chosen})
    said = {tab.notice: notice_html(f"The form is as {view.title} was asked for.")}
    return form.fill(view.config) | chosen | offered | said


def _filters() -> tuple[gr.Textbox, gr.Dropdown, gr.Dropdown]:
    with gr.Row(elem_classes="df-search"):
        text = gr.Textbox(
            label="Search", placeholder="Title, notes, data", max_lines=1, elem_id="train-text"
        )
        state = gr.Dropdown(
            [(ANY, ""), *((words, one.value) for one, (words, _) in STATES.items())],
            value="",
            label="State",
            filterable=False,
            elem_id="train-state",
        )
        base = gr.Dropdown(
            [(ANY, "")], value="", label="Base", filterable=False, elem_id="train-base-filter"
        )
    return text, state, base


def _narrowed(tab: TrainTab, values: Values, everything: list[RunView]) -> list[RunView]:
    state = values[tab.state]
    criteria = RunFilter(
        text=values[tab.text] or "",
        state=RunState(state) if state else None,
        base=values[tab.base] or "",
    )
    return [view for view in everything if criteria.admits(view)]


def _mark(drawn: Any) -> str:
    """What tells one state of a part from another."""
    return str(drawn.choices) if isinstance(drawn, gr.Dropdown) else str(drawn)


def _rest(found: int) -> str:
    if found <= LISTED:
        return ""
    return f'<p class="df-dim">And {found - LISTED:,} older: narrow the list to see them.</p>'


def _bases(views: list[RunView]) -> list[tuple[str, str]]:
    names = sorted({view.config.base for view in views if view.config})
    return [(ANY, ""), *((name, name) for name in names)]


def _wire_start(tab: TrainTab, studio: StudioContext) -> None:
    form = tab.form

    @guarded
    def show_plan(values: Values) -> Updates:
        """What is wrong with a setting stands where the plan would."""
        try:
            config = form.read(values)
            plan = plan_run(studio.database, studio.settings, config)
        except DermaFluxError as error:
            return {tab.plan: problem_html(str(error)), tab.planned: ""}
        return {tab.plan: plan_html(plan), tab.planned: config.model_dump_json()}

    @guarded
    def start(values: Values, request: gr.Request) -> Updates:
        return start_run(tab, studio, values, request.username)

    outputs = [tab.plan, tab.planned]
    tab.show_plan.click(show_plan, form.components, outputs, show_progress="minimal")
    tab.start.click(
        start,
        {*form.components, tab.planned, *tab.watched},
        [*outputs, tab.notice, *tab.shown],
        show_progress="minimal",
        concurrency_limit=1,
    )


def _wire_runs(tab: TrainTab, studio: StudioContext) -> None:
    @guarded_tick
    def follow(values: Values) -> Any:
        """The timer that called goes on by itself, and is only told to end."""
        drawn = tab.follow(studio, values)
        if drawn[tab.timer].active:
            del drawn[tab.timer]
        return drawn or gr.skip()

    @guarded
    def narrow(values: Values) -> Updates:
        return tab.follow(studio, values)

    @guarded
    def act(values: Values) -> Updates:
        return act_on_run(tab, studio, values, read_action(values[tab.actions]))

    quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None}
    tab.timer.tick(follow, tab.watched, tab.shown, **quiet)
    gr.on(
        [tab.text.change, tab.state.input, tab.base.input],
        narrow,
        tab.watched,
        tab.shown,
        trigger_mode="always_last",
        **quiet,
    )
    outputs = [*tab.shown, tab.notice, tab.picked, *_of_settings(tab)]
    inputs = {tab.actions, *tab.watched, *tab.form.components}
    on_action(tab.actions, act, inputs, outputs)


def _wire_open_run(tab: TrainTab, studio: StudioContext) -> None:
    shown = tab.open_run

    @guarded
    def draw_charts(values: Values) -> Updates:
        run = find_run(studio.settings, values[tab.opened] or "")
        return shown.draw_charts(values, measure_run(run))

    @guarded
    def draw_samples(values: Values) -> Updates:
        run = find_run(studio.settings, values[tab.opened] or "")
        return shown.draw_samples(values, measure_run(run))

    @guarded
    def keep(values: Values) -> Updates:
        permit(studio, Deed.TRAIN)
        keep_notes(studio.settings, values[tab.opened] or "", values[shown.notes] or "")
        return {tab.notice: notice_html("The notes are kept.")}

    quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None}
    chosen = {tab.opened, shown.validation_by, shown.rate, shown.sample}
    charts = [shown.loss, shown.validation_by, shown.validation, shown.rate, shown.rates]
    gr.on(
        [shown.validation_by.input, shown.rate.input],
        draw_charts,
        chosen,
        [*charts, shown.agreement],
        **quiet,
    )
    shown.sample.input(draw_samples, chosen, [shown.samples], trigger_mode="always_last", **quiet)
    shown.keep.click(keep, {tab.opened, shown.notes}, [tab.notice], **quiet)


def _of_settings(tab: TrainTab) -> list[Component]:
    """What the settings of a run may change in the form."""
    return [*tab.form.offered, *tab.form.knobs.values()]
