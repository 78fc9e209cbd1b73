"""Each format is read back by the library it is made for, and every file of it is marked."""

import csv
import errno
import io
import json
import os
import tarfile
import tracemalloc
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pydicom
import pytest
import webdataset
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import Dataset

from backend.abc.attributes import Label, Modality
from backend.abc.sampling import sample_attributes
from backend.exports.rows import csv_line
from backend.files import FileError
from backend.generation.errors import ForeignImageError, GenerationError
from backend.generation.export import ExportFormat, export_images, new_export_folder, pack
from backend.generation.export.dicom import DERMOSCOPIC, PHOTOGRAPHIC, encode_dicom
from backend.generation.export.parquet import write_parquet
from backend.generation.export.records import ExportRecord, read_record
from backend.generation.export.shards import write_shards
from backend.generation.gallery import GalleryFilter, get_image
from backend.generation.provenance import TRAINED_ALGORITHMIC_MEDIA, read_png
from backend.images import read_image
from backend.settings import Settings
from backend.store.database import Database
from tests.service.pictures import fill_gallery

MODALITIES = (Modality.CLINICAL, Modality.DERMOSCOPIC, None, Modality.DERMOSCOPIC)
LESIONS = [
    sample_attributes(np.random.default_rng(seed)).model_copy(update={"modality": modality})
    for seed, modality in enumerate(MODALITIES)
]
FORMULAS = ("=", "+", "-", "@", "\t", "\r")


@pytest.fixture
def ids(settings: Settings, database: Database) -> list[str]:
    """Four images of random lesions, clinical and dermoscopic."""
    return fill_gallery(settings, database, LESIONS)


@pytest.fixture
def records(settings: Settings, database: Database, ids: list[str]) -> list[ExportRecord]:
    """The four images as an export reads them."""
    return [read_record(get_image(database, settings, image_id)) for image_id in ids]


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")


def exported(
    settings: Settings, database: Database, ids: list[str], form: ExportFormat, tmp_path: Path
) -> Path:
    return export_images(database, settings, ids, tmp_path / "out", form).folder


def load(kind: str, tmp_path: Path, **options: object) -> object:
    from datasets import load_dataset

    return load_dataset(kind, split="train", cache_dir=str(tmp_path / "datasets"), **options)


@pytest.mark.parametrize("form", [ExportFormat.IMAGE_FOLDER, ExportFormat.CSV])
def test_datasets_reads_an_image_folder_with_its_captions(
    settings: Settings, database: Database, ids: list[str], tmp_path: Path, form: ExportFormat
) -> None:
    folder = exported(settings, database, ids, form, tmp_path)
    rows = list(load("imagefolder", tmp_path, data_dir=str(folder)))
    captions = {get_image(database, settings, image_id).caption for image_id in ids}
    assert {row["text"] for row in rows} == captions
    assert all(row["synthetic"] is True and row["image"].size == (64, 64) for row in rows)


def test_pandas_reads_the_csv_with_its_types(
    settings: Settings, database: Database, ids: list[str], tmp_path: Path
) -> None:
    folder = exported(settings, database, ids, ExportFormat.CSV, tmp_path)
    table = pd.read_csv(folder / "metadata.csv")
    assert table.file_name.tolist() == [f"{image_id}.png" for image_id in ids]
    assert table.synthetic.tolist() == [True] * 4
    assert table.seed.tolist() == [0, 1, 2, 3]
    assert table.colours[0].split() == list(LESIONS[0].colours)
    for image_id in ids:
        image = get_image(database, settings, image_id)
        assert (folder / image.path.name).read_bytes() == image.path.read_bytes()


@hypothesis_settings(deadline=None)
@given(st.lists(st.one_of(st.text(), st.lists(st.text(max_size=5), max_size=3)), min_size=1))
def test_no_cell_of_a_csv_is_a_formula_and_no_text_is_lost(cells: list[object]) -> None:
    line = csv_line(cells).decode(errors="surrogatepass")
    (read,) = csv.reader(io.StringIO(line, newline=""))
    for cell, value in zip(read, cells, strict=True):
        text = " ".join(value) if isinstance(value, list) else value
        assert cell.removeprefix("'") == text.removeprefix("'") or cell == f"'{text}"
        assert not cell.startswith(FORMULAS)
        assert not cell.lstrip(" ").startswith(FORMULAS)


