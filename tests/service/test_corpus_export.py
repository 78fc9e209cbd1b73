"""What leaves the corpus is read back by the library it is for, with its licences beside it."""

import csv
import errno
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import webdataset
from PIL import Image
from typer.testing import CliRunner

from backend.abc.attributes import Label
from backend.cli import build_app
from backend.corpus.catalogue import remove_rows
from backend.corpus.errors import CorpusError
from backend.corpus.export_format import CorpusFormat
from backend.corpus.exporting import (
    KIND,
    export_title,
    make_export_task,
    plan_corpus_export,
    run_corpus_export,
    submit_corpus_export,
)
from backend.corpus.importing import KIND as IMPORT
from backend.corpus.importing import import_title, plan_task
from backend.corpus.marking import marked
from backend.corpus.queries import CorpusFilter, CorpusView, iterate_corpus, query_corpus
from backend.corpus.subsets import make_subset
from backend.files import FileError
from backend.generation.provenance import TRAINED_ALGORITHMIC_MEDIA
from backend.images import read_image
from backend.jobs.context import JobCancelled, JobContext
from backend.jobs.here import run_here
from backend.jobs.kinds import WarmState
from backend.jobs.processes import this_process
from backend.jobs.queue import JobView, cancel, claim_next, get_job, retry
from backend.jobs.states import JobState
from backend.jobs.worker import Worker
from backend.settings import Settings
from backend.store.database import Database
from tests.phantom_download import write_download

COUNT = 9


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")


def import_from(
    settings: Settings, database: Database, source: str, folder: Path, **choices: object
) -> None:
    task = plan_task(source, folder, **{"side": 64, "processes": 1, **choices})
    payload, title = task.model_dump(mode="json"), import_title(task)
    job = run_here(
        settings,
        database,
        kind=IMPORT,
        payload=payload,
        title=title,
        total=0,
        show=lambda _: None,
    )
    assert job.error is None, job.error


@pytest.fixture
def images(settings: Settings, database: Database, tmp_path: Path) -> list[CorpusView]:
    """Nine phantoms in the catalogue as HAM10000, and a subset `all` of them."""
    import_from(settings, database, "ham10000", write_download(tmp_path / "ham", COUNT))
    make_subset(database, "all", (CorpusFilter(),))
    return list(iterate_corpus(database, settings, subset="all"))


def export(
    settings: Settings,
    database: Database,
    folder: Path,
    form: CorpusFormat,
    choice: str | CorpusFilter = "all",
) -> JobView:
    task = plan_corpus_export(choice, folder, form)
    payload, title = task.model_dump(mode="json"), export_title(task, COUNT)
    return run_here(
        settings,
        database,
        kind=KIND,
        payload=payload,
        title=title,
        total=COUNT,
        show=lambda _: None,
    )


def load(kind: str, tmp_path: Path, **options: object) -> Any:
    from datasets import load_dataset

    return load_dataset(kind, split="train", cache_dir=str(tmp_path / "datasets"), **options)


def work(settings: Settings, database: Database) -> JobView:
    job = claim_next(database, this_process())
    assert job is not None
    Worker(settings, database).run_job(job)
    return get_job(database, job.id)


@pytest.mark.parametrize("form", [CorpusFormat.IMAGE_FOLDER, CorpusFormat.CSV])
def test_datasets_reads_an_image_folder_with_its_facts(
    settings: Settings,
    database: Database,
    images: list[CorpusView],
    tmp_path: Path,
    form: CorpusFormat,
) -> None:
    assert export(settings, database, tmp_path / "out", form).state is JobState.DONE
    rows = {
        row["image_id"]: row for row in load("imagefolder", tmp_path, data_dir=f"{tmp_path}/out")
    }
    assert set(rows) == {image.id for image in images}
    for image in images:
        row = rows[image.id]
        assert (row["label"], row["diagnosis"], row["age"]) == (
            *(image.label.value, image.diagnosis, image.age),
        )
        assert (np.asarray(row["image"].convert("RGB")) == read_image(image.file)).all()
        assert row["synthetic"] is False
    folders = {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()}
    assert folders == {image.label.value for image in images}


def test_parquet_is_read_by_datasets_and_pandas(
    settings: Settings, database: Database, images: list[CorpusView], tmp_path: Path
) -> None:
    export(settings, database, tmp_path / "out", CorpusFormat.PARQUET)
    (file,) = (tmp_path / "out").glob("*.parquet")
    table = pd.read_parquet(file)
    assert table.image_id.tolist() == [image.id for image in images]
    assert not table.synthetic.any()
    assert table.licence.unique().tolist() == ["CC-BY-NC-4.0"]
    for image, row in zip(images, load("parquet", tmp_path, data_files=str(file)), strict=True):
        assert (np.asarray(row["image"].convert("RGB")) == read_image(image.file)).all()
        assert row["lesion"] == image.lesion


