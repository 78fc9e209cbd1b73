"""The panels of duplicates and leakage in the studio's own shell: `python -m` starts them."""

import sys
from typing import Any

import gradio as gr

import app
from backend.settings import Settings
from backend.store.database import Database
from studio import layout
from studio.context import StudioContext
from studio.dialogs import dialogs_html
from studio.guard import guarded
from studio.header import title_html
from studio.markup import html_block
from studio.tabs.corpus_duplicates import build_duplicates
from studio.tabs.corpus_leakage import build_leakage
from tests.web.studio_page import INTERACTIVE_WITHIN_MS, StudioPage

PROGRAM = ("-m", "tests.web.duplicates_page")


class DuplicatesPage(StudioPage):
    """A window with the two panels."""

    def open(self) -> None:
        """Load the page and wait until it can be used."""
        self.page.goto(self.address)
        self.page.locator("#find-duplicates").wait_for(timeout=INTERACTIVE_WITHIN_MS)
        self.page.locator('[data-fact="worker"]').wait_for(timeout=INTERACTIVE_WITHIN_MS)


def build_panels(settings: Settings, database: Database) -> gr.Blocks:
    """The page as its parent tab will mount it."""
    studio = StudioContext(settings, database)
    with gr.Blocks(title=layout.TITLE, analytics_enabled=False, fill_width=True) as page:
        title = html_block(title_html(None), elem_id="title")
        facts = html_block(elem_id="runs-here")
        html_block(dialogs_html(), elem_id="dialogs")
        with gr.Tabs(elem_id="tabs"):
            with (
                gr.Tab("Duplicates", id="duplicates") as duplicates_tab,
                gr.Column(elem_classes="df-panel"),
            ):
                duplicates = build_duplicates(studio)
            with (
                gr.Tab("Leakage", id="leakage") as leakage_tab,
                gr.Column(elem_classes="df-panel"),
            ):
                leakage = build_leakage(studio)
        layout._wire_header(page, studio, title, facts, gr.Timer(layout.HEARTBEAT_S), ())
        _mount(page, studio, duplicates_tab, duplicates)
        _mount(page, studio, leakage_tab, leakage)
    return page


def _mount(page: gr.Blocks, studio: StudioContext, tab: gr.Tab, panel: Any) -> None:
    @guarded
    def look(values: Any) -> Any:
        return panel.look(studio, values)

    events = [page.load, tab.select]
    gr.on(events, look, panel.inputs, panel.outputs, show_progress="hidden")


if __name__ == "__main__":
    layout.build_page = build_panels
    sys.exit(app.main())
