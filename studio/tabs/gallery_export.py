"""Exports of the gallery: asked for as jobs, offered as downloads once they are finished."""

from backend.generation.export.running import KIND, make_task
from backend.generation.export_format import ExportFormat
from studio.context import StudioContext
from studio.tabs.export_cards import export_cards

FORMATS = {
    ExportFormat.IMAGE_FOLDER: "Image folder",
    ExportFormat.CSV: "CSV",
    ExportFormat.PARQUET: "Parquet",
    ExportFormat.WEBDATASET: "WebDataset",
    ExportFormat.DICOM: "DICOM",
}


def format_choices() -> list[tuple[str, str]]:
    """The layouts by name, the one that most programs read first."""
    return [(FORMATS[form], form.value) for form in ExportFormat]


def exports_html(studio: StudioContext) -> str:
    """The latest exports of the person who looks, with progress or a download."""
    return export_cards(studio, KIND, make_task, "Marked synthetic")
