"""`corpus export`: a subset of the catalogue, or what a filter finds, as files for others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backend.abc.attributes import Label
from backend.cli.output import JsonOption, emit
from backend.cli.progress import CommandError, run_to_its_end
from backend.cli.workspace import open_workspace
from backend.corpus.export_format import CorpusFormat


def export(
    out: Annotated[Path, typer.Option(help="A new folder.")],
    subset: Annotated[
        str | None, typer.Argument(help="As `corpus subset list` prints it; or give a filter.")
    ] = None,
    form: Annotated[
        CorpusFormat, typer.Option("--format", help="For which programs the images are meant.")
    ] = CorpusFormat.IMAGE_FOLDER,
    dataset: Annotated[str | None, typer.Option(help="Instead of a subset.")] = None,
    split: Annotated[str | None, typer.Option(help="Instead of a subset.")] = None,
    label: Annotated[Label | None, typer.Option(help="Instead of a subset.")] = None,
    modality: Annotated[str | None, typer.Option(help="Instead of a subset.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="The whole catalogue.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write images into a new folder with README.txt and manifest.json: licences and citations.

    imagefolder: a folder a label beside metadata.jsonl. csv: the same beside metadata.csv.
    parquet: for datasets and pandas. webdataset: tar shards.

    Example: python -m backend corpus export balanced --format parquet --out balanced
    """
    from backend.corpus.exporting import KIND, count_chosen, export_title, plan_corpus_export
    from backend.corpus.queries import CorpusFilter

    criteria = CorpusFilter(dataset=dataset, split=split, label=label, modality=modality)
    if [subset is not None, criteria != CorpusFilter(), everything].count(True) != 1:
        raise CommandError("Say which images: a subset, or a filter, or --all, one of the three.")
    task = plan_corpus_export(criteria if subset is None else subset, out, form)
    with open_workspace() as (settings, database):
        total = count_chosen(database, task)
        job = run_to_its_end(
            settings,
            database,
            kind=KIND,
            payload=task.model_dump(mode="json"),
            title=export_title(task, total),
            total=total,
        )
    value = {"folder": task.result, "images": total, "format": form, "job": job.id}
    emit(value, as_json, f"{total:,} images are in {task.result}.")
