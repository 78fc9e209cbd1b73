"""The options that describe a lesion, shared by every command that takes one."""

from typing import Annotated

import typer
from pydantic import ValidationError

from backend.abc.attributes import (
    Asymmetry,
    Border,
    Colour,
    Diagnosis,
    Edge,
    Label,
    LesionAttributes,
    Modality,
    Site,
    SkinTone,
    pattern_of,
)
from backend.abc.grammar import CaptionStyle
from backend.cli.progress import CommandError

PANEL = "Lesion"

AsymmetryOption = Annotated[Asymmetry | None, typer.Option(rich_help_panel=PANEL)]
BorderOption = Annotated[Border | None, typer.Option(rich_help_panel=PANEL)]
EdgeOption = Annotated[Edge | None, typer.Option(rich_help_panel=PANEL)]
ColourOption = Annotated[
    list[Colour] | None,
    typer.Option(help="Once for each colour, the dominant one first.", rich_help_panel=PANEL),
]
LabelOption = Annotated[Label | None, typer.Option(rich_help_panel=PANEL)]
DiagnosisOption = Annotated[Diagnosis | None, typer.Option(rich_help_panel=PANEL)]
ModalityOption = Annotated[Modality | None, typer.Option(rich_help_panel=PANEL)]
SkinToneOption = Annotated[
    int | None, typer.Option(min=1, max=6, help="Fitzpatrick type, 1 to 6.", rich_help_panel=PANEL)
]
SiteOption = Annotated[Site | None, typer.Option(rich_help_panel=PANEL)]
DiameterOption = Annotated[float | None, typer.Option(rich_help_panel=PANEL)]
StyleOption = Annotated[
    CaptionStyle,
    typer.Option(help="Wording; authors and label_only need --label.", rich_help_panel=PANEL),
]


def lesion_of(
    *, colour: list[Colour] | None, skin_tone: int | None, **values: object
) -> LesionAttributes:
    """The attributes that the options amount to; CommandError where they contradict each other."""
    colours = tuple(dict.fromkeys(colour or ()))
    try:
        return LesionAttributes.model_validate(
            {
                **values,
                "colours": colours,
                "pattern": pattern_of(colours),
                "skin_tone": SkinTone(skin_tone) if skin_tone else None,
            }
        )
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise CommandError(f"These attributes do not go together: {message}") from error
