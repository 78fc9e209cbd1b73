"""A worker killed in the middle, and a machine without memory: nothing lost, nothing half-done."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.generation.adherence import KIND as ADHERENCE
from backend.generation.adherence import MEASURED, read_report
from backend.generation.provenance import read_png
from backend.images import pixel_hash, read_image
from backend.jobs.queue import get_job, retry, submit
from backend.jobs.reconcile import reconcile
from backend.jobs.states import JobState
from tests.service.studio import Studio, open_studio, partial_files, tiny_request, wait_for

ROOT = Path(__file__).parents[2]


@pytest.fixture
def studio(tmp_path: Path, tiny_flux: Path) -> Iterator[Studio]:
    """A workspace of its own."""
    studio = open_studio(tmp_path / "workspace", tiny_flux)
    yield studio
    studio.database.close()


def start_worker(studio: Studio) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "backend", "worker"],
        cwd=ROOT,
        env=os.environ | studio.settings.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_a_job_whose_worker_is_killed_is_interrupted_and_finished_by_retry(
    studio: Studio,
) -> None:
    job_id = studio.submit(tiny_request(count=8, steps=100, width=128, height=128))
    worker = start_worker(studio)
    try:
        wait_for(lambda: len(studio.images(job_id)) > 0, 240)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    before = studio.images(job_id)
    assert reconcile(studio.database, studio.settings) == [job_id]
    job = get_job(studio.database, job_id)
    assert job.state is JobState.INTERRUPTED
    assert "Retry" in str(job.error)
    assert partial_files(studio.settings) == []
    assert 0 < len(before) < 8
    for image in before:
        assert read_png(image.path).request == image.request
        assert pixel_hash(read_image(image.path)) == image.pixel_hash
    retry(studio.database, job_id)
    assert studio.work().state is JobState.DONE
    after = studio.images(job_id)
    assert [image.position for image in after] == list(range(8))
    assert after[: len(before)] == before
    (undisturbed,) = studio.make(after[0].request)
    assert undisturbed.pixel_hash == before[0].pixel_hash


def test_an_adherence_run_whose_worker_is_killed_goes_on_and_gives_the_same_scores(
    studio: Studio,
) -> None:
    payload = {"model": "tiny", "count": 10, "seed": 3}
    job_id = submit(studio.database, kind=ADHERENCE, payload=payload, title="killed", total=1)
    measured = studio.settings.jobs_dir / job_id / MEASURED
    worker = start_worker(studio)
    try:
        wait_for(lambda: measured.exists() and measured.read_bytes().count(b"\n") > 1, 240)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    before = measured.read_bytes().splitlines()
    assert len(before) < 10
    assert reconcile(studio.database, studio.settings) == [job_id]
    measured.write_bytes(b"\n".join(before) + b'\n{"model_hash": "cut')
    retry(studio.database, job_id)
    assert studio.work().state is JobState.DONE
    assert measured.read_bytes().splitlines()[: len(before)] == before
    whole = submit(studio.database, kind=ADHERENCE, payload=payload, title="whole", total=1)
    assert studio.work().state is JobState.DONE
    resumed, undisturbed = (read_report(studio.settings.jobs_dir / job) for job in (job_id, whole))
    assert resumed == undisturbed
    assert len(resumed["images"]) == 10


WITHOUT_MEMORY = """
import resource, sys
import psutil
from pathlib import Path
from backend.jobs.queue import get_job
from tests.service.studio import Studio, tiny_request
from backend.jobs.worker import Worker
from backend.settings import Settings
from backend.store.database import open_database

settings = Settings(workspace=Path(sys.argv[1]), device="cpu", threads=1)
database = open_database(settings)
studio = Studio(settings, database, Worker(settings, database))
studio.make(tiny_request())
limit = psutil.Process().memory_info().vms + 96 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
studio.submit(tiny_request(width=1536, height=1536, steps=1))
print(studio.work().error)
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(len(studio.make(tiny_request())))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the address space is limited as Linux does")
def test_out_of_memory_ends_the_job_with_advice_and_the_next_job_runs(studio: Studio) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_MEMORY, str(studio.settings.workspace)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )
    error, count = done.stdout.splitlines() or (done.stderr, "")
    assert error.startswith("Memory ran out while trying 1 image by tiny, 1536 x 1536")
    assert "smaller size" in error
    assert count == "1"
