"""`corpus-duplicates` and `leakage`: the same picture twice, and on two sides."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.cli.output import JsonOption, aligned, emit
from backend.cli.progress import run_to_its_end
from backend.cli.workspace import open_workspace
from backend.corpus.states import PairState

if TYPE_CHECKING:
    from backend.corpus.decisions import PairView

Folder = Annotated[Path, typer.Argument(help="A folder of images; folders in it count too.")]
ImageId = Annotated[str, typer.Argument(help="As `corpus-duplicates list` prints it.")]


def register(app: typer.Typer) -> None:
    """Add `corpus-duplicates` and `leakage`."""
    topic = typer.Typer(no_args_is_help=True, help="Images that hold the same picture.")
    for name, command in (
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


def find(folder: Folder, as_json: JsonOption = False) -> None:
    """Find exact and near-duplicates in a folder and keep them for a person to judge.

    Near: resized, recompressed, cropped by up to 10 %, flipped, turned by right angles, colours
    shifted. A second run reads only images that are new or changed.
    """
    from backend.corpus.duplicate_search import DUPLICATES, read_report

    with open_workspace() as (settings, database):
        job = run_to_its_end(
            settings,
            database,
            kind=DUPLICATES,
            payload={"folder": str(folder.expanduser().absolute())},
            title=f"Duplicates in {folder}",
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


def groups(as_json: JsonOption = False) -> None:
    """List the groups that pairs join which are not dismissed."""
    from backend.corpus.decisions import kept_groups

    with open_workspace() as (_, database):
        found = kept_groups(database)
    lines = [line for group in found for line in (f"{len(group)} images", *_indented(group))]
    emit(found, as_json, lines or ["No groups: run `corpus-duplicates find FOLDER` first."])


def leakage(first: Folder, second: Folder, as_json: JsonOption = False) -> None:
    """Report which pictures two folders share: training against test, real against synthetic.

    With DERMAFLUX_LEAKAGE=refuse this fails where they share any.
    """
    from backend.corpus.duplicate_search import LEAKAGE, read_report

    with open_workspace() as (settings, database):
        job = run_to_its_end(
            settings,
            database,
            kind=LEAKAGE,
            payload={
                "first": str(first.expanduser().absolute()),
                "second": str(second.expanduser().absolute()),
            },
            title=f"Leakage between {first} and {second}",
            total=0,
        )
        report = read_report(settings.jobs_dir / job.id)
    pairs = [
        (f"{pair['score']:.3f}", pair["transform"], pair["first"], pair["second"])
        for pair in [*report["exact"], *report["near"]]
    ]
    table = aligned(("SCORE", "BETWEEN THEM", "FIRST", "SECOND"), pairs) if pairs else []
    emit(report, as_json, [report["summary"], *table, *_unreadable(report["unreadable"])])


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
