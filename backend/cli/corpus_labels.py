"""`corpus labels`: what each diagnosis of a dataset counts as, seen, changed and taken back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.cli.output import JsonOption, aligned, emit
from backend.cli.progress import CommandError, run_to_its_end
from backend.cli.workspace import open_workspace

if TYPE_CHECKING:
    from backend.corpus.label_effects import LabelEffect
    from backend.corpus.label_rules import RuleVersion
    from backend.corpus.labels import LabelRule
    from backend.corpus.relabelling import RelabelTask
    from backend.settings import Settings
    from backend.store.database import Database

DatasetArgument = Annotated[str, typer.Argument(help="As it is called in the catalogue.")]
RuleOption = Annotated[
    Path | None, typer.Option("--rule", help="A file as `show --out` writes it.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="DIAGNOSIS=LABEL, with benign, malignant, dropped or unlisted; may be repeated.",
    ),
]
NoteOption = Annotated[str, typer.Option(help="Why, for the history.")]
QueueOption = Annotated[
    bool, typer.Option("--queue", help="Leave it to a worker instead of waiting.")
]


def register(corpus: typer.Typer) -> None:
    """Add `corpus labels`."""
    labels = typer.Typer(
        no_args_is_help=True, help="What each diagnosis of a dataset counts as, and its history."
    )
    for command in (show, preview, apply, history, restore, dropped):
        labels.command(command.__name__)(command)
    corpus.add_typer(labels, name="labels")


def show(
    dataset: DatasetArgument,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the rule there, to be edited.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what each diagnosis counts as now, with its images."""
    from backend.corpus.label_effects import preview as effect_of
    from backend.corpus.label_rules import newest_version
    from backend.corpus.rule_editing import rule_text
    from backend.files import write_file

    with open_workspace() as (_, database):
        version = newest_version(database, dataset)
        effect = effect_of(database, dataset)
    if out is not None:
        write_file(out, rule_text(version.rule).encode())
    value = {"version": version, "counts": effect.before, "diagnoses": effect.diagnoses}
    rows = [
        (_diagnosis(one.diagnosis), f"{one.before.total:,}", _ruled(effect, one.choice_before))
        for one in effect.diagnoses
    ]
    lines = aligned(("DIAGNOSIS", "IMAGES", "LABEL"), rows)
    written = [f"The rule is in {out}."] if out is not None else []
    said = f"{dataset}, version {version.version} of its rule: {effect.before.words}."
    emit(value, as_json, [*lines, said, *written])


