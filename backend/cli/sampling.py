"""The options that decide how a model samples, shared by every command that makes images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from backend.cli.progress import CommandError
from backend.generation.profile import Profile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backend.generation.models import ModelEntry

PANEL = "Sampling"

ModelOption = Annotated[str, typer.Option(help="As `models list` names it.", rich_help_panel=PANEL)]
StepsOption = Annotated[
    int | None, typer.Option(help="The model's own if unset.", rich_help_panel=PANEL)
]
GuidanceOption = Annotated[
    float | None, typer.Option(help="The model's own if unset.", rich_help_panel=PANEL)
]
AttributeGuidanceOption = Annotated[
    float | None,
    typer.Option(
        help="How strongly the model's classifier leads to the asymmetry, border, colours and skin "
        "that the caption states, 0 to 2. If unset 1 where the model has one, and 0 with LoRAs.",
        rich_help_panel=PANEL,
    ),
]
SizeOption = Annotated[
    str | None,
    typer.Option(
        help="SIDE or WIDTHxHEIGHT, multiples of 16; the model's first if unset.",
        rich_help_panel=PANEL,
    ),
]
ProfileOption = Annotated[
    Profile | None,
    typer.Option(
        help="How: exact, fast, draft, or for the memory of a card; `profiles` explains them. "
        "What suits the device if unset.",
        rich_help_panel=PANEL,
    ),
]

NegativeCaptionOption = Annotated[
    str | None,
    typer.Option(help="What Stable Diffusion is to keep away from.", rich_help_panel=PANEL),
]
LoraOption = Annotated[
    list[str] | None,
    typer.Option(
        help="NAME or NAME:WEIGHT from `lora list`, weight -2 to 2; several times for several.",
        rich_help_panel=PANEL,
    ),
]


def lora_uses(texts: Iterable[str] | None) -> list[dict[str, object]]:
    """The LoRAs of a request from the options; raises CommandError for a weight that is none."""
    return [_lora_use(text) for text in texts or ()]


def sampling_of(
    entry: ModelEntry,
    *,
    steps: int | None,
    guidance: float | None,
    attribute_guidance: float | None,
    size: str | None,
    profile: Profile | None,
) -> dict[str, object]:
    """The fields of a request that the options decide; what is unset is the model's own.

    Raises CommandError for a size that is none.
    """
    width, height = _size_of(size, entry)
    return {
        "model": entry.name,
        "steps": entry.steps if steps is None else steps,
        "guidance_scale": entry.guidance_scale if guidance is None else guidance,
        "attribute_guidance": attribute_guidance,
        "width": width,
        "height": height,
        "profile": profile,
    }


def _lora_use(text: str) -> dict[str, object]:
    name, _, weight = text.partition(":")
    try:
        return {"name": name, "weight": float(weight or 1)}
    except ValueError as error:
        raise CommandError(f"--lora {text} has no weight: write {name}:0.8, or {name}.") from error


def _size_of(size: str | None, entry: ModelEntry) -> tuple[int, int]:
    if size is None:
        return entry.sizes[0], entry.sizes[0]
    width, _, height = size.lower().partition("x")
    try:
        return int(width), int(height or width)
    except ValueError as error:
        raise CommandError(f"--size {size} is no size: write 128 or 128x192.") from error
