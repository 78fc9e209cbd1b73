"""`train`: LoRA runs planned, started, watched, stopped and exported."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.cli.output import JsonOption, aligned, emit
from backend.cli.workspace import open_workspace
from backend.finetuning.presets import PRESETS

if TYPE_CHECKING:
    from backend.finetuning.config import TrainingConfig
    from backend.finetuning.plan import Plan
    from backend.finetuning.runs import RunView

Run = Annotated[str, typer.Argument(help="As `train list` prints it.")]
Preset = Annotated[
    str | None, typer.Option("--preset", help=f"Start from one of: {', '.join(PRESETS)}.")
]
CaptionSet = Annotated[str | None, typer.Option(help="A caption set by name.")]
Folder = Annotated[Path | None, typer.Option(help="Or a folder with metadata.jsonl.")]
Version = Annotated[
    int | None, typer.Option(min=1, help="Of the caption set; the newest if unset.")
]
Subset = Annotated[str | None, typer.Option(help="Only images of this corpus subset.")]
Base = Annotated[str | None, typer.Option(help="A model by name, as `models list` prints it.")]
Title = Annotated[str | None, typer.Option(help="What the run is called.")]
Chosen = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any other setting as NAME=VALUE, such as lora.rank=32; repeat it."),
]


class Layout(StrEnum):
    """In which form a LoRA leaves a run."""

    DIFFUSERS = "diffusers"
    KOHYA = "kohya"
    MERGED = "merged"


def register(app: typer.Typer) -> None:
    """Add `train`."""
    train = typer.Typer(no_args_is_help=True, help="Train LoRAs on pairs of images and captions.")
    for name, command in (
        ("presets", presets),
        ("describe", describe),
        ("plan", plan),
        ("start", start),
        ("list", list_),
        ("show", show),
        ("stop", stop),
        ("resume", resume),
        ("export", export),
    ):
        train.command(name)(command)
    app.add_typer(train, name="train")


def presets(as_json: JsonOption = False) -> None:
    """List the configurations to start from."""
    listed = list(PRESETS.values())
    rows = [(one.name, one.title, one.needs, one.reason) for one in listed]
    values = [
        {"name": one.name, "title": one.title, "reason": one.reason, "needs": one.needs}
        | {"values": dict(one.values)}
        for one in listed
    ]
    emit(values, as_json, aligned(("NAME", "TITLE", "NEEDS", "WHY"), rows))


def describe(
    base: Annotated[str, typer.Option(help="A model, a folder, or flux.1-dev without weights.")],
    rank: Annotated[int, typer.Option(min=1, max=512)] = 64,
    as_json: JsonOption = False,
) -> None:
    """Count the parameters and bytes of every target set of a base model."""
    from backend.finetuning.architectures import find_architecture
    from backend.finetuning.targets import count_all_targets
    from backend.settings import load_settings

    counts = count_all_targets(find_architecture(load_settings(), base), rank)
    rows = [
        (
            one.targets,
            "fused" if one.fused else "split",
            one.pairs,
            f"{one.parameters:,}",
            f"{one.bytes_bf16:,}",
            f"{one.bytes_fp32:,}",
        )
        for one in counts
    ]
    header = ("TARGETS", "LAYOUT", "PAIRS", "PARAMETERS", "BYTES IN BF16", "BYTES IN FP32")
    emit(counts, as_json, aligned(header, rows))


def plan(
    preset: Preset = None,
    caption_set: CaptionSet = None,
    folder: Folder = None,
    version: Version = None,
    subset: Subset = None,
    base: Base = None,
    title: Title = None,
    chosen: Chosen = None,
    as_json: JsonOption = False,
) -> None:
    """Check a run and tell what it will take; nothing is written."""
    from backend.finetuning.planning import plan_run

    config = _config(preset, caption_set, folder, version, subset, base, title, chosen)
    with open_workspace() as (settings, database):
        told = plan_run(database, settings, config)
    emit(told, as_json, _plan_lines(told))


def start(
    preset: Preset = None,
    caption_set: CaptionSet = None,
    folder: Folder = None,
    version: Version = None,
    subset: Subset = None,
    base: Base = None,
    title: Title = None,
    chosen: Chosen = None,
    as_json: JsonOption = False,
) -> None:
    """Plan a run and put it into the queue, for the worker of the studio."""
    from backend.finetuning.plan import read_plan
    from backend.finetuning.planning import make_run
    from backend.finetuning.submitting import submit_run

    config = _config(preset, caption_set, folder, version, subset, base, title, chosen)
    with open_workspace() as (settings, database):
        run = make_run(database, settings, config)
        job = submit_run(database, settings, run.path.name)
        told = read_plan(run)
    said = f"The run {run.path.name} is in the queue, as job {job}."
    emit({"run": run.path.name, "job": job, "plan": told}, as_json, [*_plan_lines(told), said])


def list_(as_json: JsonOption = False) -> None:
    """List the runs, the newest first."""
    from backend.finetuning.runs import find_runs

    with open_workspace() as (settings, database):
        views = find_runs(database, settings)
    rows = [(view.id, view.state, f"{view.fraction:.0%}", view.title) for view in views]
    said = aligned(("RUN", "STATE", "DONE", "TITLE"), rows) if rows else "There is no run yet."
    emit([_view(view) for view in views], as_json, said)


def show(run: Run, as_json: JsonOption = False) -> None:
    """Show how a run stands and what it was asked."""
    from backend.finetuning.runs import get_run, setting_words

    with open_workspace() as (settings, database):
        view = get_run(database, settings, run)
    facts = {
        "title": view.title,
        "state": view.state.value,
        "done": f"{view.fraction:.0%}",
        "step": f"{view.status.step:,} of {view.status.steps:,}" if view.status else "none yet",
        "error": view.error,
        **(setting_words(view.config) if view.config else {}),
    }
    lines = aligned(("FACT", "VALUE"), [(name, value) for name, value in facts.items() if value])
    emit(_view(view), as_json, lines)


def stop(
    run: Run,
    after_checkpoint: Annotated[
        bool, typer.Option("--after-checkpoint", help="Once the next checkpoint is kept.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Stop a run; it can be resumed."""
    from backend.finetuning.run_folder import Wish
    from backend.finetuning.submitting import ask

    wanted = Wish.STOP_AFTER_CHECKPOINT if after_checkpoint else Wish.STOP_NOW
    with open_workspace() as (settings, database):
        said = ask(database, settings, run, wanted)
    emit({"run": run, "asked": wanted}, as_json, said)


