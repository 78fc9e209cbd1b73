"""`evaluate demo`, `grid`, `plan`, `presets` and `prompts`: experiment grids."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.cli.output import JsonOption, aligned, emit
from backend.cli.progress import CommandError, run_to_its_end
from backend.cli.workspace import open_workspace

if TYPE_CHECKING:
    from backend.evaluation.grid import Grid
    from backend.settings import Settings
    from backend.store.database import Database

SETS = "Sets"
GridFile = Annotated[
    str, typer.Argument(help="A YAML file, or a preset: `evaluate presets` lists them.")
]
RealOption = Annotated[
    str | None,
    typer.Option(help="Real images instead of those in the file.", rich_help_panel=SETS),
]
TestOption = Annotated[
    str | None,
    typer.Option(help="Test images instead of those in the file.", rich_help_panel=SETS),
]
GeneratorOption = Annotated[
    list[str] | None,
    typer.Option(help="NAME=SET, once for each generator.", rich_help_panel=SETS),
]
QueueOption = Annotated[
    bool, typer.Option("--queue", help="Leave it to a worker instead of waiting.")
]


def register(evaluate: typer.Typer) -> None:
    """Add the commands on experiment grids."""
    for name, command in (
        ("demo", demo),
        ("grid", grid),
        ("plan", plan),
        ("presets", presets),
        ("prompts", prompts),
    ):
        evaluate.command(name)(command)


def demo(queue: QueueOption = False, as_json: JsonOption = False) -> None:
    """Make the paper's tables and figures from what comes with the studio, without network.

    Phantoms stand for real images, the starter model makes the synthetic ones. It shows that the
    whole way works; it says nothing about patients. A second run takes seconds.
    """
    from backend.evaluation.demo import demo_grid

    with open_workspace() as (settings, database):
        _run(settings, database, demo_grid(settings), queue=queue, as_json=as_json, demo=True)


def grid(
    file: GridFile,
    real: RealOption = None,
    test: TestOption = None,
    generator: GeneratorOption = None,
    queue: QueueOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run an experiment grid: classifiers that are trained already are not trained again.

    Training and test images that share patients, lesions or pictures stop it, with the pairs.
    Predictions, tables and figures lie in the folder that it prints.

    Example: python -m backend evaluate grid table-2 --generator "DermaFlux=synthetic:First set"
    """
    with open_workspace() as (settings, database):
        chosen = _grid(file, real, test, generator)
        _run(settings, database, chosen, queue=queue, as_json=as_json)


def plan(
    file: GridFile,
    real: RealOption = None,
    test: TestOption = None,
    generator: GeneratorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a grid would train, and about how long that takes, without starting it."""
    from backend.evaluation.estimating import estimate_grid_s, words
    from backend.evaluation.grid import planned_sizes
    from backend.evaluation.planning import experiments_dir
    from backend.evaluation.running import programs_of

    with open_workspace() as (settings, _):
        chosen = _grid(file, real, test, generator)
        sizes = list(planned_sizes(chosen))
        root = experiments_dir(settings.workspace)
        seconds = estimate_grid_s(root, sizes, programs_of(settings))
    header = ("SCENARIO", "ARCHITECTURE", "GENERATOR", "REAL", "SYNTHETIC", "RUNS")
    runs: dict[tuple[str, str, str, int, int], int] = {}
    for size in sizes:
        key = (
            size.scenario.name,
            size.architecture.title,
            size.generator,
            size.real,
            size.synthetic,
        )
        runs[key] = runs.get(key, 0) + 1
    rows = [(*key, count) for key, count in runs.items()]
    lines = [
        f"{chosen.name}: {len(sizes)} classifiers, about {words(seconds)} on this processor.",
        *aligned(header, rows),
    ]
    names = [name.lower() for name in header]
    values = {
        "name": chosen.name,
        "classifiers": len(sizes),
        "seconds": round(seconds),
        "rows": [dict(zip(names, row, strict=True)) for row in rows],
    }
    emit(values, as_json, lines)


def presets(
    name: Annotated[str | None, typer.Argument(help="Print the YAML of this one.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the grids that come with the studio, or print one to start your own from."""
    from backend.evaluation.grid import PRESETS_DIR, preset_names, read_grid

    if name is not None:
        read_grid(name)
        text = (PRESETS_DIR / f"{name}.yaml").read_text("utf-8")
        emit({"name": name, "yaml": text}, as_json, text)
        return
    names = preset_names()
    emit(names, as_json, names)


def prompts(as_json: JsonOption = False) -> None:
    """Show every sentence that zero-shot models compare images with, by set and class."""
    from backend.evaluation.prompts import read_prompts

    with open_workspace() as (settings, _):
        found = read_prompts(settings.workspace)
    lines = []
    for name, one in found.items():
        lines.append(f"{name}: {one.title}")
        for label, malignant in (("benign", False), ("malignant", True)):
            lines += [f"  {label}: {sentence}" for sentence in one.sentences(malignant)]
    emit({name: one.model_dump() for name, one in found.items()}, as_json, lines)


def _grid(file: str, real: str | None, test: str | None, generator: list[str] | None) -> Grid:
    from backend.evaluation.grid import read_grid, with_sets

    generators: dict[str, str] = {}
    for one in generator or []:
        name, separator, chosen = one.partition("=")
        if not separator or not name.strip() or not chosen.strip():
            raise CommandError(f"'{one}' is no generator: write NAME=SET, as in DermaFlux=gallery.")
        generators[name.strip()] = chosen.strip()
    found = read_grid(file if not Path(file).suffix else Path(file))
    return with_sets(found, real=real, test=test, generators=generators)


def _run(
    settings: Settings,
    database: Database,
    grid: Grid,
    *,
    queue: bool,
    as_json: bool,
    demo: bool = False,
) -> None:
    from backend.evaluation.planning import results_dir
    from backend.evaluation.results import summary
    from backend.evaluation.running import KIND, payload_of, submit_grid, title_of
    from backend.jobs.queue import job_log

    if queue:
        job_id = submit_grid(database, grid, demo=demo)
        emit({"job": job_id}, as_json, f"Queued as {job_id}.")
        return
    job = run_to_its_end(
        settings,
        database,
        kind=KIND,
        payload=payload_of(grid, demo=demo),
        title=title_of(grid),
        total=0,
    )
    folder = results_dir(settings.workspace, grid)
    values: dict[str, Any] = {"job": job.id, "folder": folder, **summary(folder)}
    tables = [path.read_text("utf-8") for path in sorted(folder.glob("*.md"))]
    said = [line.text for line in job_log(database, job.id)]
    emit(values, as_json, [*said, *tables, str(folder)])
