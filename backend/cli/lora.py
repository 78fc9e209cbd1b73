"""`lora`: the shelf of LoRAs, and what is known of each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.cli.output import JsonOption, aligned, emit
from backend.cli.progress import CommandError
from backend.cli.workspace import open_workspace
from backend.generation.lora.layouts import Layout

if TYPE_CHECKING:
    from backend.generation.lora.shelf import LoraView

Name = Annotated[str, typer.Argument(help="As `lora list` prints it.")]


def register(app: typer.Typer) -> None:
    """Add `lora`."""
    lora = typer.Typer(no_args_is_help=True, help="Keep LoRAs on a shelf for `generate --lora`.")
    for name, command in (
        ("add", add),
        ("list", list_),
        ("show", show),
        ("rename", rename),
        ("remove", remove),
        ("export", export),
    ):
        lora.command(name)(command)
    app.add_typer(lora, name="lora")


def add(
    file: Annotated[Path, typer.Argument(help="A LoRA in safetensors: kohya, diffusers, XLabs.")],
    name: Annotated[str | None, typer.Option(help="The name of the file if unset.")] = None,
    title: Annotated[str | None, typer.Option(help="The file's own title if unset.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a LoRA file and copy it onto the shelf.

    A pickle, a file that is damaged or not whole, with NaN or with tensors that nothing here can
    apply is refused with the reason. The file itself is left as it is.
    """
    from backend.generation.lora.shelf import add_lora

    with open_workspace() as (settings, database):
        view = add_lora(database, settings, file, name=name, title=title)
    emit(view, as_json, [f"{view.name} is on the shelf.", *_facts(view)])


def list_(as_json: JsonOption = False) -> None:
    """List the shelf by name."""
    from backend.generation.lora.shelf import list_loras

    with open_workspace() as (settings, database):
        views = list_loras(database, settings)
    rows = [
        (
            view.name,
            view.family.full_name,
            view.layout,
            _ranks(view),
            f"{view.parameters:,}",
            view.hash[:10],
        )
        for view in views
    ]
    header = ("NAME", "FOR", "LAYOUT", "RANK", "PARAMETERS", "HASH")
    emit(views, as_json, aligned(header, rows) if views else "The shelf is empty: `lora add FILE`.")


def show(name: Name, as_json: JsonOption = False) -> None:
    """Show what is known of a LoRA."""
    from backend.generation.lora.shelf import get_lora

    with open_workspace() as (settings, database):
        view = get_lora(database, settings, name)
    emit(view, as_json, _facts(view))


def rename(
    name: Name,
    new_name: Annotated[str, typer.Argument(help="Letters, digits, dots, hyphens, underscores.")],
    as_json: JsonOption = False,
) -> None:
    """Give a LoRA another name; images made with it keep the old one, and its hash."""
    from backend.generation.lora.shelf import rename_lora

    with open_workspace() as (settings, database):
        view = rename_lora(database, settings, name, new_name)
    emit(view, as_json, f"{name} is now called {view.name}.")


def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Take a LoRA off the shelf, with its file; images made with it stay."""
    from backend.generation.lora.shelf import get_lora, remove_lora

    with open_workspace() as (settings, database):
        view = get_lora(database, settings, name)
        question = f"Remove {name} ({view.bytes / 1e6:,.1f} MB) from the shelf for good?"
        if not yes and not typer.confirm(question, err=True):
            raise CommandError("Nothing was removed.")
        remove_lora(database, settings, name)
    emit({"removed": name}, as_json, f"{name} is removed; images made with it stay.")


def export(
    name: Name,
    out: Annotated[Path, typer.Option(help="A new .safetensors file, or a folder for it.")],
    layout: Annotated[
        Layout, typer.Option(help="kohya for sd-scripts, ComfyUI and A1111; or diffusers.")
    ] = Layout.DIFFUSERS,
    as_json: JsonOption = False,
) -> None:
    """Write a LoRA for another program; in the layout it has, byte for byte."""
    from backend.generation.lora.export import export_lora
    from backend.generation.lora.shelf import get_lora

    with open_workspace() as (settings, database):
        path = export_lora(get_lora(database, settings, name), out, layout)
    emit({"file": path, "layout": layout}, as_json, f"{name} is in {path}, in {layout} layout.")


def _facts(view: LoraView) -> list[str]:
    facts = {
        "title": view.title,
        "for": view.family.full_name,
        "layout": view.layout,
        "rank": _ranks(view),
        "changes": view.targets,
        "parameters": f"{view.parameters:,}",
        "size": f"{view.bytes / 1e6:,.1f} MB",
        "base model": view.base or "not stated",
        "T5 length": f"{view.t5_length} tokens" if view.t5_length else "not stated",
        "hash": view.hash,
    }
    return aligned(("FACT", "VALUE"), facts.items())


def _ranks(view: LoraView) -> str:
    return ", ".join(str(rank) for rank in view.ranks)
