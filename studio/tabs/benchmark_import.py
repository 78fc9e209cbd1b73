"""The form that imports a table of predictions: a file, its first rows, and what each column is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.evaluation.errors import EvaluationError
from backend.evaluation.prediction_files import first_rows, guess_mapping, read_header
from backend.evaluation.prediction_tables import TableEntry, keep_table
from studio.context import StudioContext
from studio.markup import html_block
from studio.tabs.benchmark_view import preview_html

PREVIEW_ROWS = 5
NONE = ""
MAPPED = {
    "image_id": "Image",
    "y_true": "Truth",
    "score": "Score",
    "model": "Model",
    "run": "Run",
    "split": "Split",
    "patient": "Patient",
}
REQUIRED = ("image_id", "y_true", "score")
Values = Mapping[Component, Any]
Updates = dict[Component, Any]


@dataclass(frozen=True)
class ImportForm:
    """The components; `columns` are drop-downs by our name of a column."""

    drop: gr.File
    preview: gr.Markdown
    columns: Mapping[str, gr.Dropdown]
    malignant: gr.Textbox
    benign: gr.Textbox
    start: gr.Button

    @property
    def inputs(self) -> set[Component]:
        """What importing reads."""
        return {self.drop, self.malignant, self.benign, *self.columns.values()}

    @property
    def outputs(self) -> list[Component]:
        """What reading a file changes."""
        return [self.preview, *self.columns.values(), self.start]

    def offer(self, values: Values) -> Updates:
        """Show the first rows and guess the columns of the file that was dropped.

        Raises:
            EvaluationError: the file is no table.
        """
        if not values[self.drop]:
            empty = {one: gr.Dropdown(choices=[], value=NONE) for one in self.columns.values()}
            return {self.preview: "", self.start: gr.Button(interactive=False), **empty}
        path = _path(values[self.drop])
        header = read_header(path)
        guessed = guess_mapping(header)
        choices = [("not there", NONE), *((name, name) for name in header)]
        offered = {
            one: gr.Dropdown(choices=choices, value=guessed.get(ours, NONE))
            for ours, one in self.columns.items()
        }
        preview = preview_html(header, first_rows(path, PREVIEW_ROWS))
        return {self.preview: preview, self.start: gr.Button(interactive=True), **offered}

    def keep(self, studio: StudioContext, values: Values) -> TableEntry:
        """Check the file and keep it among the tables of the workspace.

        Raises:
            EvaluationError: no file, a column that is needed is not named, or a cell cannot be.
        """
        if not values[self.drop]:
            raise EvaluationError("Drop a CSV or Parquet file of predictions first.")
        path = _path(values[self.drop])
        mapping = {ours: values[one] for ours, one in self.columns.items() if values[one]}
        missing = [MAPPED[ours].lower() for ours in REQUIRED if ours not in mapping]
        if missing:
            raise EvaluationError(f"Say which column is the {' and which the '.join(missing)}.")
        twice = [one for one in mapping.values() if list(mapping.values()).count(one) > 1]
        if twice:
            raise EvaluationError(f"The column {twice[0]} is chosen twice: choose another.")
        labels = dict.fromkeys(_words(values[self.malignant]), 1)
        labels |= dict.fromkeys(_words(values[self.benign]), 0)
        return keep_table(studio.settings.workspace, path, mapping, labels=labels)


def build_import_form() -> ImportForm:
    """Lay the form out, folded away, and wire what shows the columns of a file."""
    with gr.Accordion("Import predictions", open=False, elem_id="benchmark-import"):
        gr.Markdown(
            "A CSV or Parquet file with one row for each image that a model scored. Other columns "
            "such as lesion, dataset, skin tone, modality, site, age or sex are recognised by "
            "their names.",
            elem_classes="df-note",
            container=False,
        )
        drop = gr.File(
            label="Drop a table of predictions",
            file_count="single",
            height=120,
            elem_id="benchmark-file",
        )
        preview = html_block(elem_id="benchmark-preview")
        with gr.Row():
            columns = {
                ours: gr.Dropdown(
                    [("not there", NONE)], value=NONE, label=f"Column: {words.lower()}",
                    min_width=140,
                    elem_id=f"benchmark-column-{ours.replace('_', '-')}",
                )
                for ours, words in MAPPED.items()
            }  # fmt: skip
        with gr.Row():
            malignant = gr.Textbox(
                label="Words that mean malignant",
                info="Beside 1, malignant and yes; commas between them.",
                elem_id="benchmark-malignant",
                max_lines=1,
            )
            benign = gr.Textbox(
                label="Words that mean benign",
                info="Beside 0, benign and no; commas between them.",
                elem_id="benchmark-benign",
                max_lines=1,
            )
        start = gr.Button("Import", variant="primary", interactive=False, elem_id="benchmark-take")
    return ImportForm(drop, preview, columns, malignant, benign, start)


def _path(value: Any) -> Path:
    return Path(str(value))


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]
