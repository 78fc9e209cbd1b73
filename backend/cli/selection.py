"""Which images a command is about: ids, a filter over the gallery, or all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from backend.cli.progress import CommandError

if TYPE_CHECKING:
    from backend.generation.selection import Selection

SomeIds = Annotated[
    list[str] | None, typer.Argument(help="Ids of images, as `gallery list` prints them.")
]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Instead of ids: all images that match, like label=malignant, colour=black, "
        "starred=true, set=NAME, measured=true. Several times for several conditions."
    ),
]
WHERE_NAMES = {"job": "job_id", "set": "image_set"}
AllOption = Annotated[bool, typer.Option("--all", help="Instead of ids: the whole gallery.")]


def read_selection(ids: list[str] | None, where: list[str] | None, everything: bool) -> Selection:
    """What the command is about; raises CommandError unless it is said in exactly one way."""
    from backend.generation.gallery import GalleryFilter
    from backend.generation.selection import make_filter

    if [bool(ids), bool(where), everything].count(True) != 1:
        raise CommandError("Say which images: ids, or --where, or --all, one of the three.")
    if ids:
        return ids
    return GalleryFilter() if everything else make_filter(_conditions(where or []))


def _conditions(where: list[str]) -> dict[str, object]:
    values: dict[str, object] = {}
    colours: list[str] = []
    for condition in where:
        name, sign, value = condition.partition("=")
        if not sign:
            raise CommandError(f"The condition {condition} says no value: write NAME=VALUE.")
        if name in ("colour", "colours"):
            colours += value.split(",")
        else:
            values[WHERE_NAMES.get(name, name)] = value
    return values | ({"colours": colours} if colours else {})
