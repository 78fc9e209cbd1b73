"""`python -m training.lora`: plan a LoRA training and run it, or run or resume a planned one."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from backend.errors import DermaFluxError
from backend.finetuning.errors import FinetuningError
from backend.finetuning.overrides import Override, parse_overrides
from backend.finetuning.run_folder import RunFolder
from backend.settings import Settings, load_settings, prepare_workspace
from training.lora.describe import print_description

app = typer.Typer(add_completion=False)


@app.command()
def main(
    run: Annotated[Path | None, typer.Option(help="A planned run: start or resume it.")] = None,
    preset: Annotated[str | None, typer.Option(help="What a new run starts from.")] = None,
    caption_set: Annotated[str | None, typer.Option(help="The pairs: a caption set.")] = None,
    version: Annotated[int | None, typer.Option(help="Its version; the newest.")] = None,
    subset: Annotated[str | None, typer.Option(help="Only images of this corpus subset.")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Or the pairs: a folder with metadata.jsonl.")
    ] = None,
    base: Annotated[str | None, typer.Option(help="A model by name.")] = None,
    title: Annotated[str, typer.Option(help="What the run is called.")] = "",
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other setting, as in --set steps=100 --set lora.rank=16."),
    ] = None,
    plan_only: Annotated[bool, typer.Option(help="Plan and print the folder, do not run.")] = False,
    describe: Annotated[
        bool, typer.Option("--describe", help="Print what each target set comes to, and end.")
    ] = False,
    rank: Annotated[int, typer.Option(min=1, max=512, help="For --describe.")] = 64,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Train a LoRA."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        settings = load_settings()
        if describe:
            print_description(settings, base or "starter", rank, as_json=as_json)
            return
        if run is not None:
            found = _planned(run)
        else:
            choices = parse_overrides(
                change or (),
                base=base,
                title=title,
                caption_set=caption_set,
                version=version,
                subset=subset,
                folder=folder,
            )
            found = _plan(settings, preset, choices)
            typer.echo(str(found.path))
        if not plan_only:
            from training.lora.program import train

            typer.echo(train(settings, found).value)
    except DermaFluxError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _planned(folder: Path) -> RunFolder:
    found = RunFolder(folder.expanduser().absolute())
    if not found.config.is_file():
        raise FinetuningError(
            f"The folder {folder} holds no planned training run: plan one with --preset."
        )
    return found


def _plan(settings: Settings, preset: str | None, choices: Override) -> RunFolder:
    from backend.finetuning.planning import make_run
    from backend.finetuning.presets import configure
    from backend.store.database import open_database

    config = configure(preset, choices)
    prepare_workspace(settings)
    database = open_database(settings)
    try:
        return make_run(database, settings, config)
    finally:
        database.close()


if __name__ == "__main__":
    sys.exit(app())
