"""An export of many images is a job: shown, cancelled without a trace, and tried again."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from backend.abc.sampling import sample_attributes
from backend.cli import build_app
from backend.errors import DermaFluxError
from backend.generation.bulk import star_all
from backend.generation.errors import GenerationError, RequestError
from backend.generation.export import ExportFormat, export_images
from backend.generation.export.running import make_task, plan_export, run_export, submit_export
from backend.generation.gallery import GalleryFilter, get_image
from backend.jobs.context import JobCancelled, JobContext
from backend.jobs.kinds import WarmState
from backend.jobs.processes import this_process
from backend.jobs.queue import JobView, cancel, claim_next, get_job, retry
from backend.jobs.reconcile import reconcile
from backend.jobs.states import JobState
from backend.jobs.worker import Worker
from backend.settings import Settings
from backend.store.database import Database
from tests.service.pictures import fill_gallery
from tests.service.studio import wait_for

LESIONS = [sample_attributes(np.random.default_rng(seed)) for seed in range(5)]


@pytest.fixture
def ids(settings: Settings, database: Database) -> list[str]:
    """Five images of random lesions."""
    return fill_gallery(settings, database, LESIONS)


def work(settings: Settings, database: Database) -> JobView:
    job = claim_next(database, this_process())
    assert job is not None
    Worker(settings, database).run_job(job)
    return get_job(database, job.id)


def test_the_worker_packs_all_that_match_into_one_archive(
    settings: Settings, database: Database, ids: list[str]
) -> None:
    star_all(database, ids[:3])
    criteria = GalleryFilter(starred=True)
    job_id = submit_export(database, settings, criteria, ExportFormat.WEBDATASET)
    job = work(settings, database)
    assert (job.id, job.state, job.error) == (job_id, JobState.DONE, None)
    assert (job.done, job.total, job.title) == (3, 3, "Export of 3 images as webdataset")
    archive = make_task(job.payload).result
    assert list(settings.exports_dir.iterdir()) == [archive]
    with zipfile.ZipFile(archive) as bundle:
        names = {Path(name).name for name in bundle.namelist()}
    assert names == {"README.txt", "manifest.json", "synthetic-000000.tar"}


def test_a_cancelled_export_leaves_nothing_and_can_be_tried_again(
    settings: Settings, database: Database, ids: list[str]
) -> None:
    job_id = submit_export(database, settings, ids, ExportFormat.IMAGE_FOLDER)
    job = claim_next(database, this_process())
    assert job is not None
    context = JobContext(settings, database, job)
    context.progress(0, 5)
    cancel(database, job_id)
    context.progress(5, 5)
    with pytest.raises(JobCancelled):
        run_export(context, job.payload, WarmState())
    assert list(settings.exports_dir.iterdir()) == []


def test_a_failed_export_says_why_and_a_retry_begins_anew(
    settings: Settings, database: Database, ids: list[str]
) -> None:
    path = get_image(database, settings, ids[4]).path
    kept = path.read_bytes()
    path.unlink()
    job_id = submit_export(database, settings, ids, ExportFormat.PARQUET)
    job = work(settings, database)
    assert job.state is JobState.FAILED
    assert "no longer in the workspace" in (job.error or "")
    assert list(settings.exports_dir.iterdir()) == []
    path.write_bytes(kept)
    retry(database, job_id)
    assert work(settings, database).state is JobState.DONE
    assert [file.suffix for file in settings.exports_dir.iterdir()] == [".zip"]


def test_a_worker_killed_while_it_packs_or_tidies_up_loses_nothing(
    settings: Settings, database: Database, ids: list[str]
) -> None:
    submit_export(database, settings, ids, ExportFormat.IMAGE_FOLDER)
    job = claim_next(database, this_process())
    assert job is not None
    task = make_task(job.payload)
    export_images(database, settings, ids, task.destination)
    run_export(JobContext(settings, database, job), job.payload, WarmState())
    assert list(settings.exports_dir.iterdir()) == [task.result]
    packed = task.result.read_bytes()
    task.destination.mkdir()
    run_export(JobContext(settings, database, job), job.payload, WarmState())
    assert task.result.read_bytes() == packed
    assert list(settings.exports_dir.iterdir()) == [task.result]


STALLED = """
import time
from backend.jobs.context import JobContext
from backend.jobs.processes import this_process
from backend.jobs.queue import claim_next
from backend.jobs.worker import Worker
from backend.settings import load_settings
from backend.store.database import open_database

