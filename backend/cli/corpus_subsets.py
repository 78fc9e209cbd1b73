"""`corpus subset`: named choices of images for training and evaluation."""

from __future__ import annotations

from typing import Annotated

import typer

from backend.abc.attributes import Label
from backend.cli.output import JsonOption, aligned, emit
from backend.cli.progress import CommandError
from backend.cli.workspace import open_workspace

NameArgument = Annotated[str, typer.Argument(help="Of the subset.")]


def register(corpus: typer.Typer) -> None:
    """Add `corpus subset`."""
    subset = typer.Typer(no_args_is_help=True, help="Named choices of images of the catalogue.")
    for name, command in (("make", make), ("list", list_), ("show", show), ("remove", remove)):
        subset.command(name)(command)
    corpus.add_typer(subset, name="subset")


def make(
    name: NameArgument,
    preset: Annotated[
        str | None, typer.Option(help="paper-training or paper-test instead of a filter.")
    ] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    split: Annotated[str | None, typer.Option(help="train, validation or test.")] = None,
    label: Annotated[Label | None, typer.Option()] = None,
    modality: Annotated[str | None, typer.Option()] = None,
    per_label: Annotated[
        int | None, typer.Option(min=1, help="Draw so many of each label instead of all.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The draw follows from it.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Keep a choice of images under a name; it stays as it is when more images are imported.

    Example: python -m backend corpus subset make balanced --per-label 2500 --seed 1
    """
    from backend.corpus.queries import CorpusFilter
    from backend.corpus.subsets import PRESETS, make_subset

    if preset is not None and preset not in PRESETS:
        raise CommandError(f"There is no preset '{preset}': use one of {', '.join(PRESETS)}.")
    datasets: list[str | None] = [*(dataset or ())] or [None]
    filters = (
        PRESETS[preset]
        if preset is not None
        else tuple(
            CorpusFilter(dataset=one, split=split, label=label, modality=modality)
            for one in datasets
        )
    )
    with open_workspace() as (_, database):
        made = make_subset(database, name, filters, per_label=per_label, seed=seed)
    emit(made, as_json, f"{made.name}: {made.images:,} images.")


def list_(as_json: JsonOption = False) -> None:
    """List the subsets with their sizes and how they were chosen."""
    from backend.corpus.describing import recipe_words
    from backend.corpus.subsets import list_subsets

    with open_workspace() as (_, database):
        subsets = list_subsets(database)
    rows = [(one.name, f"{one.images:,}", recipe_words(one.recipe)) for one in subsets]
    emit(subsets, as_json, aligned(("SUBSET", "IMAGES", "RECIPE"), rows))


def show(name: NameArgument, as_json: JsonOption = False) -> None:
    """Print the images of a subset: id, label, patient, lesion and file."""
    from backend.corpus.queries import iterate_corpus

    with open_workspace() as (settings, database):
        images = list(iterate_corpus(database, settings, subset=name))
    rows = [(one.id, one.label, one.patient, one.lesion, one.file) for one in images]
    emit(images, as_json, aligned(("ID", "LABEL", "PATIENT", "LESION", "FILE"), rows))


def remove(name: NameArgument, as_json: JsonOption = False) -> None:
    """Forget a subset; its images stay."""
    from backend.corpus.subsets import remove_subset

    with open_workspace() as (_, database):
        remove_subset(database, name)
    emit({"removed": name}, as_json, f"{name} is forgotten.")
