"""`corpus`: datasets of real images, their label rules, import and catalogue."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from backend.abc.attributes import Label
from backend.cli.corpus_export import export
from backend.cli.corpus_labels import register as register_labels
from backend.cli.corpus_subsets import register as register_subsets
from backend.cli.output import JsonOption, aligned, emit
from backend.cli.progress import CommandError, run_to_its_end
from backend.cli.workspace import open_workspace
from backend.corpus.exclusions import Reason
from backend.corpus.recipe import Encoding, Fit, Minimum

OutOption = Annotated[Path | None, typer.Option("--out", help="Write a CSV file instead.")]


def register(app: typer.Typer) -> None:
    """Add `corpus`."""
    corpus = typer.Typer(
        no_args_is_help=True, help="Import datasets of real images, and find them again."
    )
    commands = (
        ("sources", sources),
        ("rules", rules),
        ("import", import_),
        ("list", list_),
        ("show", show),
        ("table", table),
        ("excluded", excluded),
        ("catalogue", catalogue),
        ("export", export),
    )
    for name, command in commands:
        corpus.command(name)(command)
    register_subsets(corpus)
    register_labels(corpus)
    app.add_typer(corpus, name="corpus")


def sources(as_json: JsonOption = False) -> None:
    """List the datasets that are known, with their layout, scale and licence."""
    from backend.corpus.sources import SOURCES

    rows = [(one.key, one.side, one.licence, one.layout) for one in SOURCES.values()]
    emit(list(SOURCES.values()), as_json, aligned(("DATASET", "PX", "LICENCE", "LAYOUT"), rows))


def rules(
    check: Annotated[
        Path | None, typer.Option(help="Count the labels of all metadata below this folder.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the label rule of each dataset, or check them against the published counts.

    A check ends with exit code 1 where a complete table gives other counts than were published.
    """
    from backend.corpus.checking import Outcome, check_rules
    from backend.corpus.sources import SOURCES

    if check is None:
        shown = [
            (
                one.key,
                ", ".join(one.rule.malignant),
                ", ".join(one.rule.benign),
                ", ".join(one.rule.dropped),
                "the dataset's own label" if one.rule.by_target else "dropped",
            )
            for one in SOURCES.values()
        ]
        header = ("DATASET", "MALIGNANT", "BENIGN", "DROPPED", "ANYTHING ELSE")
        emit({one.key: one.rule for one in SOURCES.values()}, as_json, aligned(header, shown))
        return
    checks = check_rules(check)
    counted = [
        (
            one.source,
            one.place,
            one.rows,
            one.benign,
            one.malignant,
            sum(one.dropped.values()),
            f"{one.published.benign} / {one.published.malignant}" if one.published else "-",
            one.outcome,
        )
        for one in checks
    ]
    titles = ("DATASET", "FOLDER", "IMAGES", "BENIGN", "MALIGNANT", "DROPPED", "PUBLISHED", "IS")
    emit(checks, as_json, aligned(titles, counted))
    different = [one.source for one in checks if one.outcome is Outcome.DIFFERENT]
    if different:
        raise CommandError(f"The counts differ from those published for {', '.join(different)}.")


