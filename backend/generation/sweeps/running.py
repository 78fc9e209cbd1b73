"""The job that makes the cells of a sweep, draws its figure, and gives both away."""

from pathlib import Path
from typing import Any

from backend.files import copy_file
from backend.generation.attribute_guidance.choice import attribute_guidance
from backend.generation.errors import GenerationError
from backend.generation.export import export_image_folder
from backend.generation.figure import Grid, draw_grid
from backend.generation.gallery import GalleryFilter, query_images
from backend.generation.models import usable_model
from backend.generation.provenance import write_figure
from backend.generation.request import MAX_COUNT, LoraUse
from backend.generation.running import make_images, prepare_request
from backend.generation.sweeps.axes import LORA, swept_lora
from backend.generation.sweeps.sweep import Sweep, cells, make_sweep
from backend.images import Pixels, read_image
from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState
from backend.jobs.queue import get_job, submit
from backend.settings import Settings
from backend.store.database import Database

KIND = "sweep"
FIGURE = "sweep.png"


def prepare_sweep(db: Database, settings: Settings, sweep: Sweep) -> Sweep:
    """The sweep with everything said that its request left open, each LoRA that varies included.

    Raises:
        ModelError: the model is unknown or cannot be used.
        RequestError: attribute guidance varies where no classifier can act.
        LoraError: a LoRA is not on the shelf, or does not fit the model.
    """
    request = sweep.request
    used = {use.name for use in request.loras}
    names = [swept_lora(axis.name) for axis in sweep.axes]
    added = tuple(LoraUse(name=name) for name in names if name and name not in used)
    request = request.model_copy(update={"loras": (*request.loras, *added)})
    prepared = sweep.model_copy(update={"request": prepare_request(db, settings, request)})
    entry = usable_model(settings, request.model)
    for cell in cells(prepared):
        attribute_guidance(entry, cell)
    return prepared


def submit_sweep(db: Database, settings: Settings, sweep: Sweep, owner: str | None = None) -> str:
    """Queue a sweep; returns the id of the job.

    Raises:
        ModelError: the model is unknown or cannot be used.
        LoraError: a LoRA is not on the shelf, or does not fit the model.
        StoreError: the database cannot be written.
    """
    prepared = prepare_sweep(db, settings, sweep)
    return submit(
        db,
        kind=KIND,
        payload=prepared.model_dump(mode="json"),
        title=sweep_title(prepared),
        owner=owner,
        total=sweep_steps(prepared),
    )


def sweep_title(sweep: Sweep) -> str:
    """What the job is called in lists."""
    titles = [axis.kind.title for axis in reversed(sweep.axes)]
    names = " by ".join(title[:1].lower() + title[1:] for title in titles)
    rows, columns = sweep.shape
    return f"Sweep of {names}, {columns} x {rows} images by {sweep.request.model}"


def sweep_steps(sweep: Sweep) -> int:
    """How many steps all cells take together."""
    return sum(request.steps for request in cells(sweep))


def run_sweep(context: JobContext, payload: dict[str, Any], warm: WarmState) -> None:
    """Make the cells that the gallery does not hold yet, then the figure.

    Raises:
        DermaFluxError: model, size, disk or database stand in the way.
        MemoryError, torch.OutOfMemoryError: the device has no room left.
        JobStopped: cancelled, interrupted or lost; raised at the next step.
    """
    sweep = make_sweep(payload)
    context.attempting = sweep_title(sweep)
    make_images(context, cells(sweep), warm)
    write_sweep_figure(context.settings, context.database, context.job.id, sweep)


def write_sweep_figure(settings: Settings, db: Database, job_id: str, sweep: Sweep) -> Path:
    """Draw the labelled figure from the gallery into the folder of the job; returns its file.

    An image that was deleted leaves its place empty.

    Raises:
        FileError: disk full, or the workspace cannot be written.
    """
    rows, columns = sweep.shape
    made = _tiles(settings, db, job_id)
    grid = Grid(
        title=sweep_title(sweep),
        across=sweep.across.kind.title,
        down=sweep.down.kind.title if sweep.down else "",
        columns=sweep.across.words(),
        rows=sweep.down.words() if sweep.down else ("",),
        tiles=[
            [made.get(row * columns + column) for column in range(columns)] for row in range(rows)
        ],
        notes=_notes(sweep),
    )
    file = settings.jobs_dir / job_id / FIGURE
    write_figure(file, draw_grid(grid), {"sweep": sweep.model_dump(mode="json")})
    return file


def export_sweep(db: Database, settings: Settings, job_id: str, destination: Path) -> Path:
    """The figure and the images of a finished sweep in a new folder, all marked synthetic.

    Raises:
        JobError: there is no such job.
        GenerationError: it is no sweep or has no image, or the destination is taken.
        FileError: disk full, or the destination cannot be written.
    """
    job = get_job(db, job_id)
    if job.kind != KIND:
        raise GenerationError(f"The job {job_id} is no sweep: choose one of the kind {KIND}.")
    figure = write_sweep_figure(settings, db, job_id, make_sweep(job.payload))
    images = query_images(db, settings, GalleryFilter(job_id=job_id), limit=MAX_COUNT)
    ids = [image.id for image in sorted(images, key=lambda image: image.position)]
    folder = export_image_folder(db, settings, ids, destination)
    copy_file(figure, folder / FIGURE)
    return folder


def _tiles(settings: Settings, db: Database, job_id: str) -> dict[int, Pixels]:
    images = query_images(db, settings, GalleryFilter(job_id=job_id), limit=MAX_COUNT)
    return {image.position: read_image(image.path) for image in images}


def _notes(sweep: Sweep) -> tuple[str, ...]:
    request = sweep.request
    varied = {axis.name for axis in sweep.axes}
    facts = {
        "seed": f"seed {request.seed}",
        "steps": f"{request.steps} steps",
        "guidance": f"guidance {request.guidance_scale:g}",
    }
    if request.attribute_guidance is not None:
        facts["attribute-guidance"] = f"attribute guidance {request.attribute_guidance:g}"
    facts |= {f"{LORA}{use.name}": f"LoRA {use.name} x {use.weight:g}" for use in request.loras}
    said = [words for name, words in facts.items() if name not in varied]
    caption = sweep.template or request.caption
    if sweep.template is None and any(axis.kind.attribute for axis in sweep.axes):
        caption = "Captions written from attributes"
    negative = request.negative_caption
    against = (f"Negative caption: {negative}",) if negative else ()
    size = f"{request.width} x {request.height} px"
    return (caption, *against, ", ".join((request.model, size, *said)))