def test_webdataset_reads_images_rows_and_classes(
    settings: Settings, database: Database, images: list[CorpusView], tmp_path: Path
) -> None:
    export(settings, database, tmp_path / "out", CorpusFormat.WEBDATASET)
    shards = [str(path) for path in sorted((tmp_path / "out").glob("*.tar"))]
    samples = list(webdataset.WebDataset(shards, shardshuffle=False))
    for image, sample in zip(images, samples, strict=True):
        assert sample["jpg"] == image.file.read_bytes()
        assert json.loads(sample["json"])["name"] == image.source_id
        assert int(sample["cls"]) == (image.label is Label.MALIGNANT)


def test_the_readme_names_choice_licence_and_citation_and_real_images_bear_no_mark(
    settings: Settings, database: Database, images: list[CorpusView], tmp_path: Path
) -> None:
    make_subset(database, "four", (CorpusFilter(),), per_label=2, seed=5)
    export(settings, database, tmp_path / "out", CorpusFormat.IMAGE_FOLDER, "four")
    text = (tmp_path / "out" / "README.txt").read_text("utf-8")
    for words in ("4 images", "Tschandl et al.", "CC-BY-NC-4.0", "2 of each label", "seed 5"):
        assert words in text
    assert "synthetic" not in text
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert (manifest["images"], manifest["synthetic_images"]) == (4, 0)
    assert manifest["datasets"][0]["labels"] == {"benign": 2, "malignant": 2}
    data = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*.jpg"))
    assert TRAINED_ALGORITHMIC_MEDIA.encode() not in data
    assert len(images) == COUNT


@pytest.mark.parametrize("encoding", ["jpeg", "png"])
def test_images_of_a_synthetic_set_carry_the_mark_and_keep_their_pixels(
    settings: Settings, database: Database, tmp_path: Path, encoding: str
) -> None:
    download = write_download(tmp_path / "download", 2) / "images"
    for number, name in enumerate(("benign", "malignant")):
        (tmp_path / "set" / name).mkdir(parents=True)
        (download / f"PHANTOM_000{number}.png").rename(tmp_path / "set" / name / "one.png")
    import_from(settings, database, "derm_t2im", tmp_path / "set", encoding=encoding)
    export(settings, database, tmp_path / "out", CorpusFormat.IMAGE_FOLDER, CorpusFilter())
    for image in query_corpus(database, settings):
        file = tmp_path / "out" / image.label / f"{image.id}{image.file.suffix}"
        with Image.open(file) as opened:
            xmp = opened.info.get("xmp") or opened.info["XML:com.adobe.xmp"].encode()
        assert TRAINED_ALGORITHMIC_MEDIA.encode() in xmp
        assert (read_image(file) == read_image(image.file)).all()
    assert "2 of the images are synthetic" in (tmp_path / "out" / "README.txt").read_text("utf-8")


def test_a_file_that_cannot_be_marked_is_refused() -> None:
    with pytest.raises(CorpusError, match="neither JPEG nor PNG"):
        marked(b"GIF89a", "one.gif")


