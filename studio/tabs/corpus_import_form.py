"""The form of an import as one typed value: dataset, place, scale, columns."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.corpus.errors import CorpusError
from backend.corpus.importing import ImportTask, plan_task
from backend.corpus.places import require_root
from backend.corpus.recipe import MAX_SIDE, Encoding, Fit, Minimum
from backend.corpus.record import Field
from backend.corpus.sources import SOURCES, find_source
from backend.corpus.sources.others import HAM10000
from studio.markup import html_block
from studio.tabs.corpus_source import source_choices, source_html

Values = Mapping[Component, Any]
Updates = dict[Component, Any]
FITS = [
    ("Crop: shorter side to scale, then the centre", Fit.CROP.value),
    ("Squash", Fit.SQUASH.value),
    ("Pad: longer side to scale, black around it", Fit.PAD.value),
]
MINIMA = [
    ("px, shorter side", Minimum.SHORTER_SIDE.value),
    ("px, longer side", Minimum.LONGER_SIDE.value),
    ("bytes of the file", Minimum.FILE_SIZE.value),
]
COLUMN_WORDS: Mapping[Field, str] = {
    Field.IMAGE: "Image file or id",
    Field.DIAGNOSIS: "Diagnosis",
    Field.TARGET: "Benign or malignant",
    Field.PATIENT: "Patient",
    Field.LESION: "Lesion",
    Field.AGE: "Age",
    Field.SEX: "Sex",
    Field.SITE: "Site",
    Field.SKIN_TONE: "Skin tone",
    Field.MODALITY: "Modality",
    Field.SPLIT: "Split",
}
AS_KNOWN = ("As the studio knows it", "")


@dataclass(frozen=True)
class ImportForm:
    """One control a choice; `columns` holds a dropdown a field."""

    source: gr.Dropdown
    facts: gr.Markdown
    root: gr.Textbox
    name: gr.Textbox
    side: gr.Number
    fit: gr.Radio
    encoding: gr.Radio
    minimum: gr.Number
    minimum_of: gr.Radio
    mapper: gr.Accordion
    read_columns: gr.Button
    columns: dict[Field, gr.Dropdown]

    @property
    def components(self) -> set[Component]:
        """What the form is read from."""
        skipped = {"facts", "mapper", "read_columns", "columns"}
        single = {getattr(self, one.name) for one in fields(self) if one.name not in skipped}
        return single | set(self.columns.values())

    def read_root(self, values: Values) -> Path:
        """The folder or archive that is named.

        Raises CorpusError where none is, or where it cannot be one.
        """
        text = (values[self.root] or "").strip().strip("\"'")
        if not text:
            raise CorpusError("No folder is given: paste the path of the download.")
        root = Path(text).expanduser().absolute()
        require_root(root)
        return root

    def read(self, values: Values) -> ImportTask:
        """The task that the form describes.

        Raises CorpusError naming the field that is wrong.
        """
        source = find_source(values[self.source] or "")
        columns = {
            field.value: str(values[control]).strip()
            for field, control in self.columns.items()
            if source.tables and values[control]
        }
        return plan_task(
            source.key,
            self.read_root(values),
            name=(values[self.name] or "").strip() or None,
            side=values[self.side],
            fit=values[self.fit],
            encoding=values[self.encoding],
            minimum=values[self.minimum],
            minimum_of=values[self.minimum_of],
            columns=columns,
        )

    def show_source(self, key: str) -> Updates:
        """What belongs to a dataset: its facts, its scale, and whether it has tables."""
        source = SOURCES[key]
        return {
            self.facts: source_html(key),
            self.side: source.side,
            self.name: gr.Textbox(placeholder=source.key),
            self.mapper: gr.Accordion(visible=bool(source.tables)),
            **self.offer_columns([]),
        }

    @property
    def of_source(self) -> list[Component]:
        """What `show_source` changes."""
        return [self.facts, self.side, self.name, self.mapper, *self.columns.values()]

    def offer_columns(self, names: list[str]) -> Updates:
        """The columns that were found in the tables, nothing chosen."""
        offered = [AS_KNOWN, *((name, name) for name in names if name)]
        return {
            control: gr.Dropdown(choices=offered, value="") for control in self.columns.values()
        }


def build_import_form() -> ImportForm:
    """Lay the form out, set for the first of the datasets that most people have."""
    first = HAM10000
    source = gr.Dropdown(
        source_choices(),
        value=first.key,
        label="Dataset",
        info="For images of your own: Yours, at the end of the list.",
        filterable=True,
        elem_id="import-source",
    )
    facts = html_block(source_html(first.key), elem_id="import-facts")
    root = gr.Textbox(
        label="Folder or zip on this machine",
        info="The path of the download. Zips are read in place; originals are never changed.",
        max_lines=1,
        elem_id="import-root",
    )
    with gr.Accordion("Scale, size and name", open=False, elem_id="import-more"):
        scale = _scale(first.side, first.key)
    with gr.Accordion(
        "Columns of the table", open=False, visible=True, elem_id="import-columns"
    ) as mapper:
        gr.Markdown(
            "Only for a table whose headers the studio does not know: say which column holds what.",
            elem_classes="df-note",
            container=False,
        )
        read_columns = gr.Button("Read columns", size="sm", elem_id="import-read-columns")
        with gr.Row():
            columns = {field: _column(field, words) for field, words in COLUMN_WORDS.items()}
    return ImportForm(
        source=source,
        facts=facts,
        root=root,
        mapper=mapper,
        read_columns=read_columns,
        columns=columns,
        **scale,
    )


def _scale(side: int, key: str) -> dict[str, Any]:
    with gr.Row():
        name = gr.Textbox(
            label="Name in the catalogue",
            info="Small letters, digits, - and _. Empty: the dataset's own.",
            placeholder=key,
            max_lines=1,
            elem_id="import-name",
        )
        size = gr.Number(
            value=side,
            label="Scale in px",
            info=f"Side of the standard copies, 32 to {MAX_SIDE}.",
            precision=0,
            elem_id="import-side",
        )
    fit = gr.Radio(
        FITS,
        value=Fit.CROP.value,
        label="How an image becomes square",
        elem_id="import-fit",
        elem_classes="df-segmented",
    )
    encoding = gr.Radio(
        [("JPEG, quality 95", Encoding.JPEG.value), ("PNG, no loss", Encoding.PNG.value)],
        value=Encoding.JPEG.value,
        label="Copies as",
        elem_id="import-encoding",
        elem_classes="df-segmented",
    )
    with gr.Row():
        minimum = gr.Number(
            value=0,
            label="Leave out what is smaller than",
            info="0 keeps all.",
            precision=0,
            elem_id="import-minimum",
        )
        minimum_of = gr.Radio(
            MINIMA,
            value=Minimum.SHORTER_SIDE.value,
            label="Measured by",
            elem_id="import-minimum-of",
            elem_classes="df-segmented",
        )
    return {
        "name": name,
        "side": size,
        "fit": fit,
        "encoding": encoding,
        "minimum": minimum,
        "minimum_of": minimum_of,
    }


def _column(field: Field, words: str) -> gr.Dropdown:
    return gr.Dropdown(
        [AS_KNOWN],
        value="",
        label=words,
        allow_custom_value=True,
        min_width=180,
        elem_id=f"import-column-{field.value.replace('_', '-')}",
    )
