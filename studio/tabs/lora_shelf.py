"""The LoRA shelf on the page: add by file or by path, see what is known, remove."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.generation.errors import LoraError
from backend.generation.lora.adding import KIND, submit_add
from backend.generation.lora.shelf import LoraView, add_lora, list_loras, remove_lora
from backend.jobs.queue import JobView, list_jobs, queue_position
from backend.jobs.states import OPEN
from backend.permissions import Deed
from backend.store.columns import now
from studio.actions import bridge, read_action
from studio.context import StudioContext
from studio.job_actions import act_on_job
from studio.markup import button, escape, facts_html, html_block, notice_html, one_line
from studio.permissions import permit, signed_in
from studio.tabs.generate_progress import job_card

BRIDGE = "lora-bridge"
TICK_S = 1.0
OPEN_SHOWN = 20
ENDED_SHOWN_FOR = timedelta(minutes=10)
Updates = dict[Component, Any]

EMPTY = one_line("""
<div class="df-empty"><p>No LoRA is on the shelf. Drop a <code>.safetensors</code> file above, or
write the path of a larger one.</p></div>
""")
EMBEDDED = '<span class="df-dim">Comes with the studio.</span>'


@dataclass(frozen=True)
class LoraShelf:
    """The components of the shelf; `timer` runs while a large file is being added."""

    drop: gr.File
    path: gr.Textbox
    add_path: gr.Button
    said: gr.Markdown
    entries: gr.Markdown
    actions: gr.Textbox
    timer: gr.Timer

    @property
    def outputs(self) -> list[Component]:
        """What drawing the shelf may change."""
        return [self.said, self.entries, self.timer]

    def draw(self, studio: StudioContext, notice: str | None = None) -> Updates:
        """What is on the shelf and what is on its way there; a notice takes the place of the last.

        Open work is looked for first: a file that arrives meanwhile is drawn once more.
        """
        busy = self.is_busy(studio)
        views = list_loras(studio.database, studio.settings)
        listed = "".join(_entry(view) for view in views)
        on_its_way = "".join(_job(studio, job) for job in _jobs(studio))
        shelf = f'<ul class="df-library">{listed}</ul>' if views else EMPTY
        told = {} if notice is None else {self.said: notice_html(notice) if notice else ""}
        return told | {
            self.entries: f"{on_its_way}{shelf}",
            self.timer: gr.Timer(active=busy),
        }

    def is_busy(self, studio: StudioContext) -> bool:
        """Whether a large file is being added."""
        return bool(list_jobs(studio.database, states=OPEN, kinds=(KIND,), limit=1))

    def add(self, studio: StudioContext, path: str) -> Updates:
        """Put a dropped file onto the shelf under its own name.

        Raises LoraError with what is wrong with it, AccountError where the person may not.
        """
        permit(studio, Deed.MAKE)
        view = add_lora(studio.database, studio.settings, Path(path))
        return self.draw(studio, f"{view.name} is on the shelf.")

    def add_from_path(self, studio: StudioContext, path: str) -> Updates:
        """Leave a file of this machine, of any size, to the worker.

        Raises LoraError with what its header tells against it, AccountError as `add`.
        """
        permit(studio, Deed.KEEP_MODELS)
        if not path.strip():
            raise LoraError("No file is given: write the path of a LoRA in safetensors.")
        submit_add(studio.database, studio.settings, Path(path.strip()), owner=signed_in())
        return {self.path: ""} | self.draw(studio, "")

    def act(self, studio: StudioContext, text: str) -> Updates:
        """What a button in the list does.

        Raises LoraError where the LoRA is gone already, AccountError where the person may not.
        """
        action = read_action(text)
        if act_on_job(studio, action.action, action.value) or action.action != "remove_lora":
            return self.draw(studio, "")
        permit(studio, Deed.DELETE)
        remove_lora(studio.database, studio.settings, action.value)
        return self.draw(studio, f"{action.value} is removed; images made with it stay.")


def build_lora_shelf() -> LoraShelf:
    """Lay the shelf out, folded away."""
    with gr.Accordion("LoRA shelf", open=False, elem_id="lora-shelf"):
        drop = gr.File(
            label="Add a LoRA: drop its .safetensors",
            file_count="single",
            height=120,
            elem_id="lora-drop",
        )
        path = gr.Textbox(
            label="Or a file on this machine",
            info="The path of a .safetensors of any size; above 64 MB this is the way. It stays "
            "where it is, and a copy goes onto the shelf.",
            elem_id="lora-path",
        )
        add_path = gr.Button("Add LoRA", elem_id="lora-add-path")
        said = html_block("", elem_id="lora-said")
        entries = html_block(EMPTY, elem_id="lora-entries")
    return LoraShelf(
        drop=drop,
        path=path,
        add_path=add_path,
        said=said,
        entries=entries,
        actions=bridge(BRIDGE),
        timer=gr.Timer(TICK_S, active=False),
    )


def _jobs(studio: StudioContext) -> list[JobView]:
    """What is being added, and what ended lately without reaching the shelf."""
    jobs = list_jobs(studio.database, kinds=(KIND,), limit=OPEN_SHOWN)
    since = now() - ENDED_SHOWN_FOR
    return [
        job
        for job in jobs
        if not job.state.ended
        or (job.state.can_retry and job.finished_at is not None and job.finished_at > since)
    ]


def _job(studio: StudioContext, job: JobView) -> str:
    return job_card(job, queue_position(studio.database, job.id), bridge=BRIDGE)


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
    remove = EMBEDDED if view.embedded else _remove(view)
    title = "" if view.title == view.name else f' <span class="df-dim">{escape(view.title)}</span>'
    return (
        f'<li data-lora="{escape(view.name)}"><p><strong>{escape(view.name)}</strong>{title}</p>'
        f'<dl class="df-facts">{listed}</dl><div class="df-row">{remove}</div></li>'
    )


def _remove(view: LoraView) -> str:
    return button(
        "Remove",
        bridge=BRIDGE,
        action="remove_lora",
        value=view.name,
        title=f"Remove: {view.name}",
        confirm=f"Remove the LoRA {view.name} from the shelf? The images made with it stay.",
    )
