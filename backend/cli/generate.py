"""`generate`: images from a caption, or from attributes, into the gallery and a folder."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.abc.attributes import LesionAttributes
from backend.abc.grammar import CaptionStyle, write_caption
from backend.cli.lesion import (
    AsymmetryOption,
    BorderOption,
    ColourOption,
    DiagnosisOption,
    DiameterOption,
    EdgeOption,
    LabelOption,
    ModalityOption,
    SiteOption,
    SkinToneOption,
    StyleOption,
    lesion_of,
)
from backend.cli.output import JsonOption, emit
from backend.cli.progress import CommandError, ProgressLine, require_done
from backend.cli.workspace import open_workspace

if TYPE_CHECKING:
    from backend.generation.gallery import ImageView
    from backend.generation.models import ModelEntry
    from backend.generation.request import GenerationRequest
    from backend.settings import Settings
    from backend.store.database import Database

SAMPLING = "Sampling"


def register(app: typer.Typer) -> None:
    """Add `generate`."""
    app.command("generate")(generate)


def generate(
    out: Annotated[Path, typer.Option(help="Folder for the images; made if it is missing.")],
    caption: Annotated[
        str | None,
        typer.Option(
            help="What to show. Leave it out and describe the lesion by the options below."
        ),
    ] = None,
    count: Annotated[int, typer.Option(help="How many images; each counts the seed on.")] = 1,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the first image and of the wording; drawn if unset.")
    ] = None,
    asymmetry: AsymmetryOption = None,
    border: BorderOption = None,
    edge: EdgeOption = None,
    colour: ColourOption = None,
    label: LabelOption = None,
    diagnosis: DiagnosisOption = None,
    modality: ModalityOption = None,
    skin_tone: SkinToneOption = None,
    site: SiteOption = None,
    diameter_mm: DiameterOption = None,
    style: StyleOption = CaptionStyle.PLAIN,
    model: Annotated[
        str, typer.Option(help="As `models list` names it.", rich_help_panel=SAMPLING)
    ] = "starter",
    steps: Annotated[
        int | None, typer.Option(help="The model's own if unset.", rich_help_panel=SAMPLING)
    ] = None,
    guidance: Annotated[
        float | None, typer.Option(help="The model's own if unset.", rich_help_panel=SAMPLING)
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="SIDE or WIDTHxHEIGHT, multiples of 16; the model's first if unset.",
            rich_help_panel=SAMPLING,
        ),
    ] = None,
    lora: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME or NAME:WEIGHT from `lora list`, weight -2 to 2; several times for several.",
            rich_help_panel=SAMPLING,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make images of skin lesions, all synthetic, and copy them into a folder.

    The same options and seed give the same pixels as the page does on this machine, today and
    after a restart. The images also enter the gallery, the run the list of jobs. Each PNG carries
    its request and says that it is synthetic.
    """
    from backend.generation.models import usable_model
    from backend.generation.request import make_request

    attributes = lesion_of(
        colour=colour,
        skin_tone=skin_tone,
        asymmetry=asymmetry,
        border=border,
        edge=edge,
        label=label,
        diagnosis=diagnosis,
        modality=modality,
        site=site,
        diameter_mm=diameter_mm,
    )
    seed = secrets.randbits(32) if seed is None else seed
    with open_workspace() as (settings, database):
        entry = usable_model(settings, model)
        width, height = size_of(size, entry)
        request = make_request(
            {
                **_wording(caption, attributes, style, seed),
                "model": model,
                "count": count,
                "seed": seed,
                "steps": entry.steps if steps is None else steps,
                "guidance_scale": entry.guidance_scale if guidance is None else guidance,
                "width": width,
                "height": height,
                "loras": [_lora_use(text) for text in lora or ()],
            }
        )
        job_id, images = _run(settings, database, request)
        files = [_copy(image, out) for image in images]
    rows = [
        {"file": file, "id": image.id, "seed": image.seed, "pixel_sha256": image.pixel_hash}
        for file, image in zip(files, images, strict=True)
    ]
    value = {"job": job_id, "synthetic": True, "request": images[0].request, "images": rows}
    emit(
        value, as_json, [f"{image.seed}  {file}" for file, image in zip(files, images, strict=True)]
    )


def _wording(
    caption: str | None, attributes: LesionAttributes, style: CaptionStyle, seed: int
) -> dict[str, object]:
    """A caption as given, or written from attributes; never both."""
    chosen = attributes != LesionAttributes()
    if caption is not None and chosen:
        raise CommandError("Give either --caption or attributes such as --border, not both.")
    if caption is not None:
        return {"caption": caption}
    if not chosen:
        raise CommandError("Say what to show: give --caption, or attributes such as --border.")
    written = write_caption(attributes, style=style, seed=seed)
    return {"caption": written, "style": style, "attributes": attributes}


def size_of(size: str | None, entry: ModelEntry) -> tuple[int, int]:
    """Width and height that --size names, the model's first size if unset; raises CommandError."""
    if size is None:
        return entry.sizes[0], entry.sizes[0]
    width, _, height = size.lower().partition("x")
    try:
        return int(width), int(height or width)
    except ValueError as error:
        raise CommandError(f"--size {size} is no size: write 128 or 128x192.") from error


def _lora_use(text: str) -> dict[str, object]:
    name, _, weight = text.partition(":")
    try:
        return {"name": name, "weight": float(weight or 1)}
    except ValueError as error:
        raise CommandError(f"--lora {text} has no weight: write {name}:0.8, or {name}.") from error


def _run(
    settings: Settings, database: Database, request: GenerationRequest
) -> tuple[str, list[ImageView]]:
    from backend.generation.gallery import GalleryFilter, query_images
    from backend.generation.running import KIND, job_title, prepare_request
    from backend.jobs.here import run_here

    prepared = prepare_request(database, settings, request)
    progress = ProgressLine()
    try:
        job = run_here(
            settings,
            database,
            kind=KIND,
            payload=prepared.model_dump(mode="json"),
            title=job_title(prepared),
            total=prepared.count * prepared.steps,
            show=progress.show,
        )
    finally:
        progress.close()
    require_done(job)
    made = query_images(database, settings, GalleryFilter(job_id=job.id), limit=prepared.count)
    return job.id, sorted(made, key=lambda image: image.position)


def _copy(image: ImageView, folder: Path) -> Path:
    from backend.files import copy_file

    file = folder / image.path.name
    copy_file(image.path, file)
    return file