def preview(
    dataset: DatasetArgument,
    rule: RuleOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a rule would do to the counts and to named subsets; nothing is changed.

    Example: python -m backend corpus labels preview hiba --set actinic_keratosis=benign
    """
    from backend.corpus.label_effects import preview as effect_of

    with open_workspace() as (_, database):
        effect = effect_of(database, dataset, _wanted(database, dataset, rule, set_))
    emit(_value(effect), as_json, _effect_lines(effect))


def apply(
    dataset: DatasetArgument,
    rule: RuleOption = None,
    set_: SetOption = None,
    note: NoteOption = "",
    base: Annotated[
        int | None, typer.Option(help="Refuse unless this is still the newest version.")
    ] = None,
    queue: QueueOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a rule the newest version, and label the images by it; `preview` says what that does.

    Images that it drops are kept for a rule that labels them again. Killed at any point, the same
    command goes on where it was.

    Example: python -m backend corpus labels apply hiba --set actinic_keratosis=benign
    """
    with open_workspace() as (settings, database):
        wanted = _wanted(database, dataset, rule, set_)
        _apply(settings, database, dataset, wanted, note, base, queue, as_json)


def history(dataset: DatasetArgument, as_json: JsonOption = False) -> None:
    """List the versions of a rule, with what each changed."""
    from backend.corpus.label_rules import list_versions
    from backend.corpus.rule_editing import change_words

    with open_workspace() as (_, database):
        versions = list_versions(database, dataset)
    before = [versions[0], *versions]
    rows = [
        (
            one.version,
            f"{one.created_at:%Y-%m-%d %H:%M}",
            one.author or "-",
            one.hash,
            change_words(old.rule, one.rule) or "-",
            one.note,
        )
        for old, one in zip(before, versions, strict=False)
    ]
    header = ("VERSION", "WHEN (UTC)", "BY", "HASH", "CHANGED", "NOTE")
    emit(versions, as_json, aligned(header, rows))


def restore(
    dataset: DatasetArgument,
    version: Annotated[int, typer.Argument(help="As `history` prints it; 0 is the record's.")],
    note: NoteOption = "",
    queue: QueueOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make an old version of a rule the newest again, and label the images by it."""
    from backend.corpus.label_rules import find_version

    with open_workspace() as (settings, database):
        wanted = find_version(database, dataset, version).rule
        said = note or f"version {version} again"
        _apply(settings, database, dataset, wanted, said, None, queue, as_json)


def dropped(
    dataset: Annotated[str | None, typer.Option(help="Of this dataset alone.")] = None,
    subset: Annotated[str | None, typer.Option(help="Members of this subset alone.")] = None,
    limit: Annotated[int, typer.Option(min=1)] = 100,
    offset: Annotated[int, typer.Option(min=0)] = 0,
    as_json: JsonOption = False,
) -> None:
    """List the images that are kept but dropped by the rule of their dataset."""
    from backend.corpus.dropped import list_dropped

    with open_workspace() as (_, database):
        images = list_dropped(database, dataset, subset=subset, limit=limit, offset=offset)
    rows = [(one.dataset, one.source_id, one.diagnosis, one.why) for one in images]
    emit(images, as_json, aligned(("DATASET", "NAME", "DIAGNOSIS", "WHY"), rows))


def _apply(
    settings: Settings,
    database: Database,
    dataset: str,
    rule: LabelRule,
    note: str,
    base: int | None,
    queue: bool,
    as_json: bool,
) -> None:
    from backend.corpus.label_effects import preview as effect_of
    from backend.corpus.label_rules import newest_version
    from backend.corpus.relabelling import prepare_relabel, submit_relabel

    newest: RuleVersion = newest_version(database, dataset)
    effect = effect_of(database, dataset, rule)
    seen = newest.version if base is None else base
    task = prepare_relabel(database, dataset, rule, base=seen, note=note)
    if queue:
        job_id = submit_relabel(database, task)
        emit({"job": job_id, **_value(effect)}, as_json, f"Queued as {job_id}.")
        return
    job_id = _relabel(settings, database, task)
    said = f"Version {task.version} of the rule of {dataset} is applied."
    value = {"job": job_id, "version": task.version, **_value(effect)}
    emit(value, as_json, [*_effect_lines(effect), said])


def _relabel(settings: Settings, database: Database, task: RelabelTask) -> str:
    from backend.corpus.relabelling import KIND, relabel_title

    job = run_to_its_end(
        settings,
        database,
        kind=KIND,
        payload=task.model_dump(),
        title=relabel_title(task),
        total=0,
    )
    return job.id


def _wanted(
    database: Database, dataset: str, file: Path | None, choices: list[str] | None
) -> LabelRule:
    """The rule of the file, or the newest one, with single choices on top.

    Raises CommandError where neither is given, or one has no label.
    """
    from backend.corpus.label_rules import newest_version
    from backend.corpus.rule_editing import read_rule, with_choices
    from backend.files import read_file

    if file is None and not choices:
        raise CommandError("Say what is to change: --set DIAGNOSIS=LABEL, or --rule FILE.")
    named = {}
    for text in choices or ():
        diagnosis, sign, label = text.partition("=")
        if not sign or not diagnosis.strip():
            raise CommandError(f"--set {text} has no label: write it like nevus=benign.")
        named[diagnosis.strip()] = label.strip()
    newest = newest_version(database, dataset).rule
    rule = newest if file is None else read_rule(read_file(file), str(file))
    return with_choices(rule, named)


def _effect_lines(effect: LabelEffect) -> list[str]:
    rows = [
        (
            _diagnosis(one.diagnosis),
            f"{one.before.total:,}",
            _ruled(effect, one.choice_before),
            _ruled(effect, one.choice_after),
            "" if one.before == one.after else f"{one.before.words} -> {one.after.words}",
        )
        for one in effect.diagnoses
    ]
    lines = aligned(("DIAGNOSIS", "IMAGES", "NOW", "THEN", "CHANGES"), rows)
    lines.append(f"{effect.dataset} now: {effect.before.words}.")
    lines.append(f"{effect.dataset} then: {effect.after.words}; {effect.moved:,} change.")
    lines += [f"Subset {one.name}: {one.words}." for one in effect.subsets]
    return lines


def _value(effect: LabelEffect) -> dict[str, object]:
    return {
        "dataset": effect.dataset,
        "base": effect.base,
        "rule": effect.rule,
        "before": effect.before,
        "after": effect.after,
        "moved": effect.moved,
        "diagnoses": effect.diagnoses,
        "subsets": effect.subsets,
    }


def _ruled(effect: LabelEffect, choice: str) -> str:
    from backend.corpus.rule_editing import Choice, choice_words

    return choice_words(Choice(choice), by_target=effect.rule.by_target)


def _diagnosis(diagnosis: str) -> str:
    return diagnosis or "none"