def test_no_cell_of_the_csv_is_a_formula(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    folder = write_download(tmp_path / "ham", 2)
    table = (folder / "labels.csv").read_text("utf-8").replace("LESION_", "=HYPERLINK_")
    (folder / "labels.csv").write_text(table, "utf-8")
    import_from(settings, database, "ham10000", folder)
    export(settings, database, tmp_path / "out", CorpusFormat.CSV, CorpusFilter())
    text = (tmp_path / "out" / "metadata.csv").read_text("utf-8")
    lesions = {row["lesion"] for row in csv.DictReader(io.StringIO(text))}
    assert lesions == {"'=HYPERLINK_0"}


def test_the_worker_packs_a_subset_into_one_archive(
    settings: Settings, database: Database, images: list[CorpusView]
) -> None:
    job_id = submit_corpus_export(database, settings, "all", CorpusFormat.IMAGE_FOLDER)
    job = work(settings, database)
    assert (job.id, job.state, job.error) == (job_id, JobState.DONE, None)
    assert job.title == f"Export of subset all, {COUNT} images as imagefolder"
    archive = make_export_task(job.payload).result
    assert list(settings.exports_dir.iterdir()) == [archive]
    with zipfile.ZipFile(archive) as bundle:
        names = {name.partition("/")[2] for name in bundle.namelist()}
    pictures = {f"{image.label}/{image.id}{image.file.suffix}" for image in images}
    assert names == {"README.txt", "manifest.json", "metadata.jsonl", *pictures}
    run_corpus_export(JobContext(settings, database, job), job.payload, WarmState())
    assert list(settings.exports_dir.iterdir()) == [archive]


def test_an_export_that_was_killed_while_it_wrote_begins_anew(
    settings: Settings, database: Database, images: list[CorpusView], tmp_path: Path
) -> None:
    half = tmp_path / ".out.dermaflux-partial"
    (half / "benign").mkdir(parents=True)
    (half / "benign" / "stale.jpg").write_bytes(b"half")
    assert export(settings, database, tmp_path / "out", CorpusFormat.CSV).state is JobState.DONE
    assert not half.exists()
    assert len(list((tmp_path / "out").rglob("*.jpg"))) == len(images)


def test_a_cancelled_export_leaves_nothing(
    settings: Settings, database: Database, images: list[CorpusView]
) -> None:
    job_id = submit_corpus_export(database, settings, "all", CorpusFormat.WEBDATASET)
    job = claim_next(database, this_process())
    assert job is not None
    context = JobContext(settings, database, job)
    context.progress(0, len(images))
    cancel(database, job_id)
    context.progress(COUNT, COUNT)
    with pytest.raises(JobCancelled):
        run_corpus_export(context, job.payload, WarmState())
    assert list(settings.exports_dir.iterdir()) == []


def test_a_copy_that_is_gone_is_named_and_a_retry_goes_through(
    settings: Settings, database: Database, images: list[CorpusView]
) -> None:
    kept = images[4].file.read_bytes()
    images[4].file.unlink()
    job_id = submit_corpus_export(database, settings, "all", CorpusFormat.PARQUET)
    job = work(settings, database)
    assert job.state is JobState.FAILED
    assert "import ham10000 again" in (job.error or "")
    assert list(settings.exports_dir.iterdir()) == []
    images[4].file.write_bytes(kept)
    retry(database, job_id)
    assert work(settings, database).state is JobState.DONE


def test_members_that_were_taken_out_are_counted_in_the_readme(
    settings: Settings, database: Database, images: list[CorpusView], tmp_path: Path
) -> None:
    remove_rows(database, "ham10000", [images[0].source_id])
    export(settings, database, tmp_path / "out", CorpusFormat.CSV)
    text = (tmp_path / "out" / "README.txt").read_text("utf-8")
    assert "1 of them are no longer in the catalogue" in text


@pytest.mark.parametrize("form", list(CorpusFormat))
def test_a_full_disk_ends_in_a_sentence_and_leaves_nothing(
    settings: Settings,
    database: Database,
    images: list[CorpusView],  # noqa: ARG001 - they are exported
    tmp_path: Path,
    form: CorpusFormat,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    submit_corpus_export(database, settings, "all", form)
    job = claim_next(database, this_process())
    assert job is not None
    context = JobContext(settings, database, job)
    before = sorted(tmp_path.iterdir())

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(JobContext, "leaves_partial", lambda *_: None)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="The disk is full"):
        run_corpus_export(context, job.payload, WarmState())
    assert sorted(tmp_path.iterdir()) == before
    assert list(settings.exports_dir.iterdir()) == []


def test_what_cannot_be_exported_is_one_sentence(
    settings: Settings, database: Database, images: list[CorpusView], tmp_path: Path
) -> None:
    for choice, words in (
        ("gone", "There is no subset 'gone'"),
        (CorpusFilter(dataset="none"), "No image of the corpus matches"),
    ):
        with pytest.raises(CorpusError, match=words):
            submit_corpus_export(database, settings, choice, CorpusFormat.CSV)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    job = export(settings, database, tmp_path / "out", CorpusFormat.CSV)
    assert "is there already: choose a new name" in (job.error or "")
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"
    for payload in ({"destination": "x"}, {"destination": "x", "subset": "all", "format": "zip"}):
        with pytest.raises(CorpusError, match="of an export cannot be used"):
            make_export_task(payload)
    assert len(images) == COUNT


def test_the_command_exports_a_subset_or_a_filter(
    settings: Settings,
    database: Database,
    images: list[CorpusView],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    database.close()
    monkeypatch.setenv("DERMAFLUX_WORKSPACE", str(settings.workspace))
    out = tmp_path / "out"

    def run(*words: str) -> Any:
        return CliRunner().invoke(build_app(), ["corpus", "export", *words, "--json"])

    done = run("all", "--format", "csv", "--out", str(out))
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["images"] == len(pd.read_csv(out / "metadata.csv")) == COUNT
    malignant = sum(image.label is Label.MALIGNANT for image in images)
    done = run("--label", "malignant", "--out", str(tmp_path / "some"))
    assert json.loads(done.stdout)["images"] == malignant
    refused = run("all", "--all", "--out", str(tmp_path / "none"))
    assert refused.exit_code != 0
    assert "one of the three" in str(refused.exception)
