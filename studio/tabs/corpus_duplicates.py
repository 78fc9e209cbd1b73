"""The panel of duplicates: a search as a job, its groups side by side, judged and taken back."""

from collections.abc import Mapping
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.corpus.decisions import PairView
from backend.corpus.duplicate_groups import DuplicateGroup, groups_csv, outline_groups
from backend.corpus.duplicate_search import submit_duplicates
from backend.corpus.errors import CorpusError
from backend.corpus.states import PairState
from backend.permissions import Deed
from studio.actions import ActionError, PageAction, bridge, on_action, read_action
from studio.context import StudioContext
from studio.guard import guarded, guarded_tick
from studio.job_actions import act_on_job
from studio.markup import html_block, notice_html
from studio.permissions import permit
from studio.tabs.duplicate_judging import ACTIONS, judge, undo
from studio.tabs.duplicates_panel import DuplicatesPanel
from studio.tabs.duplicates_view import BRIDGE, NOTHING_FOUND, UNDO, pairs_digest
from studio.tabs.picture_card import STATES
from studio.tabs.set_choice import build_set_choice
from studio.tabs.table_download import offer_table

TICK_S = 1.0
Values = Mapping[Component, Any]
Updates = dict[Component, Any]


def build_duplicates(studio: StudioContext) -> DuplicatesPanel:
    """Lay the panel out and wire it."""
    gr.Markdown("## Duplicates", elem_classes="df-heading", container=False)
    gr.Markdown(
        "The same picture twice: the same file, the same pixels, or resized, recompressed, cropped "
        "by up to 10 %, flipped, turned, with colours shifted. A pair counts until it is "
        "dismissed: splits keep its images together.",
        elem_classes="df-note",
        container=False,
    )
    sets = build_set_choice(studio, "duplicate-sets", "Search in", ["catalogue"])
    with gr.Row(elem_classes="df-actions"):
        find = gr.Button("Find duplicates", variant="primary", elem_id="find-duplicates")
    searches = html_block(elem_id="duplicate-searches")
    counts = html_block(elem_id="duplicate-counts")
    state = gr.Radio(
        [(STATES[state], state.value) for state in PairState],
        value=PairState.SUGGESTED.value,
        label="Show groups that are",
        elem_id="duplicate-state",
        elem_classes="df-segmented",
    )
    with gr.Row(elem_classes="df-toolbar"):
        back = gr.Button("Undo", size="sm", interactive=False, elem_id=UNDO)
        export = gr.Button("Groups as CSV", size="sm", elem_id="duplicate-export")
    notice = html_block(elem_id="duplicate-notice")
    cards = html_block(NOTHING_FOUND, elem_id="duplicate-groups")
    with gr.Row(elem_classes="df-pager"):
        earlier = gr.Button("← Before", size="sm", interactive=False, min_width=80)
        place = gr.Markdown("", container=False, elem_id="duplicate-place")
        later = gr.Button(
            "Next →", size="sm", interactive=False, min_width=80, elem_id="duplicate-later"
        )
    panel = DuplicatesPanel(
        sets=sets,
        find=find,
        searches=searches,
        counts=counts,
        state=state,
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
        groups=gr.State([]),
        history=gr.State([]),
        seen=gr.State(None),
    )
    _wire_browsing(panel, studio)
    _wire_judging(panel, studio)
    return panel


def act_on_groups(
    panel: DuplicatesPanel, studio: StudioContext, values: Values, action: PageAction
) -> Updates:
    """What a button of a search, a group or a pair does; all is drawn anew.

    Raises CorpusError where somebody else was first, ActionError for what the page does not know.
    """
    if act_on_job(studio, action.action, action.value):
        return panel.look(studio, values) | {panel.timer: gr.Timer(active=True)}
    if action.action not in ACTIONS:
        raise ActionError(f"Duplicates do not know {action.action!r}: reload the page.")
    pairs = _pressed(values[panel.groups], action.value)
    history = judge(studio, values[panel.history], pairs, ACTIONS[action.action])
    return _decided(panel, studio, values, history, history[-1].words)


def undo_last(panel: DuplicatesPanel, studio: StudioContext, values: Values) -> Updates:
    """Take the last decision of this window back."""
    history, words = undo(studio, values[panel.history])
    return _decided(panel, studio, values, history, words)


def _decided(
    panel: DuplicatesPanel,
    studio: StudioContext,
    values: Values,
    history: list[Any],
    words: str,
) -> Updates:
    return panel.draw(studio, values) | {
        panel.history: history,
        panel.notice: notice_html(words),
        panel.undo: gr.Button(interactive=bool(history)),
    }


def _pressed(groups: list[DuplicateGroup], value: str) -> list[PairView]:
    """The pairs that a button stands for: all of a group, or the one at a place."""
    mark, _, place = value.partition(":")
    group = next((group for group in groups if pairs_digest(group.pairs) == mark), None)
    if group is None or (place and not place.isdecimal()) or int(place or 0) >= len(group.pairs):
        raise CorpusError("This group has changed since it was shown: look at it again.")
    return [group.pairs[int(place)]] if place else list(group.pairs)


def _wire_browsing(panel: DuplicatesPanel, studio: StudioContext) -> None:
    inputs, outputs = panel.inputs, panel.outputs

    @guarded
    def first_page(values: Values) -> Updates:
        return panel.draw(studio, values, page=0)

    @guarded
    def earlier(values: Values) -> Updates:
        return panel.draw(studio, values, page=values[panel.page] - 1)

    @guarded
    def later(values: Values) -> Updates:
        return panel.draw(studio, values, page=values[panel.page] + 1)

    @guarded
    def find(values: Values, request: gr.Request) -> Updates:
        permit(studio, Deed.JUDGE_DUPLICATES)
        submit_duplicates(studio.database, panel.sets.read(values), owner=request.username)
        return panel.look(studio, values) | {panel.timer: gr.Timer(active=True)}

    @guarded_tick
    def follow(values: Values) -> Updates:
        return panel.follow(studio, values)

    quiet: dict[str, Any] = {"show_progress": "hidden"}
    panel.state.input(first_page, inputs, outputs, **quiet)
    panel.earlier.click(earlier, inputs, outputs, **quiet)
    panel.later.click(later, inputs, outputs, **quiet)
    panel.find.click(find, {*inputs, *panel.sets.components}, outputs, **quiet)
    panel.timer.tick(follow, inputs, outputs, concurrency_limit=None, **quiet)


def _wire_judging(panel: DuplicatesPanel, studio: StudioContext) -> None:
    inputs = {*panel.inputs, panel.groups, panel.history, panel.actions}
    outputs = [*panel.outputs, panel.history, panel.notice, panel.undo]

    @guarded
    def act(values: Values) -> Updates:
        return act_on_groups(panel, studio, values, read_action(values[panel.actions]))

    @guarded
    def take_back(values: Values) -> Updates:
        return undo_last(panel, studio, values)

    @guarded
    def export() -> str:
        groups = outline_groups(studio.database)
        if not any(groups.values()):
            raise CorpusError("There is no group to write: find duplicates first.")
        lines = groups_csv(studio.database, studio.settings, groups)
        return offer_table(studio, "duplicate-groups", lines)

    on_action(panel.actions, act, inputs, outputs)
    panel.undo.click(take_back, inputs, outputs, show_progress="hidden", concurrency_limit=1)
    panel.export.click(export, None, panel.notice, show_progress="hidden")