JobContext.progress = lambda *_: time.sleep(600)
settings = load_settings()
database = open_database(settings)
Worker(settings, database).run_job(claim_next(database, this_process()))
"""


def test_what_a_killed_export_left_half_written_is_removed_and_a_retry_writes_it(
    settings: Settings, database: Database, ids: list[str]
) -> None:
    job_id = submit_export(database, settings, ids, ExportFormat.IMAGE_FOLDER)
    bystander = settings.exports_dir / ".another.dermaflux-partial"
    bystander.mkdir(parents=True)
    child = subprocess.Popen(
        [sys.executable, "-c", STALLED], env=os.environ | settings.environment()
    )
    try:
        wait_for(lambda: len(list(settings.exports_dir.glob(".dermaflux-*/*"))) > 0)
    finally:
        child.kill()
        child.wait()
    assert reconcile(database, settings) == [job_id]
    assert list(settings.exports_dir.iterdir()) == [bystander]
    retry(database, job_id)
    job = work(settings, database)
    assert (job.state, make_task(job.payload).result.is_file()) == (JobState.DONE, True)


def test_an_export_of_nothing_is_not_queued(settings: Settings, database: Database) -> None:
    with pytest.raises(GenerationError, match="No image is selected"):
        submit_export(database, settings, [], ExportFormat.CSV)
    with pytest.raises(GenerationError, match="No image matches"):
        submit_export(database, settings, GalleryFilter(), ExportFormat.CSV)


def test_a_stored_task_is_read_back_and_a_bad_one_is_refused(tmp_path: Path) -> None:
    criteria = GalleryFilter(text="mole", starred=True)
    task = plan_export(criteria, tmp_path / "out", ExportFormat.DICOM)
    assert make_task(json.loads(task.model_dump_json())) == task
    with pytest.raises(RequestError, match="format of an export"):
        make_task({"destination": str(tmp_path), "ids": ["a"], "format": "pickle"})
    with pytest.raises(RequestError, match="ids or by a filter"):
        make_task({"destination": str(tmp_path)})


@pytest.fixture
def _environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(build_app(), ["gallery", *arguments])


@pytest.mark.usefixtures("_environment")
@pytest.mark.parametrize("form", list(ExportFormat))
def test_the_command_exports_every_format(ids: list[str], tmp_path: Path, form: str) -> None:
    out = tmp_path / "out"
    result = run("export", *ids, "--format", form, "--out", str(out), "--json")
    assert result.exit_code == 0, result.stderr or result.exception
    value = json.loads(result.stdout)
    assert (value["folder"], value["images"], value["format"]) == (str(out), 5, form)
    assert json.loads((out / "manifest.json").read_text())["images"] == 5


@pytest.mark.usefixtures("_environment")
def test_the_command_exports_what_matches(
    database: Database, ids: list[str], tmp_path: Path
) -> None:
    star_all(database, ids[:2])
    done = run("export", "--where", "starred=true", "--out", str(tmp_path / "stars"))
    assert "2 images are in" in done.stdout
    done = run("export", "--all", "--out", str(tmp_path / "all"))
    assert len(list((tmp_path / "all").glob("*.png"))) == 5


@pytest.mark.usefixtures("_environment", "ids")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Say which images"),
        (["JOB-0000", "--all"], "one of the three"),
        (["--where", "weight=3"], "cannot be filtered by weight"),
        (["--where", "label=nice"], "filter label should be"),
        (["--where", "starred"], "write NAME=VALUE"),
        (["--where", "model=gone"], "No image matches"),
        (["gone"], "There is no image gone"),
    ],
)
def test_a_wrong_selection_gets_a_sentence(
    tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    result = run("export", *arguments, "--out", str(tmp_path / "out"))
    assert isinstance(result.exception, DermaFluxError), result.output
    assert sentence in str(result.exception)
