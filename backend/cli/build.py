"""`build`: whole synthetic sets from a table of captions, with a card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backend.cli.output import JsonOption, aligned, emit
from backend.cli.progress import run_to_its_end
from backend.cli.sampling import (
    AttributeGuidanceOption,
    GuidanceOption,
    LoraOption,
    ModelOption,
    NegativeCaptionOption,
    ProfileOption,
    SizeOption,
    StepsOption,
    lora_uses,
    sampling_of,
)
from backend.cli.workspace import open_workspace

RULES = "Rules"
JobId = Annotated[str, typer.Argument(help="As `build list` prints it.")]


def register(app: typer.Typer) -> None:
    """Add `build`."""
    build = typer.Typer(
        no_args_is_help=True, help="Build named sets of synthetic images, and look at them."
    )
    for name, command in (("run", run), ("show", show), ("list", list_)):
        build.command(name)(command)
    app.add_typer(build, name="build")


def run(
    captions: Annotated[Path, typer.Argument(help="A table that `design write` made.")],
    name: Annotated[str, typer.Option(help="Of the set.")],
    per_class: Annotated[
        int | None,
        typer.Option(help="Images of each label; captions take turns. One a caption if unset."),
    ] = None,
    best_of: Annotated[
        int, typer.Option(help="Candidates for each image; the best by measured ABC is kept.")
    ] = 1,
    attempts: Annotated[
        int, typer.Option(help="Candidates an image at the most, on average over a class.")
    ] = 20,
    seed: Annotated[int, typer.Option(help="All noise follows from it.")] = 0,
    min_confidence: Annotated[
        float,
        typer.Option(help="Reject masks less sure than this; 0 takes any.", rich_help_panel=RULES),
    ] = 0.3,
    max_correlation: Annotated[
        float,
        typer.Option(
            help="Reject near-duplicates of an image in the set, by the correlation of 24 x 24 "
            "thumbnails; 1 takes any.",
            rich_help_panel=RULES,
        ),
    ] = 0.985,
    any_picture: Annotated[
        bool,
        typer.Option(
            "--any-picture", help="Take pictures without a lesion too.", rich_help_panel=RULES
        ),
    ] = False,
    model: ModelOption = "starter",
    steps: StepsOption = None,
    guidance: GuidanceOption = None,
    attribute_guidance: AttributeGuidanceOption = None,
    size: SizeOption = None,
    profile: ProfileOption = None,
    lora: LoraOption = None,
    negative_caption: NegativeCaptionOption = None,
    queue: Annotated[
        bool, typer.Option("--queue", help="Leave it to a worker instead of waiting.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Build a named set: candidates are made, judged by the rules and by measured ABC, and kept.

    A build that was stopped or killed goes on where it was (`jobs retry`) and ends with the same
    images. Card, members, captions and a sheet of samples lie in the folder that it prints. The
    images are in the gallery; all are synthetic and say so.

    Example: python -m backend build run captions.csv --name "First set" --per-class 100 --best-of 4
    """
    from backend.generation.building.card import set_folder
    from backend.generation.building.running import (
        KIND,
        build_steps,
        build_title,
        prepare_build,
        submit_build,
    )
    from backend.generation.design.files import read_table
    from backend.generation.models import usable_model

    table = read_table(captions)
    with open_workspace() as (settings, database):
        entry = usable_model(settings, model)
        values: dict[str, object] = {
            "name": name,
            "per_class": per_class,
            "best_of": best_of,
            "attempts": attempts,
            "rules": {
                "lesion": not any_picture,
                "min_confidence": min_confidence,
                "max_correlation": max_correlation,
            },
            "seed": seed,
            **sampling_of(
                entry,
                steps=steps,
                guidance=guidance,
                attribute_guidance=attribute_guidance,
                size=size,
                profile=profile,
            ),
            "loras": lora_uses(lora),
            "negative_caption": negative_caption,
        }
        task = prepare_build(database, settings, table, values)
        if queue:
            job_id = submit_build(database, settings, task)
            emit({"job": job_id, "build": task}, as_json, f"Queued as {job_id}.")
            return
        job = run_to_its_end(
            settings,
            database,
            kind=KIND,
            payload=task.model_dump(mode="json"),
            title=build_title(task),
            total=build_steps(settings, task),
        )
        folder = set_folder(settings, job.id)
    emit({"job": job.id, "synthetic": True, "folder": folder, "build": task}, as_json, str(folder))


def show(job_id: JobId, as_json: JsonOption = False) -> None:
    """Show how far a build is: candidates made, images kept, and rejections by rule, by class."""
    from backend.generation.building.ledger import REJECTIONS, build_counts
    from backend.generation.building.task import label_words
    from backend.jobs.queue import get_job

    with open_workspace() as (_, database):
        job = get_job(database, job_id)
        counts = build_counts(database, job_id)
    named = {label_words(label): count for label, count in counts.items()}
    rows = [
        (label, count.made, count.kept, *(count.rejected[rule] for rule in REJECTIONS))
        for label, count in named.items()
    ]
    header = ("CLASS", "MADE", "KEPT", "NO LESION", "UNSURE", "DUPLICATE")
    lines = [f"{job.title}: {job.state}", *aligned(header, rows)]
    emit({"job": job_id, "state": job.state, "classes": named}, as_json, lines)


def list_(as_json: JsonOption = False) -> None:
    """List the sets by name, with the jobs that build them."""
    from backend.generation.building.running import build_names

    with open_workspace() as (_, database):
        names = build_names(database)
    rows = [(job_id, name) for name, job_id in names.items()]
    emit(names, as_json, aligned(("JOB", "SET"), rows))
