"""`python -m training.classifier`: train the classifiers of some cells, one after another."""

import logging
from pathlib import Path
from typing import Annotated

import timm
import torch
import typer

from backend.errors import DermaFluxError
from backend.evaluation.cells import read_status, write_status
from training.classifier.loop import DeviceKind, run_cell

app = typer.Typer(add_completion=False)


@app.command()
def main(
    cells: Annotated[
        list[Path] | None, typer.Argument(help="Folders with a task.json of `evaluate grid`.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads.", min=1)] = 1,
    list_: Annotated[
        bool, typer.Option("--list", help="Print the architectures that timm knows, and end.")
    ] = False,
) -> None:
    """Train and score cells; one that was stopped goes on from its last epoch, one done is left.

    Ends with exit code 1 where a cell failed; the others are done all the same.
    """
    if list_:
        typer.echo("\n".join(timm.list_models()))
        return
    logging.basicConfig(level=logging.WARNING)
    torch.set_num_threads(threads)
    failed = False
    for folder in cells or []:
        try:
            run_cell(folder, _device(device))
        except (DermaFluxError, MemoryError, torch.OutOfMemoryError) as error:
            failed = True
            sentence = str(error) if isinstance(error, DermaFluxError) else _no_room(folder)
            epochs = read_status(folder)
            write_status(
                folder,
                epoch=int(epochs.get("epoch", 0)),
                epochs=int(epochs.get("epochs", 0)),
                error=sentence,
            )
            typer.echo(sentence, err=True)
    raise typer.Exit(int(failed))


def _device(name: str) -> DeviceKind:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return "cuda" if name == "cuda" else "cpu"


def _no_room(folder: Path) -> str:
    return (
        f"The classifier of the cell {folder.name} does not fit into memory: lower its batch size "
        "or its side."
    )


if __name__ == "__main__":
    app()
