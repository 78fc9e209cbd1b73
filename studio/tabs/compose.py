"""The Compose tab: what the lesion should look like on the left, the caption on the right."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.abc.attributes import Diagnosis
from backend.abc.grammar import CaptionStyle
from backend.errors import DermaFluxError
from studio.actions import on_action
from studio.context import StudioContext
from studio.guard import guarded
from studio.markup import html_block
from studio.tabs.compose_caption import Draft, first_draft, new_seed
from studio.tabs.compose_controls import Controls, build_controls
from studio.tabs.compose_library import Library, build_library
from studio.tabs.compose_view import notice_html, reading_html, score_html
from studio.wording import NAMES

HISTORY_LENGTH = 30
DRAFT_KEY = "dermaflux.draft"
Values = Mapping[Component, Any]
Updates = dict[Component, Any]


@dataclass(frozen=True)
class ComposeTab:
    """The components of the tab.

    `draft` is the caption in hand, `history` what Undo returns to, `kept` the draft that the
    browser remembers over a reload.
    """

    controls: Controls
    style: gr.Radio
    caption: gr.Textbox
    notice: gr.Markdown
    reading: gr.Markdown
    score: gr.Markdown
    reword: gr.Button
    undo: gr.Button
    use: gr.Button
    library: Library
    draft: gr.State
    history: gr.State
    kept: gr.BrowserState

    @property
    def inputs(self) -> set[Component]:
        """What a step in this tab depends on."""
        return {*self.controls.components, self.style, self.caption, self.draft, self.history}

    @property
    def outputs(self) -> list[Component]:
        """What a step in this tab may change."""
        shown = [self.caption, self.style, self.notice, self.reading, self.score, self.undo]
        return [*self.controls.components, *shown, self.draft, self.history, self.kept]

    def in_hand(self, values: Values) -> Draft:
        """The caption as it stands in the box, also where its last edit is not yet handled."""
        draft = Draft.model_validate(values[self.draft])
        if values[self.caption] == draft.caption:
            return draft
        return Draft.edited(values[self.caption], draft.seed)

    def origin(self, values: Values) -> dict[str, object]:
        """The caption with where it came from; raises CaptionError where it cannot be used."""
        return self.in_hand(values).origin()

    def show(self, studio: StudioContext, draft: Draft, history: list[Any]) -> Updates:
        """The controls, the caption and what is known of it."""
        kept = draft.model_dump(mode="json")
        style = {self.style: str(draft.style)} if draft.style else {}
        return (
            self.controls.show(draft.attributes)
            | style
            | {
                self.caption: draft.caption,
                self.notice: "",
                self.reading: reading_html(studio.settings, draft.caption),
                self.score: score_html(draft.attributes),
                self.undo: gr.Button(interactive=bool(history)),
                self.draft: kept,
                self.history: history,
                self.kept: kept,
            }
        )

    def remember(self, studio: StudioContext, values: Values) -> Any:
        """What the browser kept from before the page was reloaded, and the library."""
        draft = Draft.restore(values[self.kept])
        shown = {} if draft is None else self.show(studio, draft, [])
        return shown | self.library.draw(studio, values)

    def step(self, studio: StudioContext, values: Values, draft: Draft) -> Updates:
        """Go on to another draft; the one before can be had back with Undo."""
        before = values[self.draft] | {"caption": values[self.caption]}
        history = [*values[self.history], before][-HISTORY_LENGTH:]
        return self.show(studio, draft, history)


def build_compose(studio: StudioContext) -> ComposeTab:
    """Lay the tab out and wire it."""
    first = first_draft()
    with gr.Row(elem_classes="df-columns"):
        with gr.Column(scale=1, min_width=320, elem_classes="df-controls"):
            controls = build_controls(first.attributes)
        with gr.Column(scale=1, min_width=320):
            with gr.Column(elem_classes="df-panel df-caption-panel"):
                tab_parts = _caption_panel(studio, first)
            with gr.Column(elem_classes="df-panel"):
                library = build_library(studio)
    tab = ComposeTab(
        controls=controls,
        library=library,
        draft=gr.State(first.model_dump(mode="json")),
        history=gr.State([]),
        kept=gr.BrowserState(None, storage_key=DRAFT_KEY, secret=DRAFT_KEY),
        **tab_parts,
    )
    _wire_choices(tab, studio)
    _wire_caption(tab, studio)
    _wire_library(tab, studio)
    return tab


def _caption_panel(studio: StudioContext, first: Draft) -> dict[str, Any]:
    gr.Markdown("## Caption", container=False, elem_classes="df-heading")
    style = gr.Radio(
        [(NAMES[style], str(style)) for style in CaptionStyle],
        value=str(first.style),
        label="Wording",
        elem_id="caption-style",
        elem_classes="df-segmented",
    )
    caption = gr.Textbox(
        first.caption,
        label="Caption",
        info="Edit it freely: the controls follow what it says.",
        lines=6,
        max_lines=14,
        elem_id="caption",
        html_attributes=gr.InputHTMLAttributes(spellcheck=True),
    )
    notice = html_block(elem_id="compose-notice")
    with gr.Row(elem_classes="df-actions"):
        use = gr.Button("Continue to Generate", variant="primary", elem_id="compose-generate")
        reword = gr.Button("⚄ Another wording", elem_id="reword")
        undo = gr.Button("Undo", interactive=False, elem_id="undo-caption")
    reading = html_block(reading_html(studio.settings, first.caption), elem_id="reading")
    with gr.Accordion("Partial ABCD score, to learn from", open=False, elem_id="score-panel"):
        score = html_block(score_html(first.attributes), elem_id="score")
    return {
        "style": style,
        "caption": caption,
        "notice": notice,
        "use": use,
        "reword": reword,
        "undo": undo,
        "reading": reading,
        "score": score,
    }


def _wire_choices(tab: ComposeTab, studio: StudioContext) -> None:
    controls = tab.controls

    def compose(values: Values, seed: int | None = None) -> Updates:
        """What cannot be worded is said beside the caption, which then stays as it was."""
        try:
            attributes = controls.read(values)
            seed = values[tab.draft]["seed"] if seed is None else seed
            draft = Draft.write(attributes, CaptionStyle(values[tab.style]), seed)
        except DermaFluxError as error:
            return {tab.notice: notice_html(str(error))}
        return tab.step(studio, values, draft)

    @guarded
    def choose(values: Values) -> Updates:
        return compose(values)

    @guarded
    def choose_colours(values: Values) -> Updates:
        """A colour that was taken back no longer dominates."""
        if values[controls.dominant] in values[controls.colours]:
            return compose(values)
        return compose({**values, controls.dominant: ""})

    @guarded
    def choose_diagnosis(values: Values) -> Updates:
        """The label follows the lesion type."""
        name = values[controls.diagnosis]
        label = {controls.label: str(Diagnosis(name).label)} if name else {}
        return compose({**values, **label})

    @guarded
    def reword(values: Values) -> Updates:
        return compose(values, seed=new_seed())

    quiet: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "always_last"}
    own = (controls.diagnosis, controls.colours)
    chosen = [part for part in controls.components if all(part is not other for other in own)]
    gr.on(
        [*(part.input for part in chosen), tab.style.input],
        choose,
        tab.inputs,
        tab.outputs,
        **quiet,
    )
    controls.colours.input(choose_colours, tab.inputs, tab.outputs, **quiet)
    controls.diagnosis.input(choose_diagnosis, tab.inputs, tab.outputs, **quiet)
    tab.reword.click(reword, tab.inputs, tab.outputs, **quiet)


def _wire_caption(tab: ComposeTab, studio: StudioContext) -> None:
    @guarded
    def edit(values: Values) -> Any:
        """The box itself is left alone: somebody is typing in it."""
        if values[tab.caption] == values[tab.draft]["caption"]:
            return gr.skip()
        try:
            draft = tab.in_hand(values)
        except DermaFluxError as error:
            return {tab.notice: notice_html(str(error)), tab.reading: ""}
        shown = tab.show(studio, draft, values[tab.history])
        shown.pop(tab.caption)
        return shown | {tab.style: _fitting_style(draft, values[tab.style])}

    @guarded
    def undo(values: Values) -> Any:
        if not values[tab.history]:
            return gr.skip()
        *history, last = values[tab.history]
        return tab.show(studio, Draft.model_validate(last), history)

    quiet: dict[str, Any] = {"show_progress": "hidden"}
    tab.caption.change(edit, tab.inputs, tab.outputs, trigger_mode="always_last", **quiet)
    tab.undo.click(undo, tab.inputs, tab.outputs, **quiet)


def _fitting_style(draft: Draft, chosen: str) -> str:
    """A style that can say what was typed: without a label only the plain one can."""
    if draft.attributes.label is None:
        return str(CaptionStyle.PLAIN)
    return str(CaptionStyle.AUTHORS) if chosen == CaptionStyle.PLAIN else chosen


def _wire_library(tab: ComposeTab, studio: StudioContext) -> None:
    library = tab.library

    @guarded
    def save(values: Values) -> Updates:
        return library.save(studio, tab.in_hand(values), values)

    @guarded
    def act(values: Values) -> Updates:
        updates, draft = library.act(studio, values, values[tab.draft]["seed"])
        return updates if draft is None else updates | tab.step(studio, values, draft)

    quiet: dict[str, Any] = {"show_progress": "hidden"}
    inputs = {*tab.inputs, *library.inputs}
    library.keep.click(save, inputs, library.outputs, **quiet)
    on_action(library.actions, act, inputs, [*tab.outputs, *library.outputs])
