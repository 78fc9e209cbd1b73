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
from backend.cli.progress import CommandError, run_to_its_end
from backend.cli.sampling import (
    AttributeGuidanceOption,
    GuidanceOption,
    LoraOption,
    ModelOption,
    NegativeCaptionOption,
    ProfileOption,
    SizeOption,
    StepsOption,
    lora_uses,
    sampling_of,
)
from backend.cli.workspace import open_workspace

if TYPE_CHECKING:
    from backend.generation.gallery import ImageView
    from backend.generation.request import GenerationRequest
    from backend.settings import Settings
    from backend.store.database import Database


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
    model: ModelOption = "starter",
    steps: StepsOption = None,
    guidance: GuidanceOption = None,
    attribute_guidance: AttributeGuidanceOption = None,
    size: SizeOption = None,
    profile: ProfileOption = None,
    lora: LoraOption = None,
    negative_caption: NegativeCaptionOption = None,
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
        request = make_request(
            {
                **_wording(caption, attributes, style, seed),
                "negative_caption": negative_caption,
                "count": count,
                "seed": seed,
                **sampling_of(
                    entry,
                    steps=steps,
                    guidance=guidance,
                    attribute_guidance=attribute_guidance,
                    size=size,
                    profile=profile,
                ),
                "loras": lora_uses(lora),
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


def _run(
    settings: Settings, database: Database, request: GenerationRequest
) -> tuple[str, list[ImageView]]:
    from backend.generation.gallery import GalleryFilter, query_images
    from backend.generation.running import KIND, job_title, prepare_request

    prepared = prepare_request(database, settings, request)
    job = run_to_its_end(
        settings,
        database,
        kind=KIND,
        payload=prepared.model_dump(mode="json"),
        title=job_title(prepared),
        total=prepared.count * prepared.steps,
    )
    made = query_images(database, settings, GalleryFilter(job_id=job.id), limit=prepared.count)
    return job.id, sorted(made, key=lambda image: image.position)


def _copy(image: ImageView, folder: Path) -> Path:
    from backend.files import copy_file

    file = folder / image.path.name
    copy_file(image.path, file)
    return file
