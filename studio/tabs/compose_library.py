"""The caption library: search, keep, use again, star, delete with undo."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.abc.grammar import CaptionStyle
from backend.permissions import Deed
from backend.store.captions import (
    CaptionFilter,
    CaptionView,
    count_captions,
    delete_caption,
    restore_caption,
    save_caption,
    search_captions,
    star_caption,
)
from studio.actions import bridge, read_action
from studio.context import StudioContext
from studio.guard import guarded
from studio.markup import button, escape, html_block, one_line
from studio.permissions import permit
from studio.tabs.compose_caption import Draft

BRIDGE = "library-bridge"
SHOWN = 20
Values = Mapping[Component, Any]
Updates = dict[Component, Any]

EMPTY = one_line("""
<div class="df-empty"><p>No caption is kept yet. Press <strong>Keep this caption</strong> to use it
again on another day.</p></div>
""")
NO_MATCH = '<div class="df-empty"><p>No kept caption matches: try fewer words.</p></div>'


@dataclass(frozen=True)
class Library:
    """The components of the library."""

    search: gr.Textbox
    starred: gr.Checkbox
    keep: gr.Button
    entries: gr.Markdown
    actions: gr.Textbox

    @property
    def inputs(self) -> set[Component]:
        """What a step in the library depends on."""
        return {self.search, self.starred, self.actions}

    @property
    def outputs(self) -> list[Component]:
        """What a step in the library may change."""
        return [self.entries]

    def draw(self, studio: StudioContext, values: Values, *, notice: str = "") -> Updates:
        """The kept captions that match, under a notice."""
        wanted = self._filter(values)
        found = search_captions(studio.database, wanted, limit=SHOWN)
        total = count_captions(studio.database, wanted)
        nothing = EMPTY if wanted == CaptionFilter() else NO_MATCH
        return {self.entries: notice + (_list(found, total) if found else nothing)}

    def save(self, studio: StudioContext, draft: Draft, values: Values) -> Updates:
        """Keep the caption in hand.

        Raises CaptionError for an empty one.
        """
        save_caption(studio.database, draft.caption, draft.stated(), style=draft.style)
        return self.draw(studio, values, notice=_notice("Kept in the library."))

    def act(self, studio: StudioContext, values: Values, seed: int) -> tuple[Updates, Draft | None]:
        """What a button in the list does; the draft is what it wants to be used."""
        action = read_action(values[self.actions])
        draft, notice = None, ""
        if action.action == "use":
            draft = self._used(studio, values, action.value, seed)
        elif action.action == "star":
            star_caption(studio.database, action.value, action.on)
        elif action.action == "delete":
            permit(studio, Deed.DELETE)
            delete_caption(studio.database, action.value)
            undo = button("Undo", bridge=BRIDGE, action="restore", value=action.value)
            notice = _notice(f"1 caption deleted. {undo}")
        elif action.action == "restore":
            restore_caption(studio.database, action.value)
        return self.draw(studio, values, notice=notice), draft

    def _used(
        self, studio: StudioContext, values: Values, caption_id: str, seed: int
    ) -> Draft | None:
        found = search_captions(studio.database, self._filter(values), limit=SHOWN)
        view = next((view for view in found if view.id == caption_id), None)
        if view is None:
            return None
        save_caption(studio.database, view.text, view.attributes, style=view.style)
        style = CaptionStyle(view.style) if view.style in list(CaptionStyle) else None
        return Draft(caption=view.text, attributes=view.attributes, style=style, seed=seed)

    def _filter(self, values: Values) -> CaptionFilter:
        return CaptionFilter(
            text=values[self.search] or "", starred=True if values[self.starred] else None
        )


def build_library(studio: StudioContext) -> Library:
    """Lay the library out and wire its search."""
    gr.Markdown("## Kept captions", container=False, elem_classes="df-heading")
    keep = gr.Button("Keep this caption", size="md", elem_id="keep-caption")
    with gr.Row(elem_classes="df-search"):
        search = gr.Textbox(
            label="Search kept captions", max_lines=1, scale=4, elem_id="library-search"
        )
        starred = gr.Checkbox(label="Starred only", scale=1, min_width=140, elem_id="library-star")
    library = Library(
        search=search,
        starred=starred,
        keep=keep,
        entries=html_block(EMPTY, elem_id="library"),
        actions=bridge(BRIDGE),
    )

    @guarded
    def find(values: Values) -> Updates:
        return library.draw(studio, values)

    gr.on(
        [search.change, starred.input],
        find,
        library.inputs,
        library.outputs,
        show_progress="hidden",
        trigger_mode="always_last",
    )
    return library


def _list(found: list[CaptionView], total: int) -> str:
    more = total - len(found)
    rest = f'<p class="df-dim">and {more:,} more: search to see them</p>' if more else ""
    return f'<ul class="df-library">{"".join(map(_entry, found))}</ul>{rest}'


def _entry(view: CaptionView) -> str:
    start = f"{view.text[:40]}…"
    parts = [
        button("Use", bridge=BRIDGE, action="use", value=view.id, title=f"Use: {start}"),
        button(
            "★" if view.starred else "☆",
            bridge=BRIDGE,
            action="star",
            value=view.id,
            kind="df-star",
            title=f"Star: {start}",
            pressed=view.starred,
        ),
        button("Delete", bridge=BRIDGE, action="delete", value=view.id, title=f"Delete: {start}"),
    ]
    return (
        f'<li><p>{escape(view.text)}</p><div class="df-row">{"".join(parts)}'
        f'<span class="df-dim">used {view.uses}×</span></div></li>'
    )


def _notice(text: str) -> str:
    return f'<p class="df-undo" role="status">{text}</p>'
