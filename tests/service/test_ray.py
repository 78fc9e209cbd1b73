"""On a real Ray cluster jobs end as they do here, whatever happens on the way."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from backend.captioning.records import iterate_captions
from backend.captioning.running import submit_captions
from backend.captioning.task import CaptionTask, Decoding
from backend.captioning.versions import list_versions
from backend.corpus.importing import plan_task, submit_import
from backend.corpus.queries import iterate_corpus
from backend.generation.building.running import prepare_build, submit_build
from backend.generation.building.task import BuildTask
from backend.jobs.cluster.dispatch import Dispatcher, dispatch
from backend.jobs.cluster.driver import require_shared_database
from backend.jobs.cluster.errors import ClusterError
from backend.jobs.cluster.submission import submissions
from backend.jobs.queue import JobView, cancel, count_jobs, get_job, job_log, retry
from backend.jobs.states import JobState
from backend.settings import REPOSITORY, Settings, prepare_workspace
from backend.store.database import Database, open_database
from tests.service.corpus_pictures import caption, fill_corpus
from tests.service.ray_cluster import free_port, running_cluster
from tests.service.studio import Studio, open_studio, partial_files, wait_for
from tests.service.test_building import TABLE, decisions
from tests.service.test_corpus_import import HAM10000, files_of, import_folder, whole
from tests.tiny_captioners import build_tiny_qwen

pytestmark = [
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
    pytest.mark.timeout(900),
]

CLOSE = {"lesion": False, "min_confidence": 0, "max_correlation": 0.97}
PICTURES = 150
IMAGES = 240
"""Enough for one worker to be killed in the middle, on a busy machine too."""
WAIT_S = 400.0
"""On a machine that does nothing else a start takes ten seconds."""


@dataclass(frozen=True)
class Cluster:
    """Settings that lead to the cluster, and the workspace that both runners share."""

    settings: Settings
    studio: Studio

    def wait(self, job_id: str, *states: JobState) -> JobView:
        """The job once it is in one of these states."""
        database = self.studio.database
        wait_for(lambda: get_job(database, job_id).state in (states or tuple(JobState)[2:]), WAIT_S)
        return get_job(database, job_id)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, tiny_flux: Path) -> Iterator[Cluster]:
    """A cluster, and what hands it the jobs of a workspace."""
    if sys.platform == "win32":
        pytest.skip("Ray's clusters on Windows are experimental")
    studio = open_studio(tmp_path_factory.mktemp("cluster"), tiny_flux)
    with running_cluster() as address:
        changes = {"runner": "ray", "ray_address": address}
        settings = studio.settings.model_copy(update=changes)
        dispatcher = Dispatcher(settings, studio.database)
        dispatcher.start()
        yield Cluster(settings, studio)
        dispatcher.stop()
    studio.database.close()


def build_task(studio: Studio, name: str, **changes: object) -> BuildTask:
    values = {
        "name": name,
        "model": "tiny",
        "steps": 2,
        "width": 64,
        "height": 64,
        "per_class": 6,
        "best_of": 2,
        "attempts": 12,
        "rules": CLOSE,
        "seed": 5,
    }
    return prepare_build(studio.database, studio.settings, TABLE, values | changes)


def png_files(studio: Studio, job_id: str) -> list[bytes]:
    return [image.path.read_bytes() for image in studio.images(job_id)]


def kill(job: JobView) -> None:
    """End the process that runs a job as a power cut would."""
    assert job.worker_pid is not None
    psutil.Process(job.worker_pid).kill()


def test_a_build_killed_on_the_cluster_and_tried_again_equals_the_local_one(
    cluster: Cluster,
) -> None:
    studio = cluster.studio
    submit_build(studio.database, studio.settings, build_task(studio, "Here"))
    here = studio.work()
    assert here.error is None
    there = submit_build(studio.database, studio.settings, build_task(studio, "There"))
    wait_for(lambda: len(decisions(studio, there)) >= 3, WAIT_S)
    running = get_job(studio.database, there)
    assert running.state is JobState.RUNNING
    assert running.worker_pid != os.getpid()
    kill(running)
    interrupted = cluster.wait(there, JobState.INTERRUPTED, JobState.DONE)
    assert interrupted.state is JobState.INTERRUPTED, "killed too late to show anything"
    assert "press Retry" in str(interrupted.error)
    before = {row[5] for row in decisions(studio, there)}
    retry(studio.database, there)
    done = cluster.wait(there)
    assert (done.state, done.error, done.done) == (JobState.DONE, None, done.total)
    assert decisions(studio, there) == decisions(studio, here.id)
    assert before < {row[5] for row in decisions(studio, there)}
    assert png_files(studio, there) == png_files(studio, here.id)
    measured = [[one.measured for one in studio.images(job)] for job in (there, here.id)]
    assert measured[0] == measured[1]
    assert len(png_files(studio, there)) == 12
    text = "\n".join(line.text for line in job_log(studio.database, there))
    assert "workers of the cluster" in text
    assert "loading Tiny FLUX on cpu" in text
    assert partial_files(studio.settings) == []
    assert not list((studio.settings.jobs_dir / there).glob("candidate-*"))


def real_pictures(folder: Path) -> Path:
    """Some real dermoscopic images with their table, and one file that is none."""
    if not HAM10000.is_dir():
        pytest.skip("the real pictures are not here")
    lines = (HAM10000 / "labels.csv").read_text().splitlines()[: PICTURES + 1]
    (folder / "images").mkdir(parents=True)
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    for line in lines[1:]:
        name = line.split(",")[0]
        shutil.copyfile(HAM10000 / name, folder / name)
    (folder / lines[7].split(",")[0]).write_bytes(b"no picture")
    return folder


def test_an_import_of_real_pictures_on_the_cluster_equals_the_local_one(
    cluster: Cluster, tmp_path: Path
) -> None:
    studio = cluster.studio
    pictures = real_pictures(tmp_path / "ham")
    task = plan_task("ham10000", pictures, side=128)
    done = cluster.wait(submit_import(studio.database, task))
    assert (done.state, done.error) == (JobState.DONE, None)
    assert done.done == done.total == PICTURES
    here = Settings(workspace=tmp_path / "here")
    prepare_workspace(here)
    database = open_database(here)
    import_folder(here, database, pictures, "ham10000", side=128)
    assert whole(studio.database) == whole(database)
    assert "broken" in whole(database)
    assert files_of(studio.settings) == files_of(here)
    assert len(files_of(here)) >= PICTURES - 1
    (line,) = [line.text for line in job_log(studio.database, done.id)]
    assert line.startswith(f"{PICTURES - 1:,} images of HAM10000 are in the catalogue")
    database.close()


def test_a_build_is_cancelled_on_the_cluster(cluster: Cluster) -> None:
    studio = cluster.studio
    task = build_task(studio, "Endless", steps=100, per_class=100)
    job_id = submit_build(studio.database, studio.settings, task)
    wait_for(lambda: get_job(studio.database, job_id).state is JobState.RUNNING, WAIT_S)
    cancel(studio.database, job_id)
    job = cluster.wait(job_id)
    assert (job.state, job.error) == (JobState.CANCELLED, None)
    running = get_job(studio.database, job_id).worker_pid
    wait_for(lambda: running is None or not psutil.pid_exists(running), WAIT_S)
    assert partial_files(studio.settings) == []


def command(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "backend", *arguments],
        cwd=REPOSITORY,
        env=os.environ | settings.environment(),
        capture_output=True,
        text=True,
    )


def test_the_check_says_of_a_cluster_that_it_can_do_the_jobs(cluster: Cluster) -> None:
    done = command(cluster.settings, "cluster", "check")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line[:4] for line in lines] == ["ok  "] * 5
    names = [line[6:].partition(":")[0] for line in lines]
    assert names == ["address", "versions", "workspace", "database", "GPUs"]
    assert "ray 2." in lines[1]


def test_a_wrong_address_is_one_sentence_and_the_queue_says_it(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    lost = settings.model_copy(
        update={"runner": "ray", "ray_address": f"http://127.0.0.1:{free_port()}"}
    )
    sentence = f"No Ray cluster answers at {lost.ray_address}: start it with"
    (tmp_path / "pictures").mkdir()
    done = command(lost, "corpus", "import", "folder", str(tmp_path / "pictures"))
    assert done.returncode == 1
    assert done.stderr.startswith(sentence)
    assert len(done.stderr.strip().splitlines()) == 1
    assert count_jobs(database) == 0
    checked = command(lost, "cluster", "check")
    assert checked.returncode == 1
    assert checked.stdout.startswith(f"FAIL  address: {sentence}")
    job_id = submit_import(database, plan_task("folder", tmp_path / "pictures"))
    dispatch(lost, database)
    waiting = get_job(database, job_id)
    assert waiting.state is JobState.QUEUED
    assert waiting.message.startswith(sentence)


def test_what_answers_and_is_no_cluster_is_named(settings: Settings) -> None:
    import http.server
    import threading

    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(ClusterError, match="does not act as the dashboard"):
            submissions(settings.model_copy(update={"ray_address": address}))
        server.shutdown()


WITHOUT_RAY = "import sys; sys.modules['ray'] = None; from backend.cli import main; main()"


def test_without_ray_one_sentence_says_how_to_install_it(
    settings: Settings, tmp_path: Path
) -> None:
    there = settings.model_copy(update={"runner": "ray"})
    for arguments in (
        ["cluster", "check"],
        ["corpus", "import", "folder", str(tmp_path)],
        ["worker"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_RAY, *arguments],
            cwd=REPOSITORY,
            env=os.environ | there.environment(),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1
        assert "pip install -r requirements-ray.txt" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_a_sqlite_file_is_refused_where_the_cluster_has_two_machines(settings: Settings) -> None:
    require_shared_database(settings, {"10.0.0.1"})
    with pytest.raises(ClusterError, match=r"has 2 machines: set DERMAFLUX_DATABASE_URL"):
        require_shared_database(settings, {"10.0.0.1", "10.0.0.2"})
    other = settings.model_copy(update={"database_url": "postgresql://studio@lab/dermaflux"})
    require_shared_database(other, {"10.0.0.1", "10.0.0.2"})


def said(settings: Settings, database: Database, captioner: str) -> dict[str, str]:
    """What the one version of a captioner says, or why it is unsure, by the name of the image."""
    (version,) = [one for one in list_versions(database) if one.captioner == captioner]
    names = {one.id: one.source_id for one in iterate_corpus(database, settings)}
    views = list(iterate_captions(database, captioner, version.version))
    assert len({one.image_id for one in views}) == len(views)
    return {names[one.image_id]: one.text or one.unsure for one in views}


def test_captions_killed_on_the_cluster_and_tried_again_equal_the_local_ones(
    cluster: Cluster, tmp_path: Path
) -> None:
    database = cluster.studio.database
    fill_corpus(cluster.studio.settings, database, tmp_path / "set", IMAGES, name="moles")
    job_id = submit_captions(database, CaptionTask(dataset="moles", processes=1))
    wait_for(lambda: get_job(database, job_id).done > 0, WAIT_S)
    running = get_job(database, job_id)
    assert running.worker_pid != os.getpid()
    kill(running)
    interrupted = cluster.wait(job_id, JobState.INTERRUPTED, JobState.DONE)
    assert interrupted.state is JobState.INTERRUPTED, "killed too late to show anything"
    assert interrupted.done < IMAGES
    retry(database, job_id)
    done = cluster.wait(job_id)
    assert (done.state, done.error) == (JobState.DONE, None)
    there = said(cluster.studio.settings, database, "measured")
    assert len(there) == IMAGES
    here = Settings(workspace=tmp_path / "here", threads=1)
    prepare_workspace(here)
    beside = open_database(here)
    fill_corpus(here, beside, tmp_path / "set", IMAGES, name="moles")
    assert caption(here, beside).error is None
    assert said(here, beside, "measured") == there
    beside.close()


def test_a_vision_language_model_captions_on_the_cluster_as_it_does_here(
    cluster: Cluster, tmp_path: Path
) -> None:
    settings, database = cluster.studio.settings, cluster.studio.database
    fill_corpus(settings, database, tmp_path / "set", 7, name="few")
    choices = {
        "captioner": "transformers",
        "model": str(build_tiny_qwen(tmp_path / "tiny-qwen")),
        "dataset": "few",
        "batch": 2,
        "decoding": Decoding(max_new_tokens=8),
    }
    done = cluster.wait(submit_captions(database, CaptionTask.model_validate(choices)))
    assert (done.state, done.error) == (JobState.DONE, None)
    text = "\n".join(line.text for line in job_log(database, done.id))
    assert "tiny-qwen in float32 on 2 workers of the cluster" in text
    assert "loading tiny-qwen on cpu" in text
    there = said(settings, database, "transformers")
    assert len(there) == 7
    again = caption(settings, database, **choices)
    assert "of the 0 done now" in job_log(database, again.id)[-1].text
    here = Settings(workspace=tmp_path / "here", device="cpu", threads=1)
    prepare_workspace(here)
    beside = open_database(here)
    fill_corpus(here, beside, tmp_path / "set", 7, name="few")
    assert caption(here, beside, **choices).error is None
    assert said(here, beside, "transformers") == there
    beside.close()