@pytest.mark.parametrize("sign", FORMULAS)
def test_a_formula_in_a_caption_becomes_text(sign: str) -> None:
    assert csv_line([f"{sign}cmd|' /C calc'!A0", -1.5]).startswith(b"\"'")
    assert csv_line([-1.5, None, True]) == b'"-1.5","","true"\n'


def test_parquet_is_read_by_datasets_and_pandas_and_says_it_is_synthetic(
    settings: Settings, database: Database, ids: list[str], tmp_path: Path
) -> None:
    folder = exported(settings, database, ids, ExportFormat.PARQUET, tmp_path)
    (file,) = folder.glob("*.parquet")
    metadata = pq.read_schema(file).metadata
    assert metadata[b"synthetic"] == b"true"
    assert metadata[b"digital_source_type"].decode() == TRAINED_ALGORITHMIC_MEDIA
    table = pd.read_parquet(file)
    assert table.synthetic.all()
    assert table.seed.dtype == np.int64
    data = load("parquet", tmp_path, data_files=str(file))
    for image_id, row, cell in zip(ids, data, table.image, strict=True):
        image = get_image(database, settings, image_id)
        assert cell["bytes"] == image.path.read_bytes()
        assert read_png(cell["bytes"]).synthetic is True
        assert (np.asarray(row["image"]) == read_image(image.path)).all()
        assert row["text"] == image.caption
        assert row["colours"] == list(image.requested.colours)
        assert row["measured_border"] == image.measured.border


def test_parquet_is_cut_into_row_groups_and_files(
    records: list[ExportRecord], tmp_path: Path
) -> None:
    largest = max(len(record.png) for record in records)
    write_parquet(tmp_path, records, file_bytes=largest + 1, row_group_bytes=1)
    paths = sorted(tmp_path.glob("*.parquet"))
    assert [pq.ParquetFile(path).num_row_groups for path in paths] == [2, 2]
    rows = pd.concat(pd.read_parquet(path) for path in paths)
    assert rows.file_name.tolist() == [record.image.path.name for record in records]


def test_webdataset_reads_shards_of_the_size_asked_for(
    records: list[ExportRecord], tmp_path: Path
) -> None:
    write_shards(tmp_path, records, shard_bytes=1)
    shards = sorted(tmp_path.glob("*.tar"))
    assert len(shards) == 4
    samples = list(webdataset.WebDataset([str(shard) for shard in shards], shardshuffle=False))
    for record, sample in zip(records, samples, strict=True):
        assert sample["__key__"] == record.image.id
        assert sample["png"] == record.png
        assert read_png(sample["png"]).synthetic is True
        assert sample["txt"].decode() == record.image.caption
        row = json.loads(sample["json"])
        assert row["synthetic"] is True
        assert row["text"] == record.image.caption
    for shard in shards:
        with tarfile.open(shard) as tar:
            assert tar.pax_headers["comment"].startswith("Synthetic")


def test_equal_images_give_equal_shards_and_dicom(
    records: list[ExportRecord], tmp_path: Path
) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write_shards(tmp_path / name, records)
    first, second = (next((tmp_path / name).iterdir()) for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    assert encode_dicom(records[0]) == encode_dicom(records[0])


def test_dicom_shows_the_same_pixels_of_nobody(
    settings: Settings, database: Database, ids: list[str], tmp_path: Path
) -> None:
    folder = exported(settings, database, ids, ExportFormat.DICOM, tmp_path)
    kinds = []
    for image_id in ids:
        image = get_image(database, settings, image_id)
        dataset = pydicom.dcmread(folder / f"{image_id}.dcm")
        assert dataset.SyntheticData == "YES"
        assert dataset[0x0008001C].value == "YES"
        assert "Synthetic" in str(dataset.PatientName)
        assert dataset.PatientID.startswith("SYNTHETIC-")
        assert dataset.ImageComments == image.caption
        assert (dataset.pixel_array == read_image(image.path)).all()
        assert all(pydicom.uid.UID(value).is_valid for value in uids(dataset))
        kinds.append((dataset.SOPClassUID, dataset.Modality))
    photographic, dermoscopic = (PHOTOGRAPHIC, "XC"), (DERMOSCOPIC, "DMS")
    assert kinds == [photographic, dermoscopic, photographic, dermoscopic]
    lines = (folder / "metadata.jsonl").read_text().splitlines()
    assert all(json.loads(line)["synthetic"] is True for line in lines)


def test_every_image_has_uids_of_its_own(records: list[ExportRecord]) -> None:
    datasets = [pydicom.dcmread(io.BytesIO(encode_dicom(record))) for record in records]
    assert len({dataset.SOPInstanceUID for dataset in datasets}) == 4
    assert len({dataset.SeriesInstanceUID for dataset in datasets}) == 2
    assert len({dataset.StudyInstanceUID for dataset in datasets}) == 1


def test_dicom_has_every_attribute_that_the_standard_requires(
    records: list[ExportRecord],
) -> None:
    """By the tables of PS3.3 that highdicom carries: type 1 with a value, type 2 at least there."""
    for record in records:
        dataset = pydicom.dcmread(io.BytesIO(encode_dicom(record)))
        required = list(required_attributes(str(dataset.SOPClassUID)))
        assert len(required) > 20
        for path, keyword, kind in required:
            for item in items(dataset, path):
                assert keyword in item, f"{'/'.join(path)} {keyword} is missing"
                assert kind == "2" or item[keyword].value not in (None, ""), keyword


def test_dicom_of_an_odd_number_of_bytes_is_padded(records: list[ExportRecord]) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (3, 5), (10, 20, 30)).save(buffer, "PNG")
    data = encode_dicom(replace(records[0], png=buffer.getvalue()))
    dataset = pydicom.dcmread(io.BytesIO(data))
    assert len(dataset.PixelData) == 46
    assert dataset.pixel_array.shape == (5, 3, 3)


