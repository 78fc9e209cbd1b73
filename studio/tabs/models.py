"""The Models tab: what is here, what can be had; add, check, download and remove."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.generation.download.running import KIND, list_offers, submit_download
from backend.generation.download.token import keep_token
from backend.generation.errors import ModelError
from backend.generation.model_folders import CHECK, add_model, remove_model, submit_check
from backend.generation.models import list_models
from backend.generation.single_file.running import KIND as CONVERT
from backend.generation.single_file.running import conversion_task, submit_conversion
from backend.jobs.queue import list_jobs
from backend.permissions import Deed
from studio.actions import PageAction, bridge, on_action, read_action
from studio.context import StudioContext
from studio.guard import guarded, guarded_tick
from studio.job_actions import act_on_job
from studio.markup import html_block, notice_html
from studio.permissions import permit, signed_in
from studio.tabs.models_view import BRIDGE, models_html

TICK_S = 1.0
JOBS_LOOKED_AT = 100
Values = Mapping[Component, Any]
Updates = dict[Component, Any]


@dataclass(frozen=True)
class ModelsTab:
    """The components of the tab; `timer` runs while a download or a check is open."""

    models: gr.Markdown
    folder: gr.Textbox
    base: gr.Dropdown
    name: gr.Textbox
    add: gr.Button
    token: gr.Textbox
    keep: gr.Button
    actions: gr.Textbox
    timer: gr.Timer

    @property
    def outputs(self) -> list[Component]:
        """What drawing the tab may change."""
        return [self.models, self.base, self.timer]

    def draw(self, studio: StudioContext, notice: str = "") -> Updates:
        """What there is now, under a notice."""
        newest: dict[str, Any] = {}
        kinds = (KIND, CHECK, CONVERT)
        for job in list_jobs(studio.database, kinds=kinds, limit=JOBS_LOOKED_AT):
            newest.setdefault(str(job.payload.get("name")), job)
        offers = list_offers(studio.database, studio.settings)
        drawn = models_html(list_models(studio.settings), offers, newest)
        busy = any(not job.state.ended for job in newest.values())
        return {
            self.models: (notice_html(notice) if notice else "") + drawn,
            self.base: gr.Dropdown(choices=_bases(studio)),
            self.timer: gr.Timer(active=busy),
        }


def build_models(studio: StudioContext) -> ModelsTab:
    """Lay the tab out and wire it."""
    with gr.Column(elem_classes="df-panel"):
        gr.Markdown("## Models", elem_classes="df-heading", container=False)
        models = html_block(elem_id="models")
    with gr.Column(elem_classes="df-panel"):
        gr.Markdown("## Add a model", elem_classes="df-heading", container=False)
        folder = gr.Textbox(
            label="Folder or file on this machine",
            info=(
                "A folder in diffusers layout, which holds model_index.json and stays where it "
                "is; or a single safetensors file, of which a folder is made."
            ),
            elem_id="model-folder",
        )
        base = gr.Dropdown(
            _bases(studio),
            value="",
            label="A single file was made from",
            info="The model whose tokenizer and settings it needs.",
            elem_id="model-base",
        )
        name = gr.Textbox(
            label="Name", info="Empty: the name of the folder or file.", elem_id="model-name"
        )
        add = gr.Button("Add model", elem_id="model-add")
    with gr.Accordion("Token for gated models", open=False, elem_id="model-token-part"):
        token = gr.Textbox(
            label="Token",
            type="password",
            info=(
                "A hub gives some models only to accounts that accepted their licence. Paste a "
                "token with read access once; it is kept in a file only this machine's owner "
                "can read."
            ),
            elem_id="model-token",
            html_attributes=gr.InputHTMLAttributes(autocomplete="off"),
        )
        keep = gr.Button("Keep token", elem_id="model-token-keep")
    tab = ModelsTab(
        models=models,
        folder=folder,
        base=base,
        name=name,
        add=add,
        token=token,
        keep=keep,
        actions=bridge(BRIDGE),
        timer=gr.Timer(TICK_S, active=False),
    )
    _wire(tab, studio)
    return tab


def _wire(tab: ModelsTab, studio: StudioContext) -> None:
    @guarded
    def add(folder: str, base: str, name: str) -> Updates:
        permit(studio, Deed.KEEP_MODELS)
        if not folder.strip():
            raise ModelError("No path is given: write that of a model's folder or file.")
        said = _add(studio, Path(folder.strip()), base, name.strip() or None)
        return tab.draw(studio, said) | {tab.folder: "", tab.name: ""}

    def keep_then_empty(token: str) -> Updates:
        """The field is emptied whatever was in it."""
        return {tab.token: ""} | keep(token)

    @guarded
    def keep(token: str) -> Updates:
        permit(studio, Deed.KEEP_MODELS)
        keep_token(studio.settings, token)
        return tab.draw(studio, "The token is kept. Press Download again.")

    @guarded
    def act(text: str) -> Updates:
        action = read_action(text)
        return tab.draw(studio, _ACTIONS.get(action.action, _nothing)(studio, action))

    @guarded_tick
    def look() -> Updates:
        return tab.draw(studio)

    quiet: dict[str, Any] = {"show_progress": "hidden"}
    fields = [tab.folder, tab.base, tab.name]
    tab.add.click(add, fields, [*tab.outputs, tab.folder, tab.name], **quiet)
    tab.keep.click(keep_then_empty, tab.token, [*tab.outputs, tab.token], **quiet)
    on_action(tab.actions, act, tab.actions, tab.outputs)
    tab.timer.tick(look, None, tab.outputs, concurrency_limit=None, **quiet)


def _add(studio: StudioContext, path: Path, base: str, name: str | None) -> str:
    if path.expanduser().is_dir():
        entry = add_model(studio.settings, path, name)
        return f"{entry.title} is in the list, as {entry.name}."
    task = conversion_task(path, base, name)
    submit_conversion(studio.database, studio.settings, task, signed_in())
    return f"{task.name} is being made of the file. It goes on when this page is closed."


def _bases(studio: StudioContext) -> list[tuple[str, str]]:
    usable = [entry for entry in list_models(studio.settings) if entry.problem is None]
    return [("It is a folder", ""), *((entry.title, entry.name) for entry in usable)]


def _download(studio: StudioContext, action: PageAction) -> str:
    """The button has asked; `on` says that the answer was yes."""
    permit(studio, Deed.KEEP_MODELS)
    submit_download(
        studio.database, studio.settings, action.value, confirmed=action.on, owner=signed_in()
    )
    return f"{action.value} is being downloaded. It goes on when this page is closed."


def _check(studio: StudioContext, action: PageAction) -> str:
    permit(studio, Deed.MAKE)
    submit_check(studio.database, studio.settings, action.value, owner=signed_in())
    return f"Every file of {action.value} is being read."


def _remove(studio: StudioContext, action: PageAction) -> str:
    permit(studio, Deed.KEEP_MODELS)
    return remove_model(studio.settings, action.value)


def _cancel(studio: StudioContext, action: PageAction) -> str:
    act_on_job(studio, action.action, action.value)
    return "It stops at the next step; what has come is kept."


def _retry(studio: StudioContext, action: PageAction) -> str:
    act_on_job(studio, action.action, action.value)
    return "It goes on where it was."


def _nothing(_studio: StudioContext, _action: PageAction) -> str:
    return ""


_ACTIONS: Mapping[str, Callable[[StudioContext, PageAction], str]] = {
    "download": _download,
    "check": _check,
    "remove": _remove,
    "cancel": _cancel,
    "retry": _retry,
}
