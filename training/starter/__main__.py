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

from training.starter.autoencoder import cache_latents, train_autoencoder, train_decoder
from training.starter.classifier import train_classifier
from training.starter.config import RunFolder, StarterConfig, configured
from training.starter.corpus import render_corpus
from training.starter.flow import load_data, train_flow
from training.starter.guidance import distil_guidance
from training.starter.precision import device_name, training_device
from training.starter.progress import log_event
from training.starter.release import assemble, read_release, write_release
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
    settings: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A number of training/starter/config.py, as in --set flow_steps=2000; repeatable.",
        ),
    ] = [],  # noqa: B006 - typer reads it once
    until: Annotated[str, typer.Option(help="Last stage to run; all by default.")] = "release",
    threads: Annotated[int | None, typer.Option(help="CPU threads; all cores by default.")] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the blocks; needs a C++ compiler.")
    ] = False,
) -> None:
    """Text, phantoms, autoencoder, latents, flow, guidance, classifier, release; resumable."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    cores = threads or os.cpu_count() or 1
    torch.set_num_threads(cores)
    try:
        config = configured(settings)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--set") from error
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
    device = training_device()
    workers = 0 if device.type == "cpu" else max(1, cores - 1)
    if start_from is not None and not run.log.exists():
        run.root.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(start_from / run.log.name, run.log)
    log_event(run.log, "start", device=device_name(device), **_facts(config))
    start = None
    if start_from is not None:
        encoders, autoencoder, start = read_release(start_from, config)
        autoencoder.to(device)
    else:
        encoders = train_text_encoders(config, run)
    if until == "text":
        return
    encoders.to(device)
    render_corpus(config, run, processes=cores)
    if until == "phantoms":
        return
    if start_from is None:
        autoencoder = train_autoencoder(config, run, device)
    if until == "autoencoder":
        return
    latents = cache_latents(run, autoencoder)
    if start_from is None and config.decoder_steps:
        autoencoder = train_decoder(config, run, autoencoder)
    data = load_data(run, latents, device)
    transformer = train_flow(
        config, run, encoders, data, start=start, compiled=compiled, workers=workers
    )
    if config.guidance_steps:
        transformer = distil_guidance(config, run, encoders, data, transformer, workers=workers)
    classifier = train_classifier(config, run, data)
    log_event(run.log, "end", hours_of_this_start=(time.monotonic() - started) / 3600)
    pipeline = assemble(encoders, autoencoder, latents, transformer)
    write_release(config, run, pipeline, classifier, out)


def _facts(config: StarterConfig) -> dict[str, str]:
    return {field.name: str(getattr(config, field.name)) for field in dataclasses.fields(config)}


if __name__ == "__main__":
    app()