def resume(run: Run, as_json: JsonOption = False) -> None:
    """Put a run that ended before its time back into the queue."""
    from backend.finetuning.submitting import submit_run

    with open_workspace() as (settings, database):
        job = submit_run(database, settings, run)
    emit({"run": run, "job": job}, as_json, f"The run {run} is in the queue, as job {job}.")


def export(
    run: Run,
    layout: Annotated[
        Layout, typer.Option(help="diffusers; kohya for ComfyUI and A1111; merged into the base.")
    ] = Layout.DIFFUSERS,
    step: Annotated[
        int | None, typer.Option(min=0, help="A kept checkpoint; the newest if unset.")
    ] = None,
    fp32: Annotated[bool, typer.Option("--fp32", help="Every bit, at twice the size.")] = False,
    last_step: Annotated[
        bool, typer.Option("--last-step", help="Not the moving average, where there is one.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="A new file or a folder, for kohya.")] = None,
    name: Annotated[str | None, typer.Option(help="Of the merged model.")] = None,
    shelf: Annotated[bool, typer.Option("--shelf", help="Onto the LoRA shelf as well.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the LoRA of a run, with its card, from a checkpoint."""
    from backend.finetuning.export import LoraPrecision, licences, write_export, write_kohya
    from backend.finetuning.merging import write_merged
    from backend.finetuning.plan import read_plan
    from backend.finetuning.run_folder import find_run, read_config
    from backend.finetuning.shelving import put_on_shelf
    from backend.generation.models import usable_model

    precision = LoraPrecision.FP32 if fp32 else LoraPrecision.BF16
    with open_workspace() as (settings, database):
        folder = find_run(settings, run)
        path = write_export(folder, step=step, precision=precision, averaged=not last_step)
        if layout is Layout.KOHYA:
            path = write_kohya(folder, out)
        if layout is Layout.MERGED:
            config, told = read_config(folder), read_plan(folder)
            path = write_merged(
                settings,
                folder.lora,
                usable_model(settings, config.base),
                name or run,
                title=config.title,
                licence="; ".join(licences(told)),
                t5_length=config.t5_length,
            )
        shelved = put_on_shelf(database, settings, folder) if shelf else None
    lines = [f"The LoRA of {run} is in {path}, in {layout} layout."]
    if shelved:
        lines.append(f"It is on the shelf as {shelved}.")
    emit({"file": path, "layout": layout, "shelf": shelved}, as_json, lines)


def _config(
    preset: str | None,
    caption_set: str | None,
    folder: Path | None,
    version: int | None,
    subset: str | None,
    base: str | None,
    title: str | None,
    chosen: list[str] | None,
) -> TrainingConfig:
    from backend.finetuning.overrides import parse_overrides
    from backend.finetuning.presets import configure

    choices = parse_overrides(
        chosen or (),
        base=base,
        title=title or "",
        caption_set=caption_set,
        version=version,
        subset=subset,
        folder=folder,
    )
    return configure(preset, choices)


def _plan_lines(told: Plan) -> list[str]:
    from backend.files import size_words
    from backend.finetuning.plan import pairs_words

    data, cost = told.data, told.estimate
    facts = {
        "base": f"{told.base.title}, {told.base.hash[:12]}",
        "data": f"{data.name}{f', version {data.version}' if data.version else ''}",
        "pairs": pairs_words(data),
        "labels": _counts(data.labels),
        "captions": _counts(data.origins),
        "sizes": _counts(data.buckets),
        "left out": _counts(data.left_out),
        "targets": f"{told.targets.targets}, {told.targets.parameters:,} parameters, "
        f"{size_words(told.targets.bytes_bf16)} in bf16",
        "steps": f"{told.steps:,}",
        "memory": f"{size_words(cost.memory_bytes)} on {cost.device}",
        "disk": size_words(cost.disk_bytes),
        "time": f"about {cost.seconds / 3600:.1f} h",
    }
    lines = aligned(("FACT", "VALUE"), [(name, value) for name, value in facts.items() if value])
    lines += [f"Memory: {item.what}, {size_words(item.bytes)}" for item in cost.memory]
    lines += [f"Assumed: {line}" for line in cost.assumptions]
    return lines + [f"Warning: {line}" for line in told.warnings]


def _counts(counts: Any) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _view(view: RunView) -> dict[str, Any]:
    return {
        "run": view.id,
        "title": view.title,
        "state": view.state,
        "fraction": view.fraction,
        "status": view.status,
        "config": view.config,
        "job": view.job.id if view.job else None,
        "error": view.error,
        "notes": view.notes,
    }
