"""Sets are named, listed and read; leakage between any two of them is found and refused."""

import csv
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.abc.sampling import sample_attributes
from backend.corpus.catalogue import remove_rows
from backend.corpus.decisions import decide
from backend.corpus.duplicate_search import make_duplicates_task, submit_duplicates
from backend.corpus.errors import CorpusError
from backend.corpus.leakage import LeakageError
from backend.corpus.leakage_search import (
    REPORT,
    leakage_csv,
    make_leakage_task,
    read_leakage,
    require_no_leakage,
    submit_leakage,
)
from backend.corpus.picture_cards import folder_thumbnail, picture_cards
from backend.corpus.picture_sets import (
    list_picture_sets,
    pictures_of,
    read_set_name,
    set_title,
)
from backend.corpus.queries import CorpusFilter
from backend.corpus.states import PairState
from backend.corpus.subsets import make_subset, remove_subset
from backend.files import FileError
from backend.generation.gallery import GalleryFilter
from backend.generation.image_sets import add_to_set, make_set
from backend.jobs.context import JobContext
from backend.jobs.processes import this_process
from backend.jobs.queue import JobView, claim_next, get_job, job_log
from backend.jobs.states import JobState
from backend.jobs.worker import Worker
from backend.settings import Settings
from backend.store.database import Database
from tests.service.comparable_sets import Comparable, comparable
from tests.service.pictures import fill_gallery


@pytest.fixture
def sets(settings: Settings, database: Database, tmp_path: Path) -> Comparable:
    """Two datasets and a folder that share pictures."""
    return comparable(settings, database, tmp_path / "folder")


def work(settings: Settings, database: Database) -> JobView:
    job = claim_next(database, this_process())
    assert job is not None
    Worker(settings, database).run_job(job)
    return get_job(database, job.id)


@pytest.mark.usefixtures("sets")
def test_every_set_that_has_pictures_is_listed_and_read_by_its_name(
    settings: Settings, database: Database
) -> None:
    make_subset(database, "pilot", (CorpusFilter(dataset="kaggle1"),))
    fill_gallery(settings, database, [sample_attributes(np.random.default_rng(1))] * 3)
    make_set(database, "synthetic pilot")
    make_set(database, "empty")
    add_to_set(database, "synthetic pilot", GalleryFilter())
    listed = {one.name: one for one in list_picture_sets(database)}
    assert {name: one.images for name, one in listed.items()} == {
        "catalogue": 5,
        "dataset:isic2019": 3,
        "dataset:isic2019/test": 1,
        "dataset:isic2019/train": 2,
        "dataset:kaggle1": 2,
        "subset:pilot": 2,
        "gallery": 3,
        "synthetic:synthetic pilot": 3,
    }
    for name, one in listed.items():
        parsed = read_set_name(name)
        assert str(parsed) == name
        assert set_title(database, parsed) == one.title
        pictures = pictures_of(database, settings, parsed)
        assert len(pictures) == one.images
        assert all(picture.path.is_file() for picture in pictures)
    assert listed["dataset:isic2019/test"].title == "ISIC 2019, test"


@pytest.mark.usefixtures("sets")
def test_patients_are_told_apart_by_dataset_and_lesions_of_the_archive_are_not(
    settings: Settings, database: Database
) -> None:
    pictures = pictures_of(database, settings, read_set_name("dataset:kaggle1"))
    assert [one.patient_id for one in pictures] == ["kaggle1:P3", "kaggle1:P4"]
    assert [one.lesion_id for one in pictures] == ["HAM_0000003", "HAM_0000004"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("isic2019", "There is no set 'isic2019'"),
        ("dataset:", "Say which dataset is meant"),
        ("dataset:none", "'none' is gone or empty"),
        ("subset:none", "'Subset none' is gone or empty"),
        ("synthetic:none", "is gone or empty"),
        ("build:NONE", "is gone or empty"),
        ("gallery", "is gone or empty"),
        ("folder:/nowhere", "There is no folder"),
    ],
)
def test_a_set_that_is_not_there_is_named(database: Database, name: str, sentence: str) -> None:
    with pytest.raises(CorpusError, match=sentence):
        make_duplicates_task(database, [name])
    with pytest.raises(CorpusError):
        make_leakage_task(database, name, "catalogue")


@pytest.mark.usefixtures("sets")
def test_the_same_set_twice_and_no_set_are_refused(database: Database) -> None:
    with pytest.raises(CorpusError, match="Both are the same set"):
        make_leakage_task(database, "dataset:kaggle1", "dataset:kaggle1")
    with pytest.raises(CorpusError, match="Choose what to search"):
        make_duplicates_task(database, [])


