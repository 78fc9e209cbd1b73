"""The import panel: a form that queues a job, and the imports that run or ran."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.corpus.catalogue import count_left_out
from backend.corpus.columns import list_columns
from backend.corpus.importing import KIND, submit_import
from backend.corpus.queries import CorpusFilter, count_corpus
from backend.jobs.queue import JobView, list_jobs, queue_position
from backend.jobs.states import JobState
from backend.permissions import Deed
from studio.context import StudioContext
from studio.guard import guarded
from studio.markup import button, html_block, one_line
from studio.permissions import permit
from studio.tabs.corpus_import_form import ImportForm, build_import_form
from studio.tabs.generate_progress import job_card

BRIDGE = "corpus-import-bridge"
LATEST = 4
NO_IMPORTS = one_line("""
<div class="df-empty"><p>No import yet. Choose a dataset, paste the path of its download and press
<strong>Import</strong>: it goes on when this page is closed.</p></div>
""")
Values = Mapping[Component, Any]
Updates = dict[Component, Any]


@dataclass(frozen=True)
class ImportPanel:
    """The form and the imports under it."""

    form: ImportForm
    start: gr.Button
    imports: gr.Markdown

    def look(self, studio: StudioContext) -> Updates:
        """The latest imports as the job table has them now."""
        jobs = list_jobs(studio.database, kinds=(KIND,), limit=LATEST)
        cards = "".join(_card(studio, job) for job in jobs)
        shown = f'<section class="df-runs" aria-label="Imports">{cards}</section>'
        return {self.imports: shown if cards else NO_IMPORTS}


def build_import_panel(studio: StudioContext, timer: gr.Timer) -> ImportPanel:
    """Lay the panel out and wire it; `timer` watches its jobs."""
    with gr.Column(elem_classes="df-panel"):
        gr.Markdown("## Import a dataset", elem_classes="df-heading", container=False)
        form = build_import_form()
        start = gr.Button("Import", variant="primary", elem_id="import-start")
    with gr.Column(elem_classes="df-panel"):
        gr.Markdown("## Imports", elem_classes="df-heading", container=False)
        imports = html_block(NO_IMPORTS, elem_id="imports")
    panel = ImportPanel(form, start, imports)
    _wire(panel, studio, timer)
    return panel


def _wire(panel: ImportPanel, studio: StudioContext, timer: gr.Timer) -> None:
    form, quiet = panel.form, {"show_progress": "hidden"}

    @guarded
    def show_source(key: str) -> Updates:
        return form.show_source(key)

    @guarded
    def read_columns(values: Values) -> Updates:
        permit(studio, Deed.IMPORT)
        headers = list_columns(form.read_root(values)).values()
        return form.offer_columns(list(dict.fromkeys(name for one in headers for name in one)))

    @guarded
    def start(values: Values, request: gr.Request) -> Updates:
        permit(studio, Deed.IMPORT)
        submit_import(studio.database, form.read(values), owner=request.username)
        return panel.look(studio) | {timer: gr.Timer(active=True)}

    form.source.input(show_source, form.source, form.of_source, **quiet)
    form.read_columns.click(
        read_columns, form.components, [*form.columns.values()], show_progress="minimal"
    )
    panel.start.click(start, form.components, [panel.imports, timer], **quiet)


def _card(studio: StudioContext, job: JobView) -> str:
    name = str(job.payload.get("name", ""))
    done = job.state is JobState.DONE
    body = _outcome(studio, name) if done else ""
    return job_card(job, queue_position(studio.database, job.id), body, bridge=BRIDGE)


def _outcome(studio: StudioContext, name: str) -> str:
    """What of the dataset is in the catalogue now, and the way to what is not."""
    images = count_corpus(studio.database, CorpusFilter(dataset=name))
    left_out = sum(count_left_out(studio.database, name).values())
    noun = "image is" if images == 1 else "images are"
    said = f"<p>{images:,} {noun} in the catalogue; {left_out:,} rows and files were left out.</p>"
    report = button(
        "Show what was left out",
        bridge=BRIDGE,
        action="report",
        value=name,
        title=f"Show what was left out of {name}",
    )
    browse = button(
        "Browse", bridge=BRIDGE, action="browse", value=name, title=f"Browse the images of {name}"
    )
    return f'{said}<div class="df-row">{browse}{report if left_out else ""}</div>'
