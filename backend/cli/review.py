"""`review`: review sets from the command line, as the page shows them."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.cli.output import JsonOption, aligned, emit
from backend.cli.workspace import open_workspace

if TYPE_CHECKING:
    from backend.review.people import Actor
    from backend.review.views import Coefficient, SetDetail, ShareView

SetName = Annotated[str, typer.Argument(help="Name of a review set, or its id.")]
As = Annotated[
    str | None, typer.Option("--as", help="The name of the reviewer who acts, for the trail.")
]


def register(app: typer.Typer) -> None:
    """Add `review`."""
    review = typer.Typer(
        no_args_is_help=True, help="Let experts judge captions and images; see how far they agree."
    )
    for name, command in (
        ("list", list_),
        ("make", make),
        ("show", show),
        ("next", next_),
        ("judge", judge),
        ("undo", undo),
        ("agreement", agreement),
        ("audit", audit),
        ("guidelines", guidelines),
        ("export", export),
        ("close", close),
        ("reopen", reopen),
    ):
        review.command(name)(command)
    app.add_typer(review, name="review")


def list_(as_json: JsonOption = False) -> None:
    """List the review sets, the newest first."""
    from backend.review.sets import list_review_sets

    with open_workspace() as (_, database):
        views = list_review_sets(database, _actor(None))
    rows = [
        (
            one.name,
            one.kind,
            one.state,
            f"{one.progress.done:,} of {one.progress.items:,}",
            f"{one.progress.verdicts:,}",
            f"{one.progress.disputed:,}",
        )
        for one in views
    ]
    head = ("NAME", "KIND", "STATE", "DONE", "VERDICTS", "DISPUTED")
    emit(views, as_json, aligned(head, rows))


def make(
    name: Annotated[str, typer.Argument(help="Name of the new set.")],
    kind: Annotated[
        str, typer.Option(help="captions, images (of the gallery), or real_or_synthetic.")
    ] = "captions",
    captioner: Annotated[str, typer.Option(help="Of `captions list`.")] = "measured",
    prompt: Annotated[str | None, typer.Option(help="Its version; the newest if unset.")] = None,
    subset: Annotated[str | None, typer.Option(help="Of `corpus subset list`.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Of `corpus list`.")] = None,
    image_set: Annotated[str | None, typer.Option(help="A named set of the gallery.")] = None,
    strategy: Annotated[str, typer.Option(help="stratified, flagged or active.")] = "stratified",
    size: Annotated[int, typer.Option(min=1, help="Items to take.")] = 100,
    take_all: Annotated[bool, typer.Option("--all", help="Take all that match.")] = False,
    strata: Annotated[
        str, typer.Option(help="What a stratified draw is balanced over, by comma.")
    ] = "label,dataset,skin_tone",
    in_proportion: Annotated[
        bool, typer.Option("--in-proportion", help="Strata in proportion instead of equal.")
    ] = False,
    checks: Annotated[str, typer.Option(help="For flagged: only these, by comma.")] = "",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    reviewers_per_item: Annotated[int, typer.Option(min=1, max=20)] = 1,
    open_: Annotated[
        bool, typer.Option("--open", help="Not blind: others' verdicts are no secret.")
    ] = False,
    reviewer: Annotated[
        list[str] | None, typer.Option(help="Only these review; may be repeated.")
    ] = None,
    adjudicator: Annotated[
        list[str] | None, typer.Option(help="These may adjudicate too; may be repeated.")
    ] = None,
    guidelines: Annotated[Path | None, typer.Option(help="A text file for the reviewers.")] = None,
    as_name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Make a review set.

    Example: python -m backend review make Pilot --size 100 --reviewers-per-item 2
    """
    from pydantic import ValidationError

    from backend.files import read_file
    from backend.review.errors import ReviewError
    from backend.review.making import make_set
    from backend.review.recipe import ReviewRecipe
    from backend.review.sets import get_review_set

    try:
        recipe = ReviewRecipe.model_validate(
            {
                "name": name,
                "kind": kind,
                "captioner": captioner,
                "prompt": prompt,
                "subset": subset,
                "dataset": dataset,
                "image_set": image_set,
                "strategy": strategy,
                "size": None if take_all else size,
                "strata": _parts(strata),
                "balanced": not in_proportion,
                "checks": _parts(checks),
                "seed": seed,
                "reviewers_per_item": reviewers_per_item,
                "blind": not open_,
                "reviewers": reviewer or [],
                "adjudicators": adjudicator or [],
                "guidelines": read_file(guidelines).decode("utf-8", "replace")
                if guidelines
                else "",
            }
        )
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise ReviewError(f"The set cannot be made: {place}: {fault['msg']}.") from error
    actor = _actor(as_name)
    with open_workspace() as (_, database):
        view = get_review_set(database, actor, make_set(database, actor, recipe))
    emit(view, as_json, f"{view.name} has {view.progress.items:,} items to review.")