@pytest.mark.parametrize("form", list(ExportFormat))
def test_every_export_says_what_it_is_and_under_which_licence(
    settings: Settings, database: Database, ids: list[str], tmp_path: Path, form: ExportFormat
) -> None:
    folder = exported(settings, database, ids, form, tmp_path)
    readme = (folder / "README.txt").read_text()
    for words in ("4 synthetic images", "Not for diagnosis", "Apache-2.0", "checked by a physic"):
        assert words in readme
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["synthetic"] is True
    assert manifest["images"] == 4
    assert manifest["format"] == form
    (model,) = manifest["models"]
    assert (model["name"], model["licence"], model["images"]) == ("starter", "Apache-2.0", 4)
    assert sum(manifest["labels"].values()) == 4
    assert str(tmp_path) not in readme + json.dumps(manifest)


@pytest.mark.parametrize("form", list(ExportFormat))
def test_every_file_of_every_format_carries_the_mark(
    settings: Settings, database: Database, ids: list[str], tmp_path: Path, form: ExportFormat
) -> None:
    folder = exported(settings, database, ids, form, tmp_path)
    for file in folder.iterdir():
        assert is_marked(file), file.name
    whole = export_images(database, settings, ids, new_export_folder(settings), form)
    archive = pack(whole.folder)
    with zipfile.ZipFile(archive) as bundle:
        assert b"Synthetic" in bundle.comment


def is_marked(file: Path) -> bool:
    """Whether a program that reads this one file can tell that it is synthetic."""
    data = file.read_bytes()
    if file.suffix == ".png":
        return read_png(data).synthetic and TRAINED_ALGORITHMIC_MEDIA.encode() in data
    if file.suffix == ".dcm":
        return pydicom.dcmread(file).SyntheticData == "YES"
    if file.suffix == ".parquet":
        return pq.read_schema(file).metadata[b"synthetic"] == b"true"
    if file.suffix == ".tar":
        with tarfile.open(file) as tar:
            return "Synthetic" in tar.pax_headers["comment"]
    if file.suffix == ".jsonl":
        return all(json.loads(line)["synthetic"] is True for line in data.splitlines())
    if file.suffix == ".json":
        return json.loads(data)["synthetic"] is True
    if file.suffix == ".csv":
        return bool(pd.read_csv(file).synthetic.all())
    return b"Synthetic" in data