@pytest.mark.usefixtures("sets")
def test_a_set_that_vanished_while_the_job_waited_ends_it_with_a_sentence(
    settings: Settings, database: Database
) -> None:
    make_subset(database, "pilot", (CorpusFilter(dataset="kaggle1"),))
    submit_duplicates(database, ["subset:pilot"])
    remove_subset(database, "pilot")
    job = work(settings, database)
    assert job.state is JobState.FAILED
    assert "'Subset pilot' is gone or empty" in str(job.error)


def test_leakage_between_datasets_is_kept_named_and_follows_decisions(
    settings: Settings, database: Database, sets: Comparable
) -> None:
    job_id = submit_leakage(database, "dataset:kaggle1", "dataset:isic2019/train", owner="rita")
    job = work(settings, database)
    assert (job.id, job.state, job.owner) == (job_id, JobState.DONE, "rita")
    assert job.title == "Leakage between Kaggle 1 and ISIC 2019, train"
    report = read_leakage(database, settings.jobs_dir / job_id)
    (pair,) = report.leakage.near
    assert set(pair.ids) == {sets.ids["melanoma_7"], sets.ids["ISIC_1"]}
    assert report.first_ids == {sets.ids["melanoma_7"]}
    (line,) = csv.DictReader(StringIO("".join(leakage_csv(database, settings, report))))
    assert (line["first_image"], line["second_image"]) == ("melanoma_7", "ISIC_1")
    assert (line["shared"], line["second_place"]) == ("near", "ISIC 2019")
    assert "mirrored" in line["between_them"]
    decide(database, *pair.ids, PairState.DISMISSED)
    again = read_leakage(database, settings.jobs_dir / job_id)
    assert (again.leakage.clean, again.dismissed) == (True, 1)


def test_a_folder_with_a_broken_picture_is_compared_and_the_picture_named(
    settings: Settings, database: Database, sets: Comparable
) -> None:
    job_id = submit_leakage(database, f"folder:{sets.folder}", "dataset:isic2019")
    work(settings, database)
    report = read_leakage(database, settings.jobs_dir / job_id)
    assert [Path(one).name for one in report.unreadable] == ["broken.jpg"]
    assert any("broken.jpg" in line.text for line in job_log(database, job_id))
    copy = str(sets.folder / "upside_down.png")
    assert report.first_ids == {copy}
    card = picture_cards(database, settings, [copy])[copy]
    assert card.thumbnail == folder_thumbnail(settings, copy)
    assert (card.name, card.place, card.gone) == ("upside_down.png", str(sets.folder), False)


def test_pictures_that_are_gone_have_a_card_that_says_so(
    settings: Settings, database: Database, sets: Comparable
) -> None:
    (settings.corpus_dir / "kaggle1-melanoma_8.png").unlink()
    remove_rows(database, "isic2019", ["ISIC_1"])
    path = str(sets.folder / "gone.png")
    wanted = [sets.ids["ISIC_1"], path, sets.ids["melanoma_8"]]
    first, second, third = picture_cards(database, settings, wanted).values()
    assert (first.gone, second.gone, third.gone) == (True, True, False)
    assert (first.thumbnail, second.thumbnail, third.thumbnail) == (None, None, None)


@pytest.mark.usefixtures("sets")
def test_training_is_refused_with_the_pairs_named_and_goes_on_where_it_is_only_reported(
    settings: Settings, database: Database
) -> None:
    refuse = settings.model_copy(update={"leakage": "refuse"})
    sides: list[Any] = [
        (name, pictures_of(database, settings, read_set_name(name)))
        for name in ("dataset:isic2019", "dataset:kaggle1")
    ]
    submit_leakage(database, "dataset:isic2019", "dataset:kaggle1")
    job = claim_next(database, this_process())
    assert job is not None
    with pytest.raises(LeakageError, match="melanoma_7") as refused:
        require_no_leakage(JobContext(refuse, database, job), *sides)
    assert "ISIC_1" in str(refused.value)
    assert "1 pair of near-duplicates" in str(refused.value)
    assert (settings.jobs_dir / job.id / REPORT).is_file()
    reported = require_no_leakage(JobContext(settings, database, job), *sides)
    assert len(reported.leakage.near) == 1
    decide(database, *reported.leakage.near[0].ids, PairState.DISMISSED)
    assert require_no_leakage(JobContext(refuse, database, job), *sides).leakage.clean


def test_a_report_that_is_gone_or_damaged_is_named(database: Database, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no longer in the workspace"):
        read_leakage(database, tmp_path)
    (tmp_path / REPORT).write_text('{"leakage": 3}')
    with pytest.raises(CorpusError, match="compare the two sets once more"):
        read_leakage(database, tmp_path)


def test_a_workspace_inside_the_searched_folder_is_not_searched(
    settings: Settings, database: Database, sets: Comparable
) -> None:
    around = read_set_name(f"folder:{settings.workspace.parent}")
    found = {picture.path.parent for picture in pictures_of(database, settings, around)}
    assert found == {sets.folder}
