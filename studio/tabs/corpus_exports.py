"""Exports of the corpus: asked for as jobs, offered as downloads once they are finished."""

from collections.abc import Mapping

from backend.corpus.export_format import CorpusFormat
from backend.corpus.exporting import KIND, make_export_task
from studio.context import StudioContext
from studio.tabs.corpus_subsets_view import BRIDGE
from studio.tabs.export_cards import export_cards

FORMATS: Mapping[CorpusFormat, str] = {
    CorpusFormat.IMAGE_FOLDER: "Image folder",
    CorpusFormat.CSV: "Image folder with CSV",
    CorpusFormat.PARQUET: "Parquet",
    CorpusFormat.WEBDATASET: "WebDataset",
}


def corpus_format_choices() -> list[tuple[str, str]]:
    """The layouts by name, the one that most programs read first."""
    return [(FORMATS[form], form.value) for form in CorpusFormat]


def corpus_exports_html(studio: StudioContext) -> str:
    """The latest exports of the person who looks, with progress or a download."""
    words = "With licences and citations"
    return export_cards(studio, KIND, make_export_task, words, bridge=BRIDGE)