@pytest.mark.parametrize("form", list(ExportFormat))
def test_a_full_disk_ends_in_a_sentence_and_leaves_nothing(
    settings: Settings,
    database: Database,
    ids: list[str],
    tmp_path: Path,
    form: ExportFormat,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = sorted(tmp_path.iterdir())

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="The disk is full"):
        exported(settings, database, ids, form, tmp_path)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize(
    ("writer", "name"),
    [(write_parquet, "synthetic-00000.parquet"), (write_shards, "synthetic-000000.tar")],
)
def test_a_device_without_room_is_said_by_name(
    records: list[ExportRecord],
    tmp_path: Path,
    writer: object,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = Path.open

    def open_full(path: Path, *mode: str) -> object:
        return opened(Path("/dev/full"), "wb") if path.name == name else opened(path, *mode)

    monkeypatch.setattr(Path, "open", open_full)
    with pytest.raises(FileError, match=f"The disk is full: {name}"):
        writer(tmp_path, records)  # type: ignore[operator]


@pytest.mark.parametrize("form", list(ExportFormat))
def test_a_folder_that_cannot_be_written_is_said(
    settings: Settings,
    database: Database,
    ids: list[str],
    tmp_path: Path,
    form: ExportFormat,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read_only(_path: Path, **_options: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", read_only)
    with pytest.raises(FileError, match="cannot be changed: check its permissions"):
        exported(settings, database, ids, form, tmp_path)


@pytest.mark.parametrize("form", list(ExportFormat))
def test_a_missing_or_unmarked_png_stops_every_format(
    settings: Settings, database: Database, ids: list[str], tmp_path: Path, form: ExportFormat
) -> None:
    path = get_image(database, settings, ids[2]).path
    Image.new("RGB", (64, 64)).save(path)
    with pytest.raises(ForeignImageError):
        exported(settings, database, ids, form, tmp_path)
    path.unlink()
    with pytest.raises(FileError, match="no longer in the workspace"):
        exported(settings, database, ids, form, tmp_path)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_an_empty_folder_may_be_filled_and_a_leftover_is_no_hindrance(
    settings: Settings, database: Database, ids: list[str], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / ".out.dermaflux-partial").mkdir()
    (tmp_path / ".out.dermaflux-partial" / "half.png").write_bytes(b"half")
    folder = exported(settings, database, ids, ExportFormat.IMAGE_FOLDER, tmp_path)
    assert len(list(folder.glob("*.png"))) == 4
    assert not (folder / "half.png").exists()
    with pytest.raises(GenerationError, match="is there already"):
        exported(settings, database, ids, ExportFormat.IMAGE_FOLDER, tmp_path)


def test_a_filter_exports_all_that_match(
    settings: Settings, database: Database, ids: list[str], tmp_path: Path
) -> None:
    wanted = {
        image_id
        for image_id, lesion in zip(ids, LESIONS, strict=True)
        if lesion.label is Label.MALIGNANT
    }
    criteria = GalleryFilter(label=Label.MALIGNANT)
    done = export_images(database, settings, criteria, tmp_path / "out")
    assert {file.stem for file in done.folder.glob("*.png")} == wanted
    with pytest.raises(GenerationError, match="No image matches"):
        export_images(database, settings, GalleryFilter(model="gone"), tmp_path / "none")


@pytest.mark.parametrize("form", [ExportFormat.PARQUET, ExportFormat.WEBDATASET])
def test_memory_does_not_grow_with_the_number_of_images(
    records: list[ExportRecord], tmp_path: Path, form: ExportFormat
) -> None:
    """64 MB pass through, within a quarter of it."""
    png = records[0].png + bytes(2**19)
    large = replace(records[0], png=png)

    held = 0

    def many() -> Iterator[ExportRecord]:
        nonlocal held
        for number in range(128):
            held = max(held, pa.total_allocated_bytes())
            image = replace(large.image, id=f"many-{number:04d}")
            yield replace(large, image=image, png=bytes(bytearray(png)))

    tracemalloc.start()
    if form is ExportFormat.PARQUET:
        write_parquet(tmp_path, many(), row_group_bytes=2**21)
    else:
        write_shards(tmp_path, many())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * 2**20
    assert held < 16 * 2**20


def uids(dataset: Dataset) -> list[str]:
    return [dataset.SOPInstanceUID, dataset.SeriesInstanceUID, dataset.StudyInstanceUID]


def required_attributes(sop_class: str) -> Iterator[tuple[list[str], str, str]]:
    """(path, keyword, type) of types 1 and 2 in the mandatory modules."""
    tables = files("highdicom") / "_standard"
    modules, attributes, kinds = (
        json.loads((tables / f"{name}.json").read_text())
        for name in ("iod_module_map", "module_attribute_map", "sop_class_iod_map")
    )
    for module in modules[kinds[sop_class]]:
        if module["usage"] != "M":
            continue
        for attribute in attributes[module["key"]]:
            if attribute["type"] in ("1", "2"):
                yield attribute["path"], attribute["keyword"], attribute["type"]


def items(dataset: Dataset, path: list[str]) -> list[Dataset]:
    """The items that a path of sequences leads to; none where a sequence is absent."""
    found = [dataset]
    for name in path:
        found = [item for parent in found for item in parent.get(name, [])]
    return found
