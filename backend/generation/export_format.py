"""The layouts in which images leave the studio; light, so that commands can name them."""

from collections.abc import Mapping
from enum import StrEnum


class ExportFormat(StrEnum):
    """A layout that other programs read."""

    IMAGE_FOLDER = "imagefolder"
    CSV = "csv"
    PARQUET = "parquet"
    WEBDATASET = "webdataset"
    DICOM = "dicom"

    @property
    def description(self) -> str:
        """What the folder holds, in a sentence."""
        return _DESCRIPTIONS[self]


_DESCRIPTIONS: Mapping[ExportFormat, str] = {
    ExportFormat.IMAGE_FOLDER: "PNG files beside metadata.jsonl, one line an image.",
    ExportFormat.CSV: "PNG files beside metadata.csv, one row an image.",
    ExportFormat.PARQUET: "Parquet files with the bytes of each PNG in the column image.",
    ExportFormat.WEBDATASET: "WebDataset shards with a .png, a .json and a .txt for each image.",
    ExportFormat.DICOM: "One DICOM file an image beside metadata.jsonl.",
}
