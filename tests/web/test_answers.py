"""No answer of the server is lost, whatever moment of their stream an action falls into."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio.components import Component
from playwright.sync_api import Browser, Page, expect

from backend.settings import Settings, prepare_workspace
from backend.store.database import open_database
from studio.actions import bridge, on_action, read_action
from studio.context import StudioContext
from studio.guard import guarded
from studio.markup import html_block
from tests.web.panel_page import panel_page
from tests.web.studio_page import INTERACTIVE_WITHIN_MS, StudioPage, free_port

ANSWERED_WITHIN_MS = 20_000
BRIDGE = "notes-actions"
BUTTONS = "".join(
    f'<button data-bridge="{BRIDGE}" data-action="note" data-value="{name}">{name}</button>'
    for name in ("one", "two", "three")
)

# A browser that is slow: what says that the stream of answers has ended is read late, and what was
# sent meanwhile is answered before.
READS_THE_END_LATE = """
const send = window.fetch;
window.ends = 0;
window.reads = 0;
window.fetch = async (input, init) => {
    const response = await send(input, init);
    if (!(input.url ?? String(input)).includes("/queue/data") || !response.body) return response;
    const late = new TransformStream({
        async transform(chunk, controller) {
            const ends = new TextDecoder().decode(chunk).includes("close_stream");
            window.ends += ends;
            if (ends) await new Promise(resolve => setTimeout(resolve, 1500));
            controller.enqueue(chunk);
            window.reads += ends;
        },
    });
    return new Response(response.body.pipeThrough(late), response);
};
"""


@dataclass(frozen=True)
class Notes:
    """A panel that notes every press after those before it."""

    actions: gr.Textbox
    noted: gr.State
    shown: gr.Markdown

    @property
    def inputs(self) -> set[Component]:
        """What drawing it depends on."""
        return {self.noted}

    @property
    def outputs(self) -> list[Component]:
        """What drawing it may change."""
        return [self.shown, self.noted]

    def look(self, _studio: StudioContext, values: Any) -> dict[Component, Any]:
        """What is noted."""
        return {self.shown: f"noted: {' '.join(values[self.noted])};"}


def build_notes(studio: StudioContext) -> Notes:
    html_block(BUTTONS, elem_id="notes")
    notes = Notes(bridge(BRIDGE), gr.State([]), html_block(elem_id="noted"))

    @guarded
    def act(values: Any) -> dict[Component, Any]:
        noted = [*values[notes.noted], read_action(values[notes.actions]).value]
        return notes.look(studio, {notes.noted: noted}) | {notes.noted: noted}

    on_action(notes.actions, act, {notes.actions, notes.noted}, notes.outputs)
    return notes


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    settings = Settings(workspace=tmp_path / "workspace", port=free_port())
    prepare_workspace(settings)
    database = open_database(settings)
    with panel_page(settings, database, build_notes) as served:
        yield served
    database.close()


@pytest.fixture
def opened(chromium: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Opens the panel with a script in the page before all others."""
    context = chromium.new_context()
    context.add_init_script("localStorage.setItem('dermaflux.walkthrough', '1')")
    window = StudioPage(context.new_page(), address)

    def open_with(script: str = "") -> Page:
        window.page.add_init_script(script)
        window.page.goto(address)
        expect(window.page.locator("#noted")).to_contain_text(
            "noted:", timeout=INTERACTIVE_WITHIN_MS
        )
        return window.page

    yield open_with
    context.close()
    window.expect_clean()


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).click()


def until(page: Page, holds: str) -> None:
    """Wait until something holds inside the page, whose policy forbids what Playwright would do."""
    deadline = time.monotonic() + ANSWERED_WITHIN_MS / 1000
    while not page.evaluate(holds):
        assert time.monotonic() < deadline, holds
        page.wait_for_timeout(20)


def test_what_is_sent_while_the_stream_of_answers_ends_is_answered(
    opened: Callable[..., Page],
) -> None:
    page = opened(READS_THE_END_LATE)
    until(page, "() => window.reads === 1")
    press(page, "one")
    until(page, "() => window.ends > window.reads")
    press(page, "two")
    expect(page.locator("#noted")).to_contain_text("noted: one two;", timeout=ANSWERED_WITHIN_MS)
    press(page, "three")
    expect(page.locator("#noted")).to_contain_text("one two three;", timeout=ANSWERED_WITHIN_MS)


def test_every_press_acts_on_what_the_one_before_left(opened: Callable[..., Page]) -> None:
    page = opened()
    press(page, "one")
    press(page, "two")
    press(page, "three")
    press(page, "one")
    expect(page.locator("#noted")).to_contain_text("one two three one;", timeout=ANSWERED_WITHIN_MS)