def import_(
    source: Annotated[str, typer.Argument(help="As `corpus sources` prints it.")],
    folder: Annotated[Path, typer.Argument(help="Its download: a folder, or one zip.")],
    name: Annotated[str | None, typer.Option(help="In the catalogue; its own if unset.")] = None,
    side: Annotated[int | None, typer.Option(help="px; its own scale if unset.")] = None,
    fit: Annotated[Fit, typer.Option(help="How an image becomes square.")] = Fit.CROP,
    encoding: Annotated[Encoding, typer.Option(help="Of the copies.")] = Encoding.JPEG,
    minimum: Annotated[int, typer.Option(help="Leave out smaller images; 0 keeps all.")] = 0,
    minimum_of: Annotated[
        Minimum, typer.Option(help="What the minimum is measured by.")
    ] = Minimum.SHORTER_SIDE,
    column: Annotated[
        list[str] | None,
        typer.Option(help="FIELD=COLUMN, as in `image=photo`; may be repeated."),
    ] = None,
    processes: Annotated[int | None, typer.Option(help="One a processor if unset.")] = None,
    queue: Annotated[
        bool, typer.Option("--queue", help="Leave it to a worker instead of waiting.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring a dataset into the catalogue: decoded, standardised, labelled, with thumbnails.

    Originals are never changed. Killed at any point, the same command goes on where it was; run
    again, it changes nothing. What is left out is listed by `corpus excluded`.

    Example: python -m backend corpus import ham10000 ~/downloads/ham10000
    """
    from backend.corpus.catalogue import count_left_out
    from backend.corpus.importing import KIND, import_title, plan_task, submit_import
    from backend.corpus.queries import CorpusFilter, count_corpus

    task = plan_task(
        source,
        folder,
        name=name,
        side=side,
        fit=fit,
        encoding=encoding,
        minimum=minimum,
        minimum_of=minimum_of,
        columns=_columns(column or []),
        processes=processes,
    )
    with open_workspace() as (settings, database):
        if queue:
            job_id = submit_import(database, task)
            emit({"job": job_id, "import": task}, as_json, f"Queued as {job_id}.")
            return
        job = run_to_its_end(
            settings,
            database,
            kind=KIND,
            payload=task.model_dump(mode="json"),
            title=import_title(task),
            total=0,
        )
        images = count_corpus(database, CorpusFilter(dataset=task.name))
        reasons = count_left_out(database, task.name)
    value = {"job": job.id, "import": task, "images": images, "excluded": reasons}
    lines = [f"{images:,} images of {task.name} are in the catalogue."]
    lines += [
        f"{count:,} left out: {reason.replace('_', ' ')}" for reason, count in reasons.items()
    ]
    emit(value, as_json, lines)


def list_(
    dataset: Annotated[str | None, typer.Option()] = None,
    split: Annotated[str | None, typer.Option(help="train, validation or test.")] = None,
    label: Annotated[Label | None, typer.Option()] = None,
    diagnosis: Annotated[str | None, typer.Option()] = None,
    modality: Annotated[str | None, typer.Option()] = None,
    skin_tone: Annotated[str | None, typer.Option(help="I to VI, or a pair such as I-II.")] = None,
    site: Annotated[str | None, typer.Option()] = None,
    decade: Annotated[int | None, typer.Option(help="40 is 40 to 49; -1 is not said.")] = None,
    sex: Annotated[str | None, typer.Option()] = None,
    limit: Annotated[int, typer.Option(min=1)] = 24,
    offset: Annotated[int, typer.Option(min=0)] = 0,
    as_json: JsonOption = False,
) -> None:
    """List images of the catalogue, and say how many match."""
    from backend.corpus.queries import CorpusFilter, count_corpus, query_corpus

    criteria = CorpusFilter(
        dataset, split, label, diagnosis, modality, skin_tone, site, decade, sex
    )
    with open_workspace() as (settings, database):
        total = count_corpus(database, criteria)
        images = query_corpus(database, settings, criteria, limit=limit, offset=offset)
    rows = [(one.id, one.dataset, one.source_id, one.label, one.diagnosis) for one in images]
    lines = aligned(("ID", "DATASET", "NAME", "LABEL", "DIAGNOSIS"), rows)
    emit({"total": total, "images": images}, as_json, [*lines, f"{total:,} images match."])


def show(
    name: Annotated[str, typer.Argument(help="An id, a name in its dataset, patient or lesion.")],
    as_json: JsonOption = False,
) -> None:
    """Show all that is known of an image, or of the images of a patient or a lesion."""
    import dataclasses

    from backend.corpus.queries import find_corpus

    with open_workspace() as (settings, database):
        images = find_corpus(database, settings, name)
    if not images:
        raise CommandError(f"Nothing in the catalogue is called {name}: `corpus list` shows it.")
    lines: list[str] = []
    for image in images:
        values = dataclasses.asdict(image)
        lines += [*aligned(("FIELD", "VALUE"), values.items()), ""]
    emit(images, as_json, lines)


def table(as_json: JsonOption = False) -> None:
    """Print Table 1 of the paper for what is in the catalogue, beside the published numbers."""
    from backend.corpus.statistics import table_1

    with open_workspace() as (_, database):
        found = table_1(database)
    rows = [
        (
            one.title,
            one.side,
            f"{one.benign:,} / {one.malignant:,}",
            f"{one.published.benign:,} / {one.published.malignant:,}",
            f"{one.missing:,}",
            f"{one.test:,}",
        )
        for one in found
    ]
    header = ("DATASET", "PX", "HERE", "PAPER", "MISSING", "TEST SPLIT")
    emit(found, as_json, aligned(header, rows))


def excluded(
    dataset: Annotated[str | None, typer.Option()] = None,
    reason: Annotated[Reason | None, typer.Option()] = None,
    out: OutOption = None,
    limit: Annotated[int, typer.Option(min=1)] = 100,
    as_json: JsonOption = False,
) -> None:
    """List what the imports left out, each with its reason."""
    from backend.corpus.catalogue import left_out_lines, list_left_out
    from backend.files import write_file

    with open_workspace() as (_, database):
        if out is not None:
            write_file(out, "".join(left_out_lines(database, dataset, reason)).encode())
            emit({"file": out}, as_json, str(out))
            return
        found = list_left_out(database, dataset, reason, limit=limit)
    rows = [(name, one.reason, one.place, one.detail) for name, one in found]
    value = [{"dataset": name, "excluded": one} for name, one in found]
    emit(value, as_json, aligned(("DATASET", "REASON", "PLACE", "WHY"), rows))


def catalogue(out: OutOption = None, as_json: JsonOption = False) -> None:
    """Print the digest of the whole catalogue, or write it out: equal catalogues, equal bytes."""
    from backend.corpus.catalogue import catalogue_lines
    from backend.files import write_file

    with open_workspace() as (_, database):
        digest = hashlib.sha256()
        lines = []
        for line in catalogue_lines(database):
            digest.update(line.encode())
            if out is not None:
                lines.append(line)
    if out is not None:
        write_file(out, "".join(lines).encode())
    emit({"sha256": digest.hexdigest(), "file": out}, as_json, digest.hexdigest())


def _columns(options: list[str]) -> dict[str, str]:
    columns = {}
    for option in options:
        field, sign, column = option.partition("=")
        if not sign or not column:
            raise CommandError(f"--column {option} has no column: write it like image=photo.")
        columns[field.strip()] = column.strip()
    return columns
