"""Training programs side by side: started, watched, ended with the job that started them."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from backend.evaluation.cells import is_done, read_cell, read_status
from backend.evaluation.errors import EvaluationError
from backend.jobs.context import JobContext
from backend.jobs.leash import leash_command, release
from backend.settings import REPOSITORY

LOOK_EVERY_S = 0.5
END_WITHIN_S = 10.0
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
CLASSIFIER, ZERO_SHOT = "training.classifier", "training.zero_shot"

Report = Callable[[], None]


def run_cells(context: JobContext, folders: Sequence[Path], *, cuda: bool, programs: int) -> None:
    """Train the cells of these folders, in so many programs of one thread, or one on a GPU.

    Raises:
        EvaluationError: a cell failed; the others are done.
        JobStopped: cancelled, interrupted or lost; each cell keeps its last epoch.
    """
    epochs = {folder: read_cell(folder).recipe.epochs for folder in folders}
    total = sum(epochs.values())
    largest_first = sorted(folders, key=_cost, reverse=True)
    count = max(1, min(1 if cuda else programs, len(folders)))
    device = ["--device", "cuda" if cuda else "cpu", "--threads", "1"]
    commands = [
        [CLASSIFIER, *device, *map(str, largest_first[first::count])] for first in range(count)
    ]

    def report() -> None:
        done = sum(
            epochs[folder] if is_done(folder) else int(read_status(folder).get("epoch", 0))
            for folder in folders
        )
        cells = sum(is_done(folder) for folder in folders)
        words = f"{cells} of {len(folders)} classifiers trained, {done:,} of {total:,} epochs"
        context.progress(min(done, total), total, words)

    run_programs(context, commands, report)
    failed = [folder for folder in folders if not is_done(folder)]
    if failed:
        sentence = str(read_status(failed[0]).get("error") or "its program ended without a word")
        raise EvaluationError(
            f"{len(failed)} of {len(folders)} classifiers failed, the first because: {sentence}"
        )


def run_programs(context: JobContext, commands: Sequence[Sequence[str]], report: Report) -> None:
    """Run modules of Python until all have ended, whatever they end with.

    Raises:
        JobStopped: the job has to end; the programs are ended first.
    """
    environment = context.settings.process_environment() | ONE_THREAD
    running = [
        subprocess.Popen(
            leash_command([sys.executable, "-m", *command], grace_s=END_WITHIN_S),
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for command in commands
    ]
    try:
        while any(program.poll() is None for program in running):
            time.sleep(LOOK_EVERY_S)
            report()
            context.check_cancelled()
        report()
    finally:
        for program in running:
            release(program)
        for program in running:
            program.wait()


def _cost(folder: Path) -> float:
    task = read_cell(folder)
    return float(task.images * task.recipe.epochs * task.recipe.side**2)
