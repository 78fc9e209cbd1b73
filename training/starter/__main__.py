"""`python -m training.starter`: train the starter model from nothing, or go on where it stopped."""

import dataclasses
import logging
import os
import shutil
import time
from pathlib import Path
from typing import Annotated

import torch
import typer

from training.starter.alignment import BAND_DRAWINGS, align, make_judge
from training.starter.autoencoder import cache_latents, train_autoencoder
from training.starter.config import RunFolder, StarterConfig
from training.starter.corpus import render_corpus
from training.starter.flow import load_data, train_flow
from training.starter.guidance import distil_guidance
from training.starter.progress import log_event
from training.starter.release import assemble, read_release, write_release
from training.starter.segmenter import (
    FIRST_SEED,
    Drawings,
    drawings_needed,
    train_segmenter,
)
from training.starter.text import train_text_encoders

app = typer.Typer(add_completion=False)


@app.command()
def main(
    out: Annotated[Path, typer.Option(help="Where the finished pipeline goes.")] = Path(
        "assets/starter"
    ),
    run: Annotated[Path, typer.Option(help="Phantoms, checkpoints and log of this run.")] = Path(
        "runs/starter"
    ),
    start_from: Annotated[
        Path | None,
        typer.Option(help="Go on from a released folder: its encoders and autoencoder are kept."),
    ] = None,
    phantoms: Annotated[int | None, typer.Option(help="Training phantoms.")] = None,
    vae_steps: Annotated[int | None, typer.Option(help="Steps of the autoencoder.")] = None,
    text_steps: Annotated[int | None, typer.Option(help="Steps of the text encoders.")] = None,
    flow_steps: Annotated[int | None, typer.Option(help="Steps of the flow.")] = None,
    guidance_steps: Annotated[int | None, typer.Option(help="Steps of the distillation.")] = None,
    alignment_steps: Annotated[int | None, typer.Option(help="Steps of the alignment.")] = None,
    until: Annotated[str, typer.Option(help="Last stage to run; all by default.")] = "release",
    threads: Annotated[int | None, typer.Option(help="CPU threads; all cores by default.")] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the blocks; needs a C++ compiler.")
    ] = False,
) -> None:
    """Text, phantoms, autoencoder, latents, flow, guidance, alignment, release; resumable."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    cores = threads or os.cpu_count() or 1
    torch.set_num_threads(cores)
    chosen = {
        "phantoms": phantoms,
        "vae_steps": vae_steps,
        "text_steps": text_steps,
        "flow_steps": flow_steps,
        "guidance_steps": guidance_steps,
        "alignment_steps": alignment_steps,
    }
    given = {name: value for name, value in chosen.items() if value is not None}
    config = dataclasses.replace(StarterConfig(), **given)  # type: ignore[arg-type]
    _train(config, RunFolder(run), out, start_from, until, cores, compiled=compiled)


def _train(
    config: StarterConfig,
    run: RunFolder,
    out: Path,
    start_from: Path | None,
    until: str,
    cores: int,
    *,
    compiled: bool,
) -> None:
    started = time.monotonic()
    if start_from is not None and not run.log.exists():
        run.root.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(start_from / run.log.name, run.log)
    log_event(run.log, "start", **_facts(config))
    start = None
    if start_from is not None:
        encoders, autoencoder, start = read_release(start_from, config)
    else:
        encoders = train_text_encoders(config, run)
    if until == "text":
        return
    render_corpus(config, run, processes=cores)
    if until == "phantoms":
        return
    if start_from is None:
        autoencoder = train_autoencoder(config, run)
    if until == "autoencoder":
        return
    latents = cache_latents(run, autoencoder)
    data = load_data(run, latents)
    transformer = train_flow(config, run, encoders, data, start=start, compiled=compiled)
    if config.guidance_steps:
        transformer = distil_guidance(config, run, encoders, data, transformer)
    if config.alignment_steps:
        count = drawings_needed(config, run, afterwards=BAND_DRAWINGS)
        drawings = Drawings(count, first_seed=FIRST_SEED, processes=cores)
        judge = make_judge(autoencoder, train_segmenter(config, run, drawings), drawings, latents)
        transformer = align(config, run, encoders, data, judge, transformer, compiled=compiled)
    log_event(run.log, "end", hours_of_this_start=(time.monotonic() - started) / 3600)
    write_release(config, run, assemble(encoders, autoencoder, latents, transformer), out)


def _facts(config: StarterConfig) -> dict[str, str]:
    return {field.name: str(getattr(config, field.name)) for field in dataclasses.fields(config)}


if __name__ == "__main__":
    app()
