"""Options of the form NAME=VALUE,VALUE, shared by the commands that vary something."""

from collections.abc import Iterable

from backend.cli.progress import CommandError
from backend.generation.design.levels import all_levels, read_level
from backend.generation.sweeps.axes import LORA


def named_values(text: str, option: str) -> tuple[str, list[object]]:
    """ "border=regular,irregular" as its name and values; "border" alone as all its values.

    A combination of colours is joined by "+". Raises CommandError where no value is known.
    """
    name, _, listed = text.partition("=")
    name = name.strip()
    if not name.startswith(LORA):
        name = name.replace("-", "_")
    values = [read_level(name, part) for part in listed.split(",") if part.strip()]
    values = values or list(all_levels(name))
    if not values:
        raise CommandError(f"{option} {text} names no value: write {name}=FIRST,SECOND.")
    return name, values


def values_by_name(texts: Iterable[str] | None, option: str) -> dict[str, list[object]]:
    """All options of one kind; raises CommandError where a name is given twice."""
    named: dict[str, list[object]] = {}
    for text in texts or ():
        name, values = named_values(text, option)
        if name in named:
            raise CommandError(f"{option} {name} is given twice: list its values in one.")
        named[name] = values
    return named
