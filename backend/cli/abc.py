"""`compose`, `parse`, `phantom`, `calibrate`: the ABC language from the command line."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer

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
from backend.cli.output import JsonOption, aligned, emit

SeedOption = Annotated[int | None, typer.Option(help="Drawn if unset.")]


def register(app: typer.Typer) -> None:
    """Add the commands of the ABC language."""
    for name, command in (
        ("compose", compose),
        ("parse", parse_),
        ("phantom", phantom),
        ("calibrate", calibrate_),
    ):
        app.command(name)(command)


def compose(
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
    sentences: Annotated[
        int | None, typer.Option(min=1, max=6, help="How many sentences; drawn if unset.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many wordings.")] = 1,
    seed: SeedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write captions that state the chosen attributes, each seed another wording.

    Example: python -m backend compose --asymmetry one_axis --border irregular --colour dark_brown
    --colour black --count 3 --seed 1
    """
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
    first = secrets.randbits(31) if seed is None else seed
    captions = [
        write_caption(attributes, style=style, seed=first + step, sentences=sentences)
        for step in range(count)
    ]
    emit({"seed": first, "attributes": attributes, "captions": captions}, as_json, captions)


def parse_(
    text: Annotated[str, typer.Argument(help="A caption or any free description of a lesion.")],
    as_json: JsonOption = False,
) -> None:
    """Read the attributes out of a text, with the words that said them."""
    from backend.abc.parser import parse

    reading = parse(text)
    rows = [
        (item.field, item.value, "denied" if item.negated else "", text[item.start : item.end])
        for item in reading.evidence
    ]
    lines = aligned(("FIELD", "VALUE", "", "WORDS"), rows) if rows else ["Nothing was recognised."]
    emit({"attributes": reading.attributes, "evidence": reading.evidence}, as_json, lines)


def phantom(
    out: Annotated[Path, typer.Option(help="Folder for the pictures; made if it is missing.")],
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
    size: Annotated[int, typer.Option(help="Side in pixels.")] = 256,
    count: Annotated[int, typer.Option(min=1, help="How many; each counts the seed on.")] = 1,
    seed: SeedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw phantoms: parametric lesions whose attributes are known exactly. What is unset is drawn.

    Every picture is marked as synthetic and carries its attributes and seed.
    """
    from backend.generation.provenance import write_phantom
    from backend.phantom import render

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
    first = secrets.randbits(31) if seed is None else seed
    rows = []
    for step in range(count):
        drawn = render(attributes, size=size, seed=first + step)
        file = out / f"phantom-{first + step}.png"
        write_phantom(file, drawn.image, truth=drawn.truth, seed=first + step)
        rows.append({"file": file, "seed": first + step, "truth": drawn.truth})
    emit({"synthetic": True, "phantoms": rows}, as_json, [str(row["file"]) for row in rows])


def calibrate_(
    phantoms: Annotated[int, typer.Option(min=1, help="How many to fit on.")] = 3000,
    held_out: Annotated[int, typer.Option(min=1, help="How many to score on.")] = 400,
    palette_rounds: Annotated[
        int, typer.Option(min=1, help="Phantoms for each colour on each skin.")
    ] = 6,
    out: Annotated[
        Path | None, typer.Option(help="Where the meter is written; the studio's own if unset.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fit the meter to phantoms again and print its scores on held-out ones; takes minutes."""
    from backend.abc.calibration import calibrate, write_meter
    from backend.abc.measurement.meter import METER_FILE

    meter = calibrate(phantoms=phantoms, held_out=held_out, palette_rounds=palette_rounds)
    write_meter(meter, out or METER_FILE)
    scores = meter.provenance.scores
    emit(meter.provenance, as_json, [f"{name}: {score:.3f}" for name, score in scores.items()])
