"""The job that runs an experiment grid: plan, train what is missing, score, write the results."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend.evaluation.catalogue_facts import catalogue_facts
from backend.evaluation.cells import (
    is_done,
    missing_cells,
    read_status,
    write_scores,
)
from backend.evaluation.cluster import run_on_cluster
from backend.evaluation.demo import make_demo_images
from backend.evaluation.errors import EvaluationError
from backend.evaluation.estimating import estimate_s, words
from backend.evaluation.grid import Grid, make_grid
from backend.evaluation.planning import (
    ExperimentPlan,
    experiments_dir,
    plan_experiment,
    results_dir,
)
from backend.evaluation.programs import ZERO_SHOT, run_cells, run_programs
from backend.evaluation.prompts import find_prompts
from backend.evaluation.results import Scorer, write_results
from backend.evaluation.scorers import (
    RULE,
    ScoredImage,
    frame_of,
    rule_folder,
    score_by_rule,
    scored_images,
    write_scoring,
)
from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState
from backend.jobs.queue import submit
from backend.settings import Settings
from backend.store.database import Database

KIND = "classify"


def payload_of(grid: Grid, *, demo: bool = False) -> dict[str, Any]:
    """What the job of a grid is asked; that of the demo makes its images first."""
    return {"grid": grid.model_dump(mode="json"), "demo": demo}


def submit_grid(db: Database, grid: Grid, *, demo: bool = False, owner: str | None = None) -> str:
    """Queue an experiment; returns the id of its job."""
    payload = payload_of(grid, demo=demo)
    return submit(db, kind=KIND, payload=payload, title=title_of(grid), owner=owner)


def title_of(grid: Grid) -> str:
    """What people call the job."""
    return f"Experiment {grid.name}"


def run_classify(context: JobContext, payload: dict[str, Any], warm: WarmState) -> None:
    """Run an experiment; cells that are done already are not trained again.

    Raises:
        LeakageError: training and test images share something; the report has the pairs.
        DermaFluxError: the grid, its images or a classifier cannot be used; what is done stays.
        JobStopped: cancelled, interrupted or lost; each cell keeps its last epoch.
    """
    if payload.get("demo"):
        make_demo_images(context, warm)
    grid = make_grid(payload.get("grid"))
    plan = plan_experiment(context, grid)
    missing = missing_cells([cell.folder for cell in plan.cells])
    unique = len({cell.folder for cell in plan.cells})
    programs = programs_of(context.settings)
    seconds = estimate_s(experiments_dir(context.settings.workspace), missing, programs)
    context.log(
        f"{len(plan.cells)} places in tables, {unique} classifiers, {len(missing)} to train: "
        f"about {words(seconds)}"
    )
    if missing:
        warm.release()
        _train(context, missing, programs)
    scorers = _score(context, plan)
    folder = results_dir(context.settings.workspace, grid)
    scored = (*plan.sources.validation, *plan.sources.test)
    facts = catalogue_facts(context.database, [one.picture.image_id for one in scored])
    files = write_results(folder, grid, plan.cells, scorers, facts)
    context.log(f"{len(files)} files with predictions, tables and figures in {folder.name}")


def programs_of(settings: Settings) -> int:
    """How many classifiers train side by side on the processor, one thread each."""
    from backend.generation.pipelines import physical_cores

    return settings.threads or physical_cores()


def _train(context: JobContext, missing: Sequence[Path], programs: int) -> None:
    if context.settings.runner == "ray":
        run_on_cluster(context, missing)
        return
    run_cells(context, missing, cuda=_cuda(context.settings), programs=programs)


def _cuda(settings: Settings) -> bool:
    if settings.device == "cpu":
        return False
    import torch

    return torch.cuda.is_available()


def _score(context: JobContext, plan: ExperimentPlan) -> list[Scorer]:
    """Scores of what is not trained; those that are there already are kept."""
    grid, root = plan.grid, experiments_dir(context.settings.workspace) / "scores"
    images = scored_images(plan.sources.validation, plan.sources.test)
    scorers = []
    for model in grid.zero_shot:
        prompts = find_prompts(model.prompts, context.settings.workspace)
        scorers.append(Scorer(model.name, write_scoring(root, model, prompts, images)))
    missing = missing_cells([scorer.folder for scorer in scorers])
    if missing:
        _score_zero_shot(context, missing, len(images))
    if grid.rule:
        scorers.append(Scorer(RULE, _score_by_rule(context, root, images)))
    return scorers


def _score_zero_shot(context: JobContext, folders: Sequence[Path], images: int) -> None:
    total = images * len(folders)

    def report() -> None:
        done = sum(
            images if is_done(folder) else int(read_status(folder).get("epoch", 0))
            for folder in folders
        )
        context.progress(done, total, f"{done:,} of {total:,} images scored zero-shot")

    threads = str(programs_of(context.settings))
    command = [ZERO_SHOT, *map(str, folders), "--threads", threads]
    command += ["--device", "cuda" if _cuda(context.settings) else "cpu"]
    run_programs(context, [command], report)
    for folder in missing_cells(folders):
        sentence = str(read_status(folder).get("error") or "its program ended without a word")
        raise EvaluationError(f"A zero-shot model failed: {sentence}")


def _score_by_rule(context: JobContext, root: Path, images: tuple[ScoredImage, ...]) -> Path:
    folder = rule_folder(root, images)
    if is_done(folder):
        return folder

    def step(done: int) -> None:
        context.progress(done, len(images), f"{done:,} of {len(images):,} images measured")
        context.check_cancelled()

    write_scores(folder, frame_of(RULE, folder.name, images, score_by_rule(images, step)))
    return folder
