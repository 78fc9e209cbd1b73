"""`sweep`: a grid of images over one or two axes, from the same noise, with its figure."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

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
from backend.cli.values import named_values
from backend.cli.workspace import open_workspace


def register(app: typer.Typer) -> None:
    """Add `sweep`."""
    app.command("sweep")(sweep)


def sweep(
    across: Annotated[
        str,
        typer.Option(
            help="What varies from column to column, NAME=VALUE,VALUE: an attribute (its NAME "
            "alone for all values; colours=red,black+red), guidance, attribute-guidance, "
            "steps, seed, or the weight of a LoRA (lora:NAME=0,0.5,1)."
        ),
    ],
    out: Annotated[Path, typer.Option(help="A new folder for the figure and the images.")],
    down: Annotated[str | None, typer.Option(help="The same for the rows.")] = None,
    caption: Annotated[
        str | None, typer.Option(help="Words of your own, for axes that are no attribute.")
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            help="Wording with wildcards such as {border}: nothing but the attribute changes from "
            "cell to cell. Without it the grammar writes each caption."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of noise and wording; drawn if unset.")] = None,
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
    """Make a grid of images that differ in one or two things only, and one labelled figure.

    All cells start from the same noise, unless the seed is an axis. Each has the pixels that a
    single request with its values would give.

    Example: python -m backend sweep --across border --down guidance=1,3.5,7 --asymmetry one_axis
    --template "A lesion with {asymmetry} and a {border} border." --seed 7 --out borders
    """
    from backend.generation.models import usable_model
    from backend.generation.sweeps.running import (
        FIGURE,
        KIND,
        export_sweep,
        prepare_sweep,
        sweep_steps,
        sweep_title,
    )
    from backend.generation.sweeps.sweep import make_sweep

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
    if out.exists():
        raise CommandError(f"The folder {out} is there already: choose a new name.")
    seed = secrets.randbits(32) if seed is None else seed
    with open_workspace() as (settings, database):
        entry = usable_model(settings, model)
        request = {
            **_wording(caption, template, attributes, style, seed),
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
            "negative_caption": negative_caption,
        }
        values = {"request": request, "across": _axis(across, "--across"), "template": template}
        if down is not None:
            values["down"] = _axis(down, "--down")
        declared = prepare_sweep(database, settings, make_sweep(values))
        job = run_to_its_end(
            settings,
            database,
            kind=KIND,
            payload=declared.model_dump(mode="json"),
            title=sweep_title(declared),
            total=sweep_steps(declared),
        )
        folder = export_sweep(database, settings, job.id, out)
    figure = folder / FIGURE
    value = {"job": job.id, "synthetic": True, "sweep": declared, "figure": figure}
    emit(value, as_json, [str(figure)])


def _axis(text: str, option: str) -> dict[str, object]:
    name, values = named_values(text, option)
    return {"name": name, "values": values}


def _wording(
    caption: str | None,
    template: str | None,
    attributes: LesionAttributes,
    style: CaptionStyle,
    seed: int,
) -> dict[str, object]:
    """What the request of all cells says: own words, a template, or attributes."""
    if caption is not None and (template is not None or attributes != LesionAttributes()):
        raise CommandError("Give --caption, or a template and attributes, not both.")
    if caption is not None:
        return {"caption": caption}
    if template is not None:
        return {"caption": template, "attributes": attributes}
    written = write_caption(attributes, style=style, seed=seed)
    return {"caption": written, "style": style, "attributes": attributes}
