"""`adherence`: does a model show what its captions say, on combinations it never saw?"""

from __future__ import annotations

from typing import Annotated

import typer

from backend.cli.output import JsonOption, aligned, emit
from backend.cli.progress import run_to_its_end
from backend.cli.sampling import AttributeGuidanceOption, LoraOption, lora_uses
from backend.cli.workspace import open_workspace


def register(app: typer.Typer) -> None:
    """Add `adherence`."""
    app.command("adherence")(adherence)


def adherence(
    model: Annotated[str, typer.Option(help="As `models list` names it.")] = "starter",
    count: Annotated[int, typer.Option(help="How many held-out combinations.")] = 300,
    seed: Annotated[int, typer.Option(help="Seed of combinations, wording and noise.")] = 0,
    lora: LoraOption = None,
    attribute_guidance: AttributeGuidanceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make one image for each of so many held-out combinations, measure it, and score the model.

    Colours: micro-averaged F1. Asymmetry, border and edge: balanced accuracy. Skin tone: share
    within one Fitzpatrick type. The ceiling is the meter's own score on phantoms of the same
    attributes; the ratio is score over ceiling. The interval is a 95 % bootstrap interval.
    """
    from backend.generation.adherence import KIND, adherence_title, make_task, read_report
    from backend.generation.models import usable_model

    task = make_task(
        {
            "model": model,
            "count": count,
            "seed": seed,
            "loras": lora_uses(lora),
            "attribute_guidance": attribute_guidance,
        }
    )
    with open_workspace() as (settings, database):
        entry = usable_model(settings, task.model)
        job = run_to_its_end(
            settings,
            database,
            kind=KIND,
            payload=task.model_dump(mode="json"),
            title=adherence_title(task),
            total=task.count * entry.steps,
        )
        scores = read_report(settings.jobs_dir / job.id)["scores"]
    figures = ("score", "ceiling", "ratio")
    rows = [
        (
            name,
            *(f"{values[figure]:.3f}" for figure in figures),
            f"{values['interval']['low']:.3f} to {values['interval']['high']:.3f}",
        )
        for name, values in scores.items()
    ]
    value = {name: {key: values[key] for key in figures} for name, values in scores.items()}
    emit(value, as_json, aligned(("ATTRIBUTE", "SCORE", "CEILING", "RATIO", "INTERVAL"), rows))
