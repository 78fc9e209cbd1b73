"""The panel of captions: images described as a job, its versions, two of them compared."""

from collections.abc import Mapping
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.captioning.errors import CaptioningError
from backend.captioning.running import check_task, submit_captions
from backend.captioning.server.hosts import Place, find_place
from backend.captioning.task import CaptionTask
from backend.jobs.queue import get_job
from backend.permissions import Deed
from studio.actions import ActionError, PageAction, bridge, on_action, read_action
from studio.context import StudioContext
from studio.guard import guarded, guarded_tick
from studio.job_actions import act_on_job
from studio.markup import html_block
from studio.permissions import permit, signed_in
from studio.tabs.captions_compared import build_comparison, wire_pages
from studio.tabs.captions_form import build_caption_form
from studio.tabs.captions_images import count_chosen
from studio.tabs.captions_panel import CaptionsPanel
from studio.tabs.captions_view import BRIDGE, NO_CORPUS, NO_VERSIONS, question_html

TICK_S = 1.0
Values = Mapping[Component, Any]
Updates = dict[Any, Any]


def build_captions(studio: StudioContext) -> CaptionsPanel:
    """Lay the panel out and wire it."""
    gr.Markdown("## Captions", elem_classes="df-heading", container=False)
    gr.Markdown(
        "Each image described in words, by asymmetry, border and colours. Captions are checked as "
        "they come; an image keeps the caption that it has by the same captioner and prompt.",
        elem_classes="df-note",
        container=False,
    )
    nothing = html_block(NO_CORPUS, elem_id="captions-nothing")
    with gr.Column(visible=False) as starting:
        form = build_caption_form(studio)
        with gr.Row(elem_classes="df-actions"):
            start = gr.Button("Start captioning", variant="primary", elem_id="start-captions")
        question = html_block(elem_id="caption-question")
    runs = html_block(elem_id="caption-runs")
    gr.Markdown("### Versions", elem_classes="df-heading", container=False)
    versions = html_block(NO_VERSIONS, elem_id="caption-versions")
    gr.Markdown("### Compare two versions", elem_classes="df-heading", container=False)
    panel = CaptionsPanel(
        nothing=nothing,
        starting=starting,
        form=form,
        start=start,
        question=question,
        runs=runs,
        versions=versions,
        compared=build_comparison(studio),
        actions=bridge(BRIDGE),
        timer=gr.Timer(TICK_S, active=False),
        seen=gr.State(None),
    )
    _wire(panel, studio)
    wire_pages(panel.compared, studio)
    return panel


def start_captions(panel: CaptionsPanel, studio: StudioContext, values: Values) -> Updates:
    """Queue what the form describes; where images would leave the building, ask instead.

    Raises:
        AccountError: the role of the account does not allow it.
        DermaFluxError: the form, the captioner or its server cannot be used.
    """
    permit(studio, Deed.CAPTION)
    task = panel.form.read(values)
    images = _require_images(studio, task)
    place = _place_of(task)
    if place is not None and place.outside and task.server is not None:
        return {panel.question: question_html(place, task.server.base_url, images)}
    return _submit(panel, studio, values, task)


def send_images(
    panel: CaptionsPanel, studio: StudioContext, values: Values, action: PageAction
) -> Updates:
    """Queue it after a person said that the images may go to the server that they were told of.

    Raises:
        AccountError, DermaFluxError: as `start_captions`.
        CaptioningError: without a yes, or where the form names another server meanwhile.
    """
    permit(studio, Deed.CAPTION)
    task = panel.form.read(values, images_may_leave=action.on)
    if task.server is None or task.server.base_url != action.value:
        raise CaptioningError("The server was changed meanwhile: press Start captioning again.")
    _require_images(studio, task)
    return _submit(panel, studio, values, task)


def act(panel: CaptionsPanel, studio: StudioContext, values: Values, action: PageAction) -> Updates:
    """What a button of a job, of a comparison or of the question does.

    Raises ActionError for what the page does not know.
    """
    if action.action == "send":
        return send_images(panel, studio, values, action)
    if action.action == "open_comparison":
        opened = {panel.compared.opened: get_job(studio.database, action.value).id}
        return panel.follow(studio, {**values, **opened, panel.compared.page: 0}) | opened
    if act_on_job(studio, action.action, action.value):
        return panel.follow(studio, values) | {panel.timer: gr.Timer(active=True)}
    raise ActionError(f"Captions does not know {action.action!r}: reload the page.")


def _require_images(studio: StudioContext, task: CaptionTask) -> int:
    images = count_chosen(studio, subset=task.subset, dataset=task.dataset)
    if not images:
        raise CaptioningError("There are no images to caption: import a dataset first.")
    return images


def _place_of(task: CaptionTask) -> Place | None:
    """Where the server is, whether it may be asked or not."""
    if task.server is None:
        return None
    return find_place(task.server.base_url, images_may_leave=True)


def _submit(
    panel: CaptionsPanel, studio: StudioContext, values: Values, task: CaptionTask
) -> Updates:
    check_task(studio.settings, task)
    submit_captions(studio.database, task, signed_in())
    following = {panel.timer: gr.Timer(active=True), panel.question: ""}
    return panel.follow(studio, values) | following


def _wire(panel: CaptionsPanel, studio: StudioContext) -> None:
    inputs, outputs = panel.inputs, panel.outputs

    @guarded
    def start(values: Values) -> Updates:
        return start_captions(panel, studio, values)

    @guarded
    def compare(values: Values) -> Updates:
        drawn = panel.compared.submit(studio, values, signed_in())
        return drawn | {panel.timer: gr.Timer(active=True)}

    @guarded
    def press(values: Values) -> Updates:
        return act(panel, studio, values, read_action(values[panel.actions]))

    @guarded_tick
    def follow(values: Values) -> Updates:
        return panel.follow(studio, values)

    quiet: dict[str, Any] = {"show_progress": "hidden"}
    filled = {*inputs, *panel.form.components}
    panel.start.click(start, filled, outputs, **quiet)
    panel.compared.compare.click(compare, inputs, outputs, **quiet)
    panel.timer.tick(follow, inputs, outputs, concurrency_limit=None, **quiet)
    on_action(panel.actions, press, {*filled, panel.actions}, outputs)
