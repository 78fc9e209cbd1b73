"""A workspace with the tiny FLUX in it, and jobs run in this process by a real worker."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backend.generation.gallery import GalleryFilter, ImageView, query_images
from backend.generation.request import GenerationRequest
from backend.generation.running import submit_generation
from backend.jobs.processes import this_process
from backend.jobs.queue import JobView, claim_next, get_job
from backend.jobs.worker import Worker
from backend.settings import Settings, prepare_workspace
from backend.store.database import Database, open_database

CAPTION = "A symmetric lesion with a regular border and a uniform light brown colour."


@dataclass(frozen=True)
class Studio:
    """Settings, database, and a worker that keeps its model warm from test to test."""

    settings: Settings
    database: Database
    worker: Worker

    def submit(self, request: GenerationRequest) -> str:
        """Queue a request."""
        return submit_generation(self.database, self.settings, request)

    def work(self) -> JobView:
        """Do the next job of the queue; returns it as it ended."""
        job = claim_next(self.database, this_process())
        assert job is not None
        self.worker.run_job(job)
        return get_job(self.database, job.id)

    def make(self, request: GenerationRequest) -> list[ImageView]:
        """The images of a request, in order."""
        self.submit(request)
        job = self.work()
        assert job.error is None
        return self.images(job.id)

    def images(self, job_id: str) -> list[ImageView]:
        """What a job has put into the gallery, in order."""
        made = query_images(self.database, self.settings, GalleryFilter(job_id=job_id), limit=100)
        return sorted(made, key=lambda image: image.position)


def open_studio(folder: Path, tiny_flux: Path) -> Studio:
    """A fresh workspace that knows the model `tiny`."""
    settings = Settings(workspace=folder, device="cpu", threads=1)
    prepare_workspace(settings)
    shutil.copytree(tiny_flux, settings.models_dir / "tiny")
    database = open_database(settings)
    return Studio(settings, database, Worker(settings, database))


def tiny_request(**changes: object) -> GenerationRequest:
    """A request that takes a moment: 64 x 64 pixels, 4 steps."""
    values = {
        "caption": CAPTION,
        "model": "tiny",
        "seed": 7,
        "steps": 4,
        "width": 64,
        "height": 64,
    }
    return GenerationRequest.model_validate(values | changes)


def wait_for(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait until it holds; a busy machine is no failure."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def partial_files(settings: Settings) -> list[Path]:
    """What a writer left behind half-written."""
    return list(settings.workspace.rglob("*.partial"))


def break_weights(tiny_flux: Path, folder: Path) -> None:
    """A copy of the tiny FLUX whose last layer gives no numbers."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny_flux, folder)
    file = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    tensors["proj_out.bias"].fill_(float("nan"))
    save_file(tensors, file)
