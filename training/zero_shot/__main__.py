"""`python -m training.zero_shot`: score the images of some tasks with models of open_clip."""

import os
from pathlib import Path
from typing import Annotated

os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"

import pandas as pd
import torch
import typer

from backend.errors import DermaFluxError
from backend.evaluation.cells import is_done, write_scores, write_status
from backend.evaluation.scorers import ScoringTask, read_scoring, score_frame
from training.zero_shot.loading import load_model
from training.zero_shot.scoring import encode_prompts, score_files

app = typer.Typer(add_completion=False)


@app.command()
def main(
    tasks: Annotated[list[Path], typer.Argument(help="Folders with a scoring.json.")],
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads.", min=1)] = 1,
) -> None:
    """Score every image of each task between the ensembles of its prompts; what is done is left.

    Ends with exit code 1 where a model failed; the others are done all the same.
    """
    torch.set_num_threads(threads)
    chosen = device
    if device == "auto":
        chosen = "cuda" if torch.cuda.is_available() else "cpu"
    failed = False
    for folder in tasks:
        if is_done(folder):
            continue
        task = read_scoring(folder)
        try:
            write_scores(folder, _scored(folder, task, chosen))
        except DermaFluxError as error:
            failed = True
            write_status(folder, epoch=0, epochs=1, error=str(error))
            typer.echo(str(error), err=True)
    raise typer.Exit(int(failed))


def _scored(folder: Path, task: ScoringTask, device: str) -> pd.DataFrame:
    loaded = load_model(task.folder)
    loaded.model.to(device)
    ensembles = encode_prompts(loaded, task.prompts, device)
    total = len(task.images)
    scores = score_files(
        loaded,
        ensembles,
        [one.path for one in task.images],
        device=device,
        step=lambda done: write_status(folder, epoch=done, epochs=total),
    )
    return score_frame(task, folder.name, scores)


if __name__ == "__main__":
    app()
