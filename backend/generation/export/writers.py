"""The function that writes each format.

A writer fills an empty folder from records that it reads once, in order, and never holds many of.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from backend.generation.export.dicom import write_dicom
from backend.generation.export.image_folder import write_csv_folder, write_image_folder
from backend.generation.export.parquet import write_parquet
from backend.generation.export.records import ExportRecord
from backend.generation.export.shards import write_shards
from backend.generation.export_format import ExportFormat

Writer = Callable[[Path, Iterable[ExportRecord]], None]


WRITERS: Mapping[ExportFormat, Writer] = {
    ExportFormat.IMAGE_FOLDER: write_image_folder,
    ExportFormat.CSV: write_csv_folder,
    ExportFormat.PARQUET: write_parquet,
    ExportFormat.WEBDATASET: write_shards,
    ExportFormat.DICOM: write_dicom,
}
