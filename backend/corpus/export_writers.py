"""Images of the corpus as files that other programs read.

A writer fills an empty folder from records that it reads once, in order, and never holds many of.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from backend.abc.attributes import Label
from backend.corpus.export_format import CorpusFormat
from backend.corpus.queries import CorpusView
from backend.exports.parquet import Columns, write_parquet_files
from backend.exports.rows import METADATA, METADATA_CSV, Row, csv_line, json_bytes
from backend.exports.shards import Sample, write_tars
from backend.files import new_file, write_file

STEM = "corpus"
NOTICE = "Images of skin lesions gathered by DermaFlux Studio. Not for diagnosis."
TEXTS = (
    *("diagnosis", "diagnosis_given", "modality", "skin_tone", "site", "sex", "split"),
    *("patient", "lesion"),
)
COLUMNS = Columns(
    types={"synthetic": "bool", "age": "int64", "width": "int64", "height": "int64"},
    metadata={"notice": NOTICE},
)
CLASSES = {Label.BENIGN: b"0", Label.MALIGNANT: b"1"}


@dataclass(frozen=True)
class CorpusRecord:
    """An image with the bytes of its standard copy, and the licence of its dataset."""

    image: CorpusView
    data: bytes
    licence: str

    @property
    def file_name(self) -> str:
        """Unlike every other image's."""
        return f"{self.image.id}{self.image.file.suffix}"

    def row(self, file_name: str) -> Row:
        """What is told about the image, as plain values; what is not said is None."""
        image = self.image
        return {
            "file_name": file_name,
            "image_id": image.id,
            "dataset": image.dataset,
            "name": image.source_id,
            "label": image.label.value,
            **{name: getattr(image, name) or None for name in TEXTS},
            "age": image.age,
            "synthetic": image.synthetic,
            "licence": self.licence,
            "width": image.width,
            "height": image.height,
            "pixel_sha256": image.pixel_hash,
        }


def _write_image_folder(folder: Path, records: Iterable[CorpusRecord]) -> None:
    with new_file(folder / METADATA) as lines:
        for record in records:
            row = record.row(_write_image(folder, record))
            lines.write(json_bytes(row) + b"\n")


def _write_csv_folder(folder: Path, records: Iterable[CorpusRecord]) -> None:
    with new_file(folder / METADATA_CSV) as lines:
        for position, record in enumerate(records):
            row = record.row(_write_image(folder, record))
            if position == 0:
                lines.write(csv_line(list(row)))
            lines.write(csv_line(list(row.values())))


def _write_image(folder: Path, record: CorpusRecord) -> str:
    name = f"{record.image.label}/{record.file_name}"
    write_file(folder / name, record.data)
    return name


def _write_parquet(folder: Path, records: Iterable[CorpusRecord]) -> None:
    rows = ((record.data, record.row(record.file_name)) for record in records)
    write_parquet_files(folder, STEM, rows, COLUMNS)


def _write_shards(folder: Path, records: Iterable[CorpusRecord]) -> None:
    write_tars(folder, STEM, map(_sample, records), NOTICE)


def _sample(record: CorpusRecord) -> Sample:
    return record.image.id, {
        record.image.file.suffix.removeprefix("."): record.data,
        "json": json_bytes(record.row(record.file_name)),
        "cls": CLASSES[record.image.label],
    }


CORPUS_WRITERS: Mapping[CorpusFormat, Callable[[Path, Iterable[CorpusRecord]], None]] = {
    CorpusFormat.IMAGE_FOLDER: _write_image_folder,
    CorpusFormat.CSV: _write_csv_folder,
    CorpusFormat.PARQUET: _write_parquet,
    CorpusFormat.WEBDATASET: _write_shards,
}
"""Each raises FileError where the disk is full or the file system refuses."""