def show(name: SetName, as_json: JsonOption = False) -> None:
    """Show how far a set is, who reviewed, and how long the rest will take."""
    from backend.review.sets import find_set, get_review_set

    with open_workspace() as (_, database):
        view = get_review_set(database, _actor(None), find_set(database, name))
    emit(view, as_json, _lines(view))


def next_(
    name: SetName,
    as_name: Annotated[str, typer.Option("--as", help="The reviewer who takes the items.")],
    count: Annotated[int, typer.Option(min=1, max=20)] = 1,
    as_json: JsonOption = False,
) -> None:
    """Take the next items for a reviewer; they are theirs for half an hour."""
    from backend.review.queue import next_items
    from backend.review.sets import find_set

    with open_workspace() as (_, database):
        view = next_items(database, _actor(as_name), find_set(database, name), count)
    lines = [f"{one.id}: {one.dataset}/{one.source}: {one.text}" for one in view.items]
    emit(view, as_json, lines or ["Nothing is left."])


def judge(
    name: SetName,
    item: Annotated[int, typer.Argument(help="Number of the item, as `review next` prints it.")],
    as_name: Annotated[str, typer.Option("--as", help="The reviewer who judges.")],
    answer: Annotated[
        str, typer.Option(help="approve, edit, reject, skip, flag; real or synthetic in a test.")
    ],
    text: Annotated[str | None, typer.Option(help="The edited caption.")] = None,
    reason: Annotated[str, typer.Option(help="Why it is rejected.")] = "",
    mark: Annotated[
        list[str] | None, typer.Option(help="ATTRIBUTE=MARK, as border=reject; may be repeated.")
    ] = None,
    revision: Annotated[int, typer.Option(min=0, help="Of the verdict that this changes.")] = 0,
    adjudication: Annotated[
        bool, typer.Option("--adjudication", help="Decide what reviewers disagree on.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Judge an item, or adjudicate it."""
    from pydantic import ValidationError

    from backend.review.errors import ReviewError
    from backend.review.recipe import NewVerdict
    from backend.review.sets import find_set
    from backend.review.verdicts import adjudicate, save_verdict

    try:
        new = NewVerdict.model_validate(
            {
                "key": uuid.uuid4().hex,
                "revision": revision,
                "answer": answer,
                "marks": dict(one.split("=", 1) for one in mark or () if "=" in one),
                "text": text,
                "reason": reason,
            }
        )
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise ReviewError(f"The verdict cannot be read: {place}: {fault['msg']}.") from error
    save = adjudicate if adjudication else save_verdict
    with open_workspace() as (_, database):
        saved = save(database, _actor(as_name), find_set(database, name), item, new)
    said = saved.verdict.answer
    emit(saved, as_json, f"Item {item}: {said}, revision {saved.verdict.revision}.")


def undo(
    name: SetName,
    as_name: Annotated[str, typer.Option("--as", help="Whose last action is taken back.")],
    as_json: JsonOption = False,
) -> None:
    """Take back a reviewer's last action in a set; again for the one before."""
    from backend.review import verdicts
    from backend.review.recipe import Undo
    from backend.review.sets import find_set

    with open_workspace() as (_, database):
        wanted = Undo(key=uuid.uuid4().hex)
        done = verdicts.undo(database, _actor(as_name), find_set(database, name), wanted)
    now = done.verdict.answer or "not judged"
    emit(done, as_json, f"Item {done.item} is {now} again.")


def agreement(
    name: SetName,
    bootstraps: Annotated[int, typer.Option(min=0, max=10_000)] = 1_000,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    as_json: JsonOption = False,
) -> None:
    """Print agreement an attribute and overall, with 95 % intervals, and a test's result."""
    from backend.review.reports import agreement_report
    from backend.review.sets import find_set

    with open_workspace() as (_, database):
        report = agreement_report(
            database, _actor(None), find_set(database, name), bootstraps=bootstraps, seed=seed
        )
    rows = [
        (
            row.question,
            row.group,
            row.items,
            *(_number(one) for one in (row.raw, row.cohen, row.fleiss, row.krippendorff)),
        )
        for row in report.rows
    ]
    head = ("QUESTION", "GROUP", "ITEMS", "RAW", "COHEN", "FLEISS", "KRIPPENDORFF")
    lines = aligned(head, rows)
    if report.tests:
        tests = [
            (
                one.reviewer,
                *(_share(part) for part in (one.accuracy, one.sensitivity, one.specificity)),
            )
            for one in report.tests
        ]
        lines += ["", *aligned(("REVIEWER", "ACCURACY", "SENSITIVITY", "SPECIFICITY"), tests)]
    emit(report, as_json, lines)


def audit(
    name: SetName,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 100,
    before: Annotated[int | None, typer.Option(help="Only events before this number.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the trail of a set, the newest first."""
    from backend.review import trail
    from backend.review.sets import find_set

    with open_workspace() as (_, database):
        view = trail.audit(
            database, _actor(None), find_set(database, name), before=before, limit=limit
        )
    rows = [
        (one.id, f"{one.at:%Y-%m-%d %H:%M:%S}", one.actor or "-", one.action, one.position or "")
        for one in view.events
    ]
    emit(view, as_json, aligned(("EVENT", "AT", "WHO", "ACTION", "ITEM"), rows))


def guidelines(
    name: SetName,
    file: Annotated[Path | None, typer.Option(help="Make this text the newest version.")] = None,
    as_name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Print the guidelines of a set, or write a new version of them."""
    from backend.files import read_file
    from backend.review.recipe import NewGuidelines
    from backend.review.sets import find_set, get_guidelines, write_guidelines

    actor = _actor(as_name)
    with open_workspace() as (_, database):
        set_id = find_set(database, name)
        view = get_guidelines(database, actor, set_id)
        if file is not None:
            text = read_file(file).decode("utf-8", "replace")
            new = NewGuidelines(version=view.version, text=text)
            view = write_guidelines(database, actor, set_id, new)
    emit(view, as_json, view.text or "Nothing is written yet.")


def export(
    name: SetName,
    out: Annotated[Path, typer.Option(help="The file to write.")],
    form: Annotated[str, typer.Option("--format", help="csv or jsonl.")] = "csv",
    as_json: JsonOption = False,
) -> None:
    """Write all verdicts of a set, with names, as a table."""
    from backend.files import write_file
    from backend.review.errors import ReviewError
    from backend.review.exporting import csv_bytes, jsonl_bytes, verdict_rows
    from backend.review.sets import find_set

    writers = {"csv": csv_bytes, "jsonl": jsonl_bytes}
    if form not in writers:
        raise ReviewError(f"There is no format '{form}': use csv or jsonl.")
    with open_workspace() as (_, database):
        rows = verdict_rows(database, _actor(None), find_set(database, name))
    write_file(out.absolute(), b"".join(writers[form](rows)))
    emit({"file": out, "verdicts": len(rows)}, as_json, f"{len(rows):,} verdicts in {out}.")


def close(name: SetName, as_name: As = None, as_json: JsonOption = False) -> None:
    """End a set: it takes no verdict any more, and what was blind is shown."""
    from backend.review.sets import close_set, find_set

    with open_workspace() as (_, database):
        view = close_set(database, _actor(as_name), find_set(database, name))
    emit(view, as_json, f"{view.name} is closed.")


def reopen(name: SetName, as_name: As = None, as_json: JsonOption = False) -> None:
    """Let a closed set take verdicts again; a real-or-synthetic test stays closed."""
    from backend.review.sets import find_set, reopen_set

    with open_workspace() as (_, database):
        view = reopen_set(database, _actor(as_name), find_set(database, name))
    emit(view, as_json, f"{view.name} is open.")


def _actor(name: str | None) -> Actor:
    """Who runs commands owns the workspace: no account is asked for."""
    from backend.review.people import Actor, read_name

    return Actor(read_name(name))


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _lines(view: SetDetail) -> list[str]:
    progress = view.progress
    left = progress.seconds_left
    lines = [
        f"{view.name}: {view.kind}, {view.state}, {view.reviewers_per_item} reviewers an item.",
        (
            f"{progress.done:,} of {progress.items:,} items done, {progress.verdicts:,} of "
            f"{progress.verdicts_needed:,} verdicts, {progress.disputed:,} disputed, "
            f"{progress.adjudicated:,} adjudicated."
        ),
    ]
    if left is not None:
        lines.append(f"About {left / 3600:.1f} hours are left at the present pace.")
    rows = [
        (one.reviewer, one.given, one.skipped, one.flagged, f"{one.pace:.0f}" if one.pace else "-")
        for one in progress.reviewers
    ]
    head = ("REVIEWER", "VERDICTS", "SKIPPED", "FLAGGED", "AN HOUR")
    return [*lines, *(aligned(head, rows) if rows else [])]


def _number(one: Coefficient) -> str:
    if one.value is None:
        return "-"
    interval = "" if one.low is None else f" [{one.low:.2f}, {one.high:.2f}]"
    return f"{one.value:.2f}{interval}"


def _share(one: ShareView) -> str:
    if one.value is None:
        return "-"
    return f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}] ({one.count} of {one.total})"
