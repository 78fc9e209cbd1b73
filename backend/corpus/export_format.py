"""The layouts in which images of the corpus leave the studio; light, so commands can name them."""

from collections.abc import Mapping
from enum import StrEnum


class CorpusFormat(StrEnum):
    """A layout that other programs read."""

    IMAGE_FOLDER = "imagefolder"
    CSV = "csv"
    PARQUET = "parquet"
    WEBDATASET = "webdataset"

    @property
    def description(self) -> str:
        """What the folder holds, in a sentence."""
        return _DESCRIPTIONS[self]


_DESCRIPTIONS: Mapping[CorpusFormat, str] = {
    CorpusFormat.IMAGE_FOLDER: "One folder a label with its images; metadata.jsonl, one line each.",
    CorpusFormat.CSV: "One folder a label with its images; metadata.csv, one row each.",
    CorpusFormat.PARQUET: "Parquet files with the bytes of each image in the column image.",
    CorpusFormat.WEBDATASET: "WebDataset shards: an image, a .json and its label in .cls each.",
}
