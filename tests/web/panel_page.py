"""One panel in the real shell: the studio's server, theme, scripts and dialogs around it alone."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import gradio as gr
import pytest
import uvicorn
from gradio.components import Component

from backend.settings import Settings
from backend.store.database import Database
from studio.context import StudioContext
from studio.dialogs import dialogs_html
from studio.guard import guarded
from studio.header import title_html
from studio.markup import html_block
from studio.server import create_app

STARTS_WITHIN_S = 60


class Panel(Protocol):
    """What a tab needs to mount a panel and to draw it when it is opened."""

    @property
    def inputs(self) -> set[Component]:
        """What drawing it depends on."""

    @property
    def outputs(self) -> list[Component]:
        """What drawing it may change."""

    def look(self, studio: StudioContext, values: Any) -> dict[Component, Any]:
        """The panel as the database has it now."""


@contextmanager
def panel_page(
    settings: Settings, database: Database, build: Callable[[StudioContext], Panel]
) -> Iterator[str]:
    """The address of a page that holds the panel in a tab."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("studio.layout.build_page", lambda *_: _page(settings, database, build))
        app = create_app(settings, database)
    server = uvicorn.Server(uvicorn.Config(app, port=settings.port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + STARTS_WITHIN_S
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{settings.port}/"
    finally:
        server.should_exit = True
        thread.join()


def _page(
    settings: Settings, database: Database, build: Callable[[StudioContext], Panel]
) -> gr.Blocks:
    studio = StudioContext(settings, database)
    with gr.Blocks(title="Panel", analytics_enabled=False, fill_width=True) as page:
        html_block(title_html(None), elem_id="title")
        html_block(dialogs_html(), elem_id="dialogs")
        with gr.Tabs(elem_id="tabs"), gr.Tab("Panel"), gr.Column(elem_classes="df-panel"):
            panel = build(studio)

        @guarded
        def look(values: Any) -> dict[Component, Any]:
            return panel.look(studio, values)

        page.load(look, panel.inputs, panel.outputs, show_progress="hidden")
    return page
