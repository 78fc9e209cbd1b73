"""`corpus-duplicates` and `leakage`: the same picture twice, and on two sides."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.cli.output import JsonOption, aligned, emit
from backend.cli.progress import CommandError, run_to_its_end
from backend.cli.workspace import open_workspace
from backend.corpus.states import PairState

if TYPE_CHECKING:
    from backend.corpus.decisions import PairView

SetArgument = Annotated[
    str, typer.Argument(help="A set as `corpus-duplicates sets` lists it, or a folder of images.")
]
SetsArgument = Annotated[
    list[str],
    typer.Argument(help="Sets as `corpus-duplicates sets` lists them, or folders of images."),
]
CsvOption = Annotated[Path | None, typer.Option("--csv", help="Write a table to this file.")]
ImageId = Annotated[str, typer.Argument(help="As `corpus-duplicates list` prints it.")]


def register(app: typer.Typer) -> None:
    """Add `corpus-duplicates` and `leakage`."""
    topic = typer.Typer(no_args_is_help=True, help="Images that hold the same picture.")
    for name, command in (
        ("sets", sets),
        ("find", find),
        ("list", list_),
        ("confirm", confirm),
        ("dismiss", dismiss),
        ("undo", undo),
        ("groups", groups),
    ):
        topic.command(name)(command)
    app.add_typer(topic, name="corpus-duplicates")
    app.command("leakage")(leakage)


def sets(as_json: JsonOption = False) -> None:
    """List the sets that `find` and `leakage` take by name, beside any folder."""
    from backend.corpus.picture_sets import list_picture_sets

    with open_workspace() as (_, database):
        found = list_picture_sets(database)
    rows = [(one.name, f"{one.images:,}", one.title) for one in found]
    nothing = ["No sets yet: run `corpus import` first, or name a folder of images."]
    emit(found, as_json, aligned(("SET", "IMAGES", "WHAT"), rows) if rows else nothing)


def find(chosen: SetsArgument, as_json: JsonOption = False) -> None:
    """Find exact and near-duplicates among sets and keep them for a person to judge.

    Near: resized, recompressed, cropped by up to 10 %, flipped, turned by right angles, colours
    shifted. A second run reads only images that are new or changed.

    Example: python -m backend corpus-duplicates find dataset:isic2019 kaggle/train
    """
    from backend.corpus.duplicate_search import DUPLICATES, make_duplicates_task, read_report

    with open_workspace() as (settings, database):
        task, title = make_duplicates_task(database, [_named(one) for one in chosen])
        job = run_to_its_end(
            settings,
            database,
            kind=DUPLICATES,
            payload=task.model_dump(mode="json"),
            title=title,
            total=0,
        )
        report = read_report(settings.jobs_dir / job.id)
    said = (
        f"{report['images']:,} images, {report['read_now']:,} of them read now: "
        f"{len(report['pairs']):,} pairs in {len(report['groups']):,} groups, "
        f"{report['new_pairs']:,} pairs new."
    )
    emit(report, as_json, [said, *_unreadable(report["unreadable"])])


def list_(
    state: Annotated[PairState | None, typer.Option(help="Only pairs of this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
    offset: Annotated[int, typer.Option(min=0, help="After so many.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """List pairs, the least certain first."""
    from backend.corpus.decisions import list_pairs

    with open_workspace() as (_, database):
        pairs = list_pairs(database, state, limit=limit, offset=offset)
    rows = [
        (view.state, f"{view.score:.3f}", view.transform, view.first_id, view.second_id)
        for view in pairs
    ]
    emit(pairs, as_json, aligned(("STATE", "SCORE", "BETWEEN THEM", "FIRST", "SECOND"), rows))


def confirm(first: ImageId, second: ImageId, as_json: JsonOption = False) -> None:
    """Say that two images hold the same picture."""
    _decide(first, second, PairState.CONFIRMED, as_json)


def dismiss(first: ImageId, second: ImageId, as_json: JsonOption = False) -> None:
    """Say that two images hold different pictures: the pair counts no longer."""
    _decide(first, second, PairState.DISMISSED, as_json)


def undo(first: ImageId, second: ImageId, as_json: JsonOption = False) -> None:
    """Take a decision back: the pair waits again."""
    _decide(first, second, PairState.SUGGESTED, as_json)


def groups(csv: CsvOption = None, as_json: JsonOption = False) -> None:
    """List the groups that pairs join which are not dismissed.

    The table has a line for each image, and dismissed groups as well, with their state.
    """
    from backend.corpus.decisions import kept_groups
    from backend.corpus.duplicate_groups import groups_csv, outline_groups

    with open_workspace() as (settings, database):
        found = kept_groups(database)
        if csv is not None:
            _write_csv(csv, groups_csv(database, settings, outline_groups(database)))
    lines = [line for group in found for line in (f"{len(group)} images", *_indented(group))]
    emit(found, as_json, lines or ["No groups: run `corpus-duplicates find SET` first."])


def leakage(
    first: SetArgument, second: SetArgument, csv: CsvOption = None, as_json: JsonOption = False
) -> None:
    """Report what two sets share: training against test, real against synthetic.

    With DERMAFLUX_LEAKAGE=refuse this fails where they share anything.

    Example: python -m backend leakage subset:paper-training subset:paper-test --csv shared.csv
    """
    from backend.corpus.leakage_search import (
        LEAKAGE,
        leakage_csv,
        make_leakage_task,
        read_leakage,
        report_values,
    )

    with open_workspace() as (settings, database):
        task, title = make_leakage_task(database, _named(first), _named(second))
        job = run_to_its_end(
            settings,
            database,
            kind=LEAKAGE,
            payload=task.model_dump(mode="json"),
            title=title,
            total=0,
        )
        report = read_leakage(database, settings.jobs_dir / job.id)
        if csv is not None:
            _write_csv(csv, leakage_csv(database, settings, report))
    pairs = [
        (f"{pair.score:.3f}", pair.transform, pair.first, pair.second)
        for pair in report.leakage.pairs
    ]
    table = aligned(("SCORE", "BETWEEN THEM", "FIRST", "SECOND"), pairs) if pairs else []
    said = [report.leakage.summary, *table, *_unreadable(report.unreadable)]
    emit(report_values(report), as_json, said)


def _named(text: str) -> str:
    """A name of a set as it is; anything else is the path of a folder."""
    from backend.corpus.picture_sets import SetKind

    if text.partition(":")[0] in {kind.value for kind in SetKind} and not Path(text).is_dir():
        return text
    return f"{SetKind.FOLDER}:{text}"


def _write_csv(file: Path, lines: Iterable[str]) -> None:
    from backend.files import write_file

    if file.is_dir():
        raise CommandError(f"{file} is a folder: name a file for the table.")
    write_file(file, "".join(lines).encode())


def _decide(first: str, second: str, state: PairState, as_json: bool) -> None:
    from backend.corpus.decisions import decide

    with open_workspace() as (_, database):
        view = decide(database, first, second, state)
    emit(view, as_json, _said(view))


def _said(view: PairView) -> str:
    return f"{view.first_id} and {view.second_id}: {view.state}."


def _unreadable(sentences: dict[str, str]) -> list[str]:
    if not sentences:
        return []
    return [f"{len(sentences):,} images were left out:", *_indented(sentences.values())]


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]
