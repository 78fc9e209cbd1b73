"""The panel of leakage: two sets compared as a job, the finding, the pairs side by side."""

from collections.abc import Mapping
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.corpus.decisions import PairView
from backend.corpus.errors import CorpusError
from backend.corpus.leakage_search import leakage_csv, read_leakage, submit_leakage
from backend.permissions import Deed
from studio.actions import ActionError, PageAction, bridge, on_action, read_action
from studio.context import StudioContext
from studio.guard import guarded, guarded_tick
from studio.job_actions import act_on_job
from studio.markup import html_block, notice_html
from studio.permissions import permit
from studio.tabs.duplicate_judging import ACTIONS, History, judge, undo
from studio.tabs.duplicates_view import pairs_digest
from studio.tabs.leakage_panel import LeakagePanel
from studio.tabs.leakage_view import BRIDGE, NO_REPORT, UNDO
from studio.tabs.set_choice import build_set_choice
from studio.tabs.table_download import offer_table

TICK_S = 1.0
Values = Mapping[Component, Any]
Updates = dict[Component, Any]


def build_leakage(studio: StudioContext) -> LeakagePanel:
    """Lay the panel out and wire it."""
    gr.Markdown("## Leakage", elem_classes="df-heading", container=False)
    gr.Markdown(
        "What two sets share that they must not: patients, lesions and pictures. A model that has "
        "seen a test image in training looks better than it is.",
        elem_classes="df-note",
        container=False,
    )
    with gr.Row():
        first = build_set_choice(studio, "leakage-first", "First set", "", "Such as training")
        second = build_set_choice(studio, "leakage-second", "Second set", "", "Such as test")
    with gr.Row(elem_classes="df-actions"):
        compare = gr.Button("Compare", variant="primary", elem_id="compare-sets")
    comparisons = html_block(elem_id="leakage-comparisons")
    finding = html_block(elem_id="leakage-finding")
    with gr.Row(elem_classes="df-toolbar"):
        back = gr.Button("Undo", size="sm", interactive=False, elem_id=UNDO)
        export = gr.Button(
            "What is shared as CSV", size="sm", interactive=False, elem_id="leakage-export"
        )
    notice = html_block(elem_id="leakage-notice")
    cards = html_block(NO_REPORT, elem_id="leakage-pairs")
    with gr.Row(elem_classes="df-pager"):
        earlier = gr.Button("← Before", size="sm", interactive=False, min_width=80)
        place = gr.Markdown("", container=False, elem_id="leakage-place")
        later = gr.Button(
            "Next →", size="sm", interactive=False, min_width=80, elem_id="leakage-later"
        )
    panel = LeakagePanel(
        first=first,
        second=second,
        compare=compare,
        comparisons=comparisons,
        finding=finding,
        undo=back,
        export=export,
        notice=notice,
        cards=cards,
        earlier=earlier,
        place=place,
        later=later,
        actions=bridge(BRIDGE),
        timer=gr.Timer(TICK_S, active=False),
        page=gr.State(0),
        opened=gr.State(None),
        pairs=gr.State([]),
        history=gr.State([]),
        seen=gr.State(None),
    )
    _wire_comparing(panel, studio)
    _wire_judging(panel, studio)
    return panel


def compare_sets(
    panel: LeakagePanel, studio: StudioContext, values: Values, owner: str | None
) -> Updates:
    """Queue the comparison of the chosen sets and open its report.

    Raises CorpusError where a set is not chosen, gone or empty.
    """
    permit(studio, Deed.JUDGE_DUPLICATES)
    chosen = [*panel.first.read(values), *panel.second.read(values)]
    if len(chosen) != 2:
        raise CorpusError("Choose a first and a second set to compare.")
    job_id = submit_leakage(studio.database, chosen[0], chosen[1], owner=owner)
    looked = panel.look(studio, {**values, panel.opened: job_id, panel.page: 0})
    return looked | {panel.opened: job_id, panel.timer: gr.Timer(active=True)}


def act_on_pairs(
    panel: LeakagePanel, studio: StudioContext, values: Values, action: PageAction
) -> Updates:
    """What a button of a comparison or of a pair does; the report is drawn anew.

    Raises CorpusError where somebody else was first, ActionError for what the page does not know.
    """
    if action.action == "open_report":
        opened = {panel.opened: action.value}
        return panel.look(studio, {**values, **opened, panel.page: 0}) | opened
    if act_on_job(studio, action.action, action.value):
        return panel.look(studio, values) | {panel.timer: gr.Timer(active=True)}
    if action.action not in ACTIONS:
        raise ActionError(f"Leakage does not know {action.action!r}: reload the page.")
    seen: list[PairView] = [
        view for view in values[panel.pairs] if pairs_digest([view]) == action.value
    ]
    if not seen:
        raise CorpusError("This pair has changed since it was shown: look at it again.")
    history = judge(studio, values[panel.history], seen, ACTIONS[action.action])
    return _decided(panel, studio, values, history, history[-1].words)


def undo_last(panel: LeakagePanel, studio: StudioContext, values: Values) -> Updates:
    """Take the last decision of this window back."""
    history, words = undo(studio, values[panel.history])
    return _decided(panel, studio, values, history, words)


def _decided(
    panel: LeakagePanel, studio: StudioContext, values: Values, history: History, words: str
) -> Updates:
    return panel.draw(studio, values) | {
        panel.history: history,
        panel.notice: notice_html(words),
        panel.undo: gr.Button(interactive=bool(history)),
    }


def _wire_comparing(panel: LeakagePanel, studio: StudioContext) -> None:
    inputs, outputs = panel.inputs, panel.outputs

    @guarded
    def earlier(values: Values) -> Updates:
        return panel.draw(studio, values, page=values[panel.page] - 1)

    @guarded
    def later(values: Values) -> Updates:
        return panel.draw(studio, values, page=values[panel.page] + 1)

    @guarded
    def compare(values: Values, request: gr.Request) -> Updates:
        return compare_sets(panel, studio, values, request.username)

    @guarded_tick
    def follow(values: Values) -> Updates:
        return panel.follow(studio, values)

    quiet: dict[str, Any] = {"show_progress": "hidden"}
    panel.earlier.click(earlier, inputs, outputs, **quiet)
    panel.later.click(later, inputs, outputs, **quiet)
    chosen = {*inputs, *panel.first.components, *panel.second.components}
    panel.compare.click(compare, chosen, outputs, **quiet)
    panel.timer.tick(follow, inputs, outputs, concurrency_limit=None, **quiet)


def _wire_judging(panel: LeakagePanel, studio: StudioContext) -> None:
    inputs = {*panel.inputs, panel.pairs, panel.history, panel.actions}
    outputs = [*panel.outputs, panel.history, panel.notice, panel.undo]

    @guarded
    def act(values: Values) -> Updates:
        return act_on_pairs(panel, studio, values, read_action(values[panel.actions]))

    @guarded
    def take_back(values: Values) -> Updates:
        return undo_last(panel, studio, values)

    @guarded
    def export(job_id: str) -> str:
        report = read_leakage(studio.database, studio.settings.jobs_dir / job_id)
        lines = leakage_csv(studio.database, studio.settings, report)
        return offer_table(studio, "leakage", lines)

    on_action(panel.actions, act, inputs, outputs)
    panel.undo.click(take_back, inputs, outputs, show_progress="hidden", concurrency_limit=1)
    panel.export.click(export, panel.opened, panel.notice, show_progress="hidden")
