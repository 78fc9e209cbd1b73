"""`design`: many captions at once, as a table to look at, to keep and to read back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.abc.grammar import CaptionStyle
from backend.cli.lesion import StyleOption
from backend.cli.output import JsonOption, aligned, emit
from backend.cli.progress import CommandError
from backend.cli.values import named_values, values_by_name
from backend.generation.design.design import Plan

if TYPE_CHECKING:
    from backend.generation.design.design import Design
    from backend.generation.design.table import CaptionTable


def register(app: typer.Typer) -> None:
    """Add `design`."""
    design = typer.Typer(
        no_args_is_help=True, help="Write captions over chosen attributes as a table, or check one."
    )
    design.command("write")(write)
    design.command("check")(check)
    app.add_typer(design, name="design")


def write(
    vary: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=VALUE,VALUE, or NAME for all values; colours that go together are joined "
            "by +: colours=red,black+red. Several times for several attributes."
        ),
    ] = None,
    fix: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, the same in every caption.")
    ] = None,
    draw: Annotated[
        list[str] | None,
        typer.Option(help="NAME of an attribute to draw for each caption, to suit the others."),
    ] = None,
    plan: Annotated[
        Plan, typer.Option(help="Every combination, or a Latin hypercube of --count rows.")
    ] = Plan.FACTORIAL,
    count: Annotated[int | None, typer.Option(help="Rows of a hypercube.")] = None,
    repeats: Annotated[int, typer.Option(help="Captions of each combination.")] = 1,
    unbalanced: Annotated[
        bool,
        typer.Option(
            "--unbalanced", help="Every combination equally often, even if labels then differ."
        ),
    ] = False,
    template: Annotated[
        str | None,
        typer.Option(
            help="Wording with wildcards: {border} for an attribute, {red|light brown} for "
            "alternatives, {{ for a brace. Without it the grammar writes."
        ),
    ] = None,
    style: StyleOption = CaptionStyle.PLAIN,
    sentences: Annotated[int | None, typer.Option(help="1 to 6; drawn if unset.")] = None,
    seed: Annotated[int, typer.Option(help="Of plan, wording and noise.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="A .csv or .jsonl file; without it only a look.")
    ] = None,
    show: Annotated[int, typer.Option(min=0, help="How many rows to print.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """Write one caption for each row of a plan over attributes, balanced by label.

    Prints how many rows there are before anything is written. The same options give the same
    table: captions, order and seeds.

    Example: python -m backend design write --vary label --vary border --vary
    colours=light_brown,dark_brown+black --draw skin_tone --repeats 3 --out captions.csv
    """
    from backend.generation.design.design import make_design
    from backend.generation.design.files import save_table
    from backend.generation.design.plans import count_rows
    from backend.generation.design.table import write_table

    design = make_design(
        {
            "vary": values_by_name(vary, "--vary"),
            "fixed": _fixed(fix),
            "drawn": [name.strip().replace("-", "_") for name in draw or ()],
            "plan": plan,
            "count": count,
            "repeats": repeats,
            "balanced": not unbalanced,
            "template": template,
            "style": style,
            "sentences": sentences,
            "seed": seed,
        }
    )
    typer.echo(f"{count_rows(design):,} rows", err=True)
    table = write_table(design)
    if out is not None:
        save_table(out, table)
    _emit(table, show, as_json, design=design, file=out)


def check(
    file: Annotated[Path, typer.Argument(help="A .csv or .jsonl table of captions.")],
    show: Annotated[int, typer.Option(min=0, help="How many rows to print.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """Read a table of captions back, from here or from a spreadsheet, and say what is wrong."""
    from backend.generation.design.files import read_table

    _emit(read_table(file), show, as_json, file=file)


def _fixed(texts: list[str] | None) -> dict[str, object]:
    fixed: dict[str, object] = {}
    for text in texts or ():
        if "=" not in text:
            raise CommandError(f"--fix {text} names no value: write {text}=VALUE.")
        name, values = named_values(text, "--fix")
        if len(values) > 1 or name in fixed:
            raise CommandError(f"--fix {name} has more than one value: use --vary {name}.")
        fixed[name] = values[0]
    return fixed


def _emit(
    table: CaptionTable,
    show: int,
    as_json: bool,
    *,
    design: Design | None = None,
    file: Path | None = None,
) -> None:
    counts = {label.value if label else "unlabelled": n for label, n in table.counts().items()}
    value = {
        "rows": len(table.rows),
        "labels": counts,
        "file": file,
        "design": design,
        "preview": table.rows[:show],
    }
    rows = [(row.label or "-", row.seed, row.caption[:90]) for row in table.rows[:show]]
    lines = aligned(("LABEL", "SEED", "CAPTION"), rows) if rows else []
    said = ", ".join(f"{count:,} {label}" for label, count in counts.items())
    emit(value, as_json, [*lines, f"{len(table.rows):,} rows: {said}."])
