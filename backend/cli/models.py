"""`models`: which models are here, and whether a folder can be used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backend.cli.output import JsonOption, aligned, emit
from backend.cli.workspace import open_workspace


def register(app: typer.Typer) -> None:
    """Add `models`."""
    models = typer.Typer(no_args_is_help=True, help="List models, and check a model's folder.")
    models.command("list")(list_)
    models.command("check")(check)
    models.command("hash")(hash_)
    app.add_typer(models, name="models")


def list_(as_json: JsonOption = False) -> None:
    """List the models that are here, with what stands in the way of those that cannot be used.

    To add one, put its folder in diffusers layout, as the hub has it, into `models` of the
    workspace: models/FLUX.1-dev/model_index.json and so on. Nothing is downloaded.
    """
    from backend.generation.models import list_models

    with open_workspace() as (settings, _):
        entries = list_models(settings)
        models_dir = settings.models_dir
    rows = [
        (
            entry.name,
            ", ".join(str(side) for side in entry.sizes),
            f"{entry.bytes / 1e6:,.0f} MB",
            entry.licence,
            entry.problem or "ready",
        )
        for entry in entries
    ]
    text = aligned(("NAME", "SIZES (PX)", "ON DISK", "LICENCE", "STATE"), rows)
    emit(entries, as_json, [*text, "", f"More models go into {models_dir}, one folder each."])


def check(
    folder: Annotated[Path, typer.Argument(help="A model's folder in diffusers layout.")],
    as_json: JsonOption = False,
) -> None:
    """Check that a folder is a complete FLUX pipeline in safetensors, without loading it."""
    from backend.generation.models import check_model_folder

    check_model_folder(folder)
    emit({"folder": folder.absolute(), "usable": True}, as_json, f"{folder} can be used.")


def hash_(
    name: Annotated[str, typer.Argument(help="As `models list` names it.")],
    as_json: JsonOption = False,
) -> None:
    """Print the identity of a model: SHA-256 over its tensors, as its images carry it."""
    from backend.generation.models import hash_cache, model_hash, usable_model

    with open_workspace() as (settings, _):
        entry = usable_model(settings, name)
        value = model_hash(entry.folder, cache=hash_cache(settings))
    emit({"model": name, "sha256": value}, as_json, value)
