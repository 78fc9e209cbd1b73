"""`gallery`: generated images found, exported, recalled and removed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from backend.abc.attributes import Asymmetry, Border, Colour, Label, SkinTone
from backend.cli.output import JsonOption, aligned, emit
from backend.cli.progress import CommandError
from backend.cli.workspace import open_workspace

Ids = Annotated[list[str], typer.Argument(help="Ids of images, as `gallery list` prints them.")]


def register(app: typer.Typer) -> None:
    """Add `gallery`."""
    gallery = typer.Typer(no_args_is_help=True, help="Find, export and remove generated images.")
    for name, command in (
        ("list", list_),
        ("show", show),
        ("recall", recall),
        ("export", export),
        ("star", star),
        ("delete", delete),
        ("restore", restore),
        ("purge", purge),
    ):
        gallery.command(name)(command)
    app.add_typer(gallery, name="gallery")


def list_(
    text: Annotated[str, typer.Option(help="Words in the caption.")] = "",
    model: Annotated[str | None, typer.Option()] = None,
    job: Annotated[str | None, typer.Option(help="Only the images of this job.")] = None,
    label: Annotated[Label | None, typer.Option()] = None,
    asymmetry: Annotated[Asymmetry | None, typer.Option()] = None,
    border: Annotated[Border | None, typer.Option()] = None,
    colour: Annotated[
        list[Colour] | None, typer.Option(help="Several times for all of several.")
    ] = None,
    skin_tone: Annotated[
        int | None, typer.Option(min=1, max=6, help="Fitzpatrick type, 1 to 6.")
    ] = None,
    starred: Annotated[bool, typer.Option("--starred", help="Only favourites.")] = False,
    measured: Annotated[
        bool, typer.Option("--measured", help="Go by what was measured, not what was asked for.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 20,
    offset: Annotated[int, typer.Option(min=0, help="Leave out so many of the newest.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """List images, the newest first."""
    from backend.generation.gallery import GalleryFilter, count_images, query_images

    criteria = GalleryFilter(
        text=text,
        model=model,
        label=label,
        asymmetry=asymmetry,
        border=border,
        colours=tuple(colour or ()),
        skin_tone=None if skin_tone is None else SkinTone(skin_tone),
        starred=starred or None,
        job_id=job,
        measured=measured,
    )
    with open_workspace() as (settings, database):
        images = query_images(database, settings, criteria, limit=limit, offset=offset)
        total = count_images(database, criteria)
    rows = [(image.id, image.model, image.seed, image.caption[:60]) for image in images]
    text_lines = aligned(("ID", "MODEL", "SEED", "CAPTION"), rows)
    value = {"total": total, "images": images}
    emit(value, as_json, [*text_lines, f"{len(images)} of {total} images"])


def show(
    image_id: Annotated[str, typer.Argument(help="As `gallery list` prints it.")],
    as_json: JsonOption = False,
) -> None:
    """Show one image's request, and what was asked for beside what was measured."""
    from backend.generation.gallery import get_image

    with open_workspace() as (settings, database):
        image = get_image(database, settings, image_id)
    asked, found = image.requested.model_dump(mode="json"), image.measured.model_dump(mode="json")
    rows = [
        (name.replace("_", " "), _words(asked[name]), _words(found[name]))
        for name in asked
        if asked[name] or found[name]
    ]
    lines = [f"{image.path}", image.caption, f"{image.model}, seed {image.seed}", ""]
    emit(image, as_json, [*lines, *aligned(("ATTRIBUTE", "REQUESTED", "MEASURED"), rows)])


def recall(
    file: Annotated[Path, typer.Argument(help="A PNG that this studio made.")],
    as_json: JsonOption = False,
) -> None:
    """Print the request that a PNG of ours carries, wherever the file has been."""
    from backend.generation.provenance import parameters_text, read_png

    provenance = read_png(file)
    emit(provenance, as_json, parameters_text(provenance))


def export(
    ids: Ids,
    out: Annotated[Path, typer.Option(help="A new folder.")],
    as_json: JsonOption = False,
) -> None:
    """Copy images byte for byte into an image folder with `metadata.jsonl`, marked synthetic."""
    from backend.generation.export import export_image_folder

    with open_workspace() as (settings, database):
        folder = export_image_folder(database, settings, ids, out)
    emit({"folder": folder, "images": len(ids)}, as_json, f"{len(ids)} images are in {folder}.")


def star(
    ids: Ids,
    off: Annotated[bool, typer.Option("--off", help="Take the mark off.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Mark images as favourites."""
    from backend.generation import gallery

    with open_workspace() as (_, database):
        gallery.star(database, ids, on=not off)
    emit({"ids": ids, "starred": not off}, as_json, f"{len(ids)} images changed.")


def delete(ids: Ids, as_json: JsonOption = False) -> None:
    """Hide images; `gallery restore` shows them again until they are purged."""
    from backend.generation import gallery

    with open_workspace() as (_, database):
        hidden = gallery.delete(database, ids)
    emit({"deleted": hidden}, as_json, f"{len(hidden)} images are deleted; restore undoes it.")


def restore(ids: Ids, as_json: JsonOption = False) -> None:
    """Show deleted images again."""
    from backend.generation import gallery

    with open_workspace() as (_, database):
        gallery.restore(database, ids)
    emit({"restored": ids}, as_json, f"{len(ids)} images are shown again.")


def purge(
    days: Annotated[
        float, typer.Option(min=0, help="Only images deleted longer ago than so many days.")
    ] = 30.0,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove deleted images for good, with their files."""
    from backend.generation import gallery

    if not yes and not typer.confirm("Remove deleted images for good?", err=True):
        raise CommandError("Nothing was removed.")
    with open_workspace() as (settings, database):
        count = gallery.purge(database, settings, timedelta(days=days))
    emit({"purged": count}, as_json, f"{count} images are removed for good.")


def _words(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(str(item).replace("_", " ") for item in value) or "-"
    return str(value).replace("_", " ")
