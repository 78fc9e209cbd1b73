"""The LoRA shelf on the page: add by file, see what is known, rename, remove."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.generation.lora.shelf import LoraView, add_lora, list_loras, remove_lora
from studio.actions import bridge, read_action
from studio.context import StudioContext
from studio.markup import button, escape, facts_html, html_block, one_line

BRIDGE = "lora-bridge"
Updates = dict[Component, Any]

EMPTY = one_line("""
<div class="df-empty"><p>No LoRA is on the shelf. Drop a <code>.safetensors</code> file above, or
add a larger one with <code>python -m backend lora add FILE</code>.</p></div>
""")


@dataclass(frozen=True)
class LoraShelf:
    """The components of the shelf."""

    drop: gr.File
    entries: gr.Markdown
    actions: gr.Textbox

    def draw(self, studio: StudioContext, notice: str = "") -> Updates:
        """What is on the shelf, under a notice."""
        views = list_loras(studio.database, studio.settings)
        listed = "".join(_entry(view) for view in views)
        return {
            self.entries: notice + (f'<ul class="df-library">{listed}</ul>' if views else EMPTY)
        }

    def add(self, studio: StudioContext, path: str) -> Updates:
        """Put a dropped file onto the shelf under its own name.

        Raises LoraError with what is wrong with it.
        """
        view = add_lora(studio.database, studio.settings, Path(path))
        return self.draw(studio, _notice(f"{view.name} is on the shelf."))

    def act(self, studio: StudioContext, text: str) -> Updates:
        """What a button in the list does.

        Raises LoraError where the LoRA is gone already.
        """
        action = read_action(text)
        if action.action != "remove":
            return self.draw(studio)
        remove_lora(studio.database, studio.settings, action.value)
        return self.draw(studio, _notice(f"{action.value} is removed; images made with it stay."))


def build_lora_shelf() -> LoraShelf:
    """Lay the shelf out, folded away."""
    with gr.Accordion("LoRA shelf", open=False, elem_id="lora-shelf"):
        drop = gr.File(
            label="Add a LoRA: drop its .safetensors",
            file_count="single",
            height=120,
            elem_id="lora-drop",
        )
        entries = html_block(EMPTY, elem_id="lora-entries")
    return LoraShelf(drop=drop, entries=entries, actions=bridge(BRIDGE))


def _entry(view: LoraView) -> str:
    facts = {
        "For": view.family.full_name,
        "Layout": view.layout.value,
        "Rank": ", ".join(str(rank) for rank in view.ranks),
        "Changes": view.targets,
        "Parameters": f"{view.parameters:,}",
        "Size": f"{view.bytes / 1e6:,.1f} MB",
        "Base model": view.base or "not stated",
        "T5 length": f"{view.t5_length} tokens" if view.t5_length else "not stated",
        "Hash": view.hash[:10],
    }
    listed = facts_html(facts)
    remove = button(
        "Remove",
        bridge=BRIDGE,
        action="remove",
        value=view.name,
        title=f"Remove: {view.name}",
        confirm=f"Remove the LoRA {view.name} from the shelf? The images made with it stay.",
    )
    title = "" if view.title == view.name else f' <span class="df-dim">{escape(view.title)}</span>'
    return (
        f'<li data-lora="{escape(view.name)}"><p><strong>{escape(view.name)}</strong>{title}</p>'
        f'<dl class="df-facts">{listed}</dl><div class="df-row">{remove}</div></li>'
    )


def _notice(text: str) -> str:
    return f'<p class="df-undo" role="status">{escape(text)}</p>'
