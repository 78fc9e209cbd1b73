"""`gallery`: generated images found, exported, recalled and removed."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from backend.abc.attributes import Asymmetry, Border, Colour, Label, SkinTone
from backend.cli.image_sets import register as register_sets
from backend.cli.output import JsonOption, aligned, emit
from backend.cli.progress import CommandError, run_to_its_end
from backend.cli.selection import AllOption, SomeIds, WhereOption, read_selection
from backend.cli.workspace import open_workspace
from backend.generation.export_format import ExportFormat

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
    register_sets(gallery)
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
    image_set: Annotated[
        str | None, typer.Option("--set", help="Only the images of this set.")
    ] = None,
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
        image_set=image_set,
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
    out: Annotated[Path, typer.Option(help="A new folder.")],
    ids: SomeIds = None,
    form: Annotated[
        ExportFormat, typer.Option("--format", help="For which programs the images are meant.")
    ] = ExportFormat.IMAGE_FOLDER,
    where: WhereOption = None,
    everything: AllOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write images into a new folder, marked synthetic, with README.txt and manifest.json.

    Drafts are left out, and their number is said.

    imagefolder: PNG beside metadata.jsonl. csv: PNG beside metadata.csv. parquet: for datasets
    and pandas. webdataset: tar shards. dicom: one file an image, Synthetic Data = YES.
    """
    from backend.generation.export.running import KIND, export_title, plan_export
    from backend.generation.selection import (
        check_exportable,
        count_drafts,
        count_selected,
        left_out,
    )

    selection = read_selection(ids, where, everything)
    task = plan_export(selection, out, form)
    with open_workspace() as (settings, database):
        check_exportable(database, selection)
        drafts = count_drafts(database, selection)
        total = count_selected(database, selection)
        job = run_to_its_end(
            settings,
            database,
            kind=KIND,
            payload=task.model_dump(mode="json"),
            title=export_title(database, task),
            total=total,
        )
    images = job.total - drafts
    value = {
        "folder": task.result,
        "images": images,
        "drafts_left_out": drafts,
        "format": form,
        "job": job.id,
    }
    lines = [f"{images:,} images are in {task.result}.", *filter(None, [left_out(drafts)])]
    emit(value, as_json, lines)


def star(
    ids: SomeIds = None,
    off: Annotated[bool, typer.Option("--off", help="Take the mark off.")] = False,
    where: WhereOption = None,
    everything: AllOption = False,
    as_json: JsonOption = False,
) -> None:
    """Mark images as favourites."""
    from backend.generation.bulk import star_all

    selection = read_selection(ids, where, everything)
    with open_workspace() as (_, database):
        changed = star_all(database, selection, on=not off)
    value = {"changed": changed, "starred": not off}
    emit(value, as_json, f"{changed} images changed.")


def delete(
    ids: SomeIds = None,
    where: WhereOption = None,
    everything: AllOption = False,
    as_json: JsonOption = False,
) -> None:
    """Hide images; `gallery restore` shows them again until they are purged."""
    from backend.generation import gallery
    from backend.generation.bulk import delete_all

    selection = read_selection(ids, where, everything)
    with open_workspace() as (_, database):
        if ids:
            hidden = gallery.delete(database, ids)
            sentence = f"{len(hidden)} images are deleted; restore undoes it."
            emit({"deleted": hidden}, as_json, sentence)
            return
        done = delete_all(database, selection)
    moment = done.moment.isoformat()
    sentence = f"{done.images} images are deleted; `gallery restore --moment {moment}` undoes it."
    emit({"deleted": done.images, "moment": moment}, as_json, sentence)


def restore(
    ids: SomeIds = None,
    moment: Annotated[
        str | None, typer.Option(help="Instead of ids: undo the deletion that printed this moment.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show deleted images again."""
    from backend.generation import gallery
    from backend.generation.bulk import undo_deletion

    if bool(ids) == (moment is not None):
        raise CommandError("Say which images: ids, or --moment, one of the two.")
    with open_workspace() as (_, database):
        if moment is not None:
            count = undo_deletion(database, _moment(moment))
            emit({"restored": count}, as_json, f"{count} images are shown again.")
            return
        gallery.restore(database, ids or [])
    emit({"restored": ids}, as_json, f"{len(ids or [])} images are shown again.")


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


def _moment(text: str) -> datetime:
    """Raises CommandError for what is no moment with a time zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{text} is no moment: copy what `gallery delete` printed.") from error
    if moment.tzinfo is None:
        raise CommandError(f"{text} lacks a time zone: copy what `gallery delete` printed.")
    return moment


def _words(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(str(item).replace("_", " ") for item in value) or "-"
    return str(value).replace("_", " ")
