"""`gallery set`: named sets of images made, filled, listed and removed."""

from __future__ import annotations

from typing import Annotated

import typer

from backend.cli.output import JsonOption, aligned, emit
from backend.cli.selection import AllOption, SomeIds, WhereOption, read_selection
from backend.cli.workspace import open_workspace

Name = Annotated[str, typer.Argument(help="As `gallery set list` prints it.")]
Note = Annotated[str, typer.Option(help="What the set is for.")]


def register(gallery: typer.Typer) -> None:
    """Add `gallery set`."""
    sets = typer.Typer(no_args_is_help=True, help="Named sets of images.")
    for name, command in (
        ("list", list_),
        ("make", make),
        ("edit", edit),
        ("remove", remove),
        ("add", add),
        ("take", take),
    ):
        sets.command(name)(command)
    gallery.add_typer(sets, name="set")


def list_(as_json: JsonOption = False) -> None:
    """List sets with how many images they hold."""
    from backend.generation.image_sets import list_sets

    with open_workspace() as (_, database):
        sets = list_sets(database)
    rows = [(view.name, view.images, view.note) for view in sets]
    emit(sets, as_json, aligned(("NAME", "IMAGES", "NOTE"), rows))


def make(name: Name, note: Note = "", as_json: JsonOption = False) -> None:
    """Make an empty set."""
    from backend.generation.image_sets import make_set

    with open_workspace() as (_, database):
        made = make_set(database, name, note)
    emit(made, as_json, f"The set {made.name} is made.")


def edit(
    name: Name,
    new_name: Annotated[str | None, typer.Option("--name", help="Another name.")] = None,
    note: Note = "",
    as_json: JsonOption = False,
) -> None:
    """Give a set another note, and another name."""
    from backend.generation.image_sets import edit_set

    with open_workspace() as (_, database):
        edited = edit_set(database, name, new_name=new_name, note=note)
    emit(edited, as_json, f"The set is {edited.name}: {edited.note or 'no note'}.")


def remove(name: Name, as_json: JsonOption = False) -> None:
    """Forget a set; its images stay."""
    from backend.generation.image_sets import remove_set

    with open_workspace() as (_, database):
        remove_set(database, name)
    emit({"removed": name}, as_json, f"The set {name} is removed; its images stay.")


def add(
    name: Name,
    ids: SomeIds = None,
    where: WhereOption = None,
    everything: AllOption = False,
    as_json: JsonOption = False,
) -> None:
    """Put images into a set, except drafts."""
    from backend.generation.image_sets import add_to_set
    from backend.generation.selection import count_drafts, left_out

    selection = read_selection(ids, where, everything)
    with open_workspace() as (_, database):
        count = add_to_set(database, name, selection)
        drafts = count_drafts(database, selection)
    value = {"set": name, "added": count, "drafts_left_out": drafts}
    lines = [f"{count} images are new in {name}.", *filter(None, [left_out(drafts)])]
    emit(value, as_json, lines)


def take(
    name: Name,
    ids: SomeIds = None,
    where: WhereOption = None,
    everything: AllOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take images out of a set; they stay in the gallery."""
    from backend.generation.image_sets import take_from_set

    selection = read_selection(ids, where, everything)
    with open_workspace() as (_, database):
        count = take_from_set(database, name, selection)
    emit({"set": name, "taken": count}, as_json, f"{count} images are out of {name}.")
