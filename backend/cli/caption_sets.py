"""`caption-sets`: versions of approved captions, made, compared, exported and imported."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backend.cli.output import JsonOption, aligned, emit
from backend.cli.workspace import open_workspace

Name = Annotated[str, typer.Argument(help="Name of a caption set.")]
Version = Annotated[int | None, typer.Option(min=1, help="The newest if unset.")]
As = Annotated[str | None, typer.Option("--as", help="Who does this, for the record.")]
Format = Annotated[str, typer.Option("--format", help="csv, jsonl or imagefolder.")]


def register(app: typer.Typer) -> None:
    """Add `caption-sets`."""
    sets = typer.Typer(
        no_args_is_help=True, help="Keep approved captions in versions that never change."
    )
    for name, command in (
        ("list", list_),
        ("make", make),
        ("versions", versions),
        ("changes", changes),
        ("export", export),
        ("import", import_),
    ):
        sets.command(name)(command)
    app.add_typer(sets, name="caption-sets")


def list_(as_json: JsonOption = False) -> None:
    """List the caption sets with their newest version."""
    from backend.review.caption_sets import list_caption_sets

    with open_workspace() as (_, database):
        views = list_caption_sets(database)
    rows = [(one.name, one.versions, f"{one.captions:,}", one.content_hash[:12]) for one in views]
    emit(views, as_json, aligned(("NAME", "VERSIONS", "CAPTIONS", "HASH"), rows))


def make(
    name: Name,
    review_set: Annotated[str, typer.Option("--from", help="A review set, by name or id.")],
    note: Annotated[str, typer.Option(help="What this version is for.")] = "",
    anew: Annotated[
        bool, typer.Option("--anew", help="From nothing, not from the newest version.")
    ] = False,
    as_name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Make a version from the verdicts of a review set as they are now."""
    from backend.review.caption_sets import make_version
    from backend.review.people import Actor, read_name
    from backend.review.recipe import NewVersion
    from backend.review.sets import find_set

    with open_workspace() as (_, database):
        new = NewVersion(
            name=name, review_set=find_set(database, review_set), note=note, keep=not anew
        )
        view = make_version(database, Actor(read_name(as_name)), new)
    emit(
        view,
        as_json,
        f"{view.name} {view.version}: {view.captions:,} captions ({view.added:,} added, "
        f"{view.removed:,} removed, {view.edited:,} edited).",
    )


def versions(name: Name, as_json: JsonOption = False) -> None:
    """List the versions of a caption set, the newest first."""
    from backend.review.caption_sets import list_versions

    with open_workspace() as (_, database):
        views = list_versions(database, name)
    rows = [
        (
            one.version,
            f"{one.captions:,}",
            f"{one.added:,}",
            f"{one.removed:,}",
            f"{one.edited:,}",
            one.review_set or "-",
            one.content_hash[:12],
            one.note,
        )
        for one in views
    ]
    head = ("VERSION", "CAPTIONS", "ADDED", "REMOVED", "EDITED", "FROM", "HASH", "NOTE")
    emit(views, as_json, aligned(head, rows))


def changes(
    name: Name,
    old: Annotated[int | None, typer.Option(min=0, help="The one before --new if unset.")] = None,
    new: Version = None,
    limit: Annotated[int, typer.Option(min=1)] = 100,
    as_json: JsonOption = False,
) -> None:
    """Print what one version changed against another."""
    from backend.review import caption_changes

    with open_workspace() as (_, database):
        view = caption_changes.changes(database, name, old=old, new=new, limit=limit)
    signs = {"same": "{}", "added": "[+{}+]", "removed": "[-{}-]"}
    counts = f"{view.added:,} added, {view.removed:,} removed, {view.edited:,} edited"
    lines = [f"{view.name} {view.old} to {view.new}: {counts}."]
    lines += [
        f"{one.change} {one.dataset}/{one.source}: "
        + " ".join(signs[run.kind].format(run.text) for run in one.words)
        for one in view.changes
    ]
    emit(view, as_json, lines)


def export(
    name: Name,
    out: Annotated[Path, typer.Option(help="A file; a new folder for imagefolder.")],
    form: Format = "jsonl",
    version: Version = None,
    as_json: JsonOption = False,
) -> None:
    """Write a version as CSV, JSON lines, or a folder of images with metadata.jsonl."""
    from backend.files import write_file
    from backend.review.caption_files import CaptionFormat, export_bytes, export_folder, read_format
    from backend.review.caption_sets import get_version

    chosen = read_format(form)
    with open_workspace() as (settings, database):
        view = get_version(database, name, version)
        if chosen is CaptionFormat.IMAGE_FOLDER:
            export_folder(database, settings, name, view.version, out.absolute())
        else:
            write_file(out.absolute(), export_bytes(database, settings, name, view.version, chosen))
    emit(
        {"file": out, "version": view},
        as_json,
        f"{view.captions:,} captions of {view.name} {view.version} in {out}.",
    )


def import_(
    name: Name,
    file: Annotated[Path, typer.Argument(help="A file that `caption-sets export` wrote, or JSON.")],
    form: Format = "jsonl",
    note: Annotated[str, typer.Option(help="What this version is for.")] = "",
    as_name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Make a version from a file; images that are not in the corpus are named, the rest is kept."""
    from backend.files import read_file
    from backend.review.caption_files import import_captions, read_format
    from backend.review.people import Actor, read_name

    with open_workspace() as (_, database):
        found = import_captions(
            database,
            Actor(read_name(as_name)),
            name,
            read_file(file),
            read_format(form),
            note=note,
        )
    lines = [f"{found.kept:,} captions kept in {name} {found.version.version}."]
    lines += [f"{one} is not in the corpus." for one in found.unknown]
    lines += list(found.problems)
    if found.unknown_count > len(found.unknown):
        lines.append(f"{found.unknown_count:,} images are not in the corpus in all.")
    emit(found, as_json, lines)
