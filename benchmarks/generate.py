"""Seconds an image by our loop and by a bare FluxPipeline call on the same model, interleaved.

    python -m benchmarks.generate [--model starter] [--repeats 9] [--json]

"loop" is one image of a running job up to its pixels: progress and cancel in the database, live
preview; "gallery" also writes the PNG and its thumbnail, measures the image and adds its row.
"bare" is the pipeline called with the same caption, size, steps, guidance and noise. All three
use the weights in memory once, take turns after a warm-up of each, and give the same pixels,
which is checked; attribute guidance, which a bare pipeline does not know, is off in them. "guided"
is the loop as it is by default, where the model has a classifier. Ratios are of medians.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from backend.abc.grammar import CaptionStyle, write_caption
from backend.abc.sampling import sample_attributes
from backend.generation.models import ModelEntry, usable_model
from backend.generation.pipelines import LoadedModel
from backend.generation.request import GenerationRequest
from backend.generation.running import KIND, GenerationRun, prepare_request, warm_model
from backend.images import Pixels
from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState
from backend.jobs.processes import this_process
from backend.jobs.queue import claim_next, submit
from backend.settings import Settings, load_settings, prepare_workspace
from backend.store.database import open_database

WAYS = ("bare", "loop", "gallery", "guided")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="starter")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    here = load_settings()
    with tempfile.TemporaryDirectory(prefix="dermaflux-benchmark-") as folder:
        folders = (here.models_dir, *here.model_folders)
        settings = here.model_copy(
            update={"workspace": Path(folder), "database_url": None, "model_folders": folders}
        )
        prepare_workspace(settings)
        figures = measure_all(settings, options.model, options.repeats)
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    print(
        f"{figures['model']} on {figures['device']}, {figures['threads']} threads, "
        f"{figures['size']} px, {figures['steps']} steps, {figures['repeats']} repeats"
    )
    for name in WAYS:
        if f"{name}_s" in figures:
            print(f"{name:8} {figures[f'{name}_s']:.3f} s an image")
    print(f"loop / bare {figures['ratio']:.3f}, gallery / bare {figures['gallery_ratio']:.3f}")


def measure_all(settings: Settings, model_name: str, repeats: int) -> dict[str, Any]:
    """Medians in seconds and their ratios, for an image of the model's own size and steps."""
    database = open_database(settings)
    entry = usable_model(settings, model_name)
    request = prepare_request(database, settings, example_request(entry, count=repeats + 1))
    submit(
        database,
        kind=KIND,
        payload=request.model_dump(mode="json"),
        title="benchmark",
        total=request.count * request.steps,
    )
    job = claim_next(database, this_process())
    if job is None:
        raise SystemExit("The job of the benchmark is not there.")
    context = JobContext(settings, database, job)
    model = warm_model(context, request, WarmState())
    run = GenerationRun(context, model)
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    for position in range(request.count):
        images = {}
        for name, make in ways(run, model, request, position).items():
            images[name], took = timed(make)
            if position:
                seconds[name].append(took)
        if not np.array_equal(images["bare"], images["loop"]):
            raise SystemExit("The loop and the bare pipeline gave different pixels.")
    database.close()
    medians = {f"{name}_s": median(values) for name, values in seconds.items() if values}
    return {
        "model": entry.name,
        "device": model.device.name,
        "threads": model.device.threads,
        "size": request.width,
        "steps": request.steps,
        "repeats": repeats,
        **medians,
        "ratio": medians["loop_s"] / medians["bare_s"],
        "gallery_ratio": medians["gallery_s"] / medians["bare_s"],
    }


def ways(
    run: GenerationRun, model: LoadedModel, request: GenerationRequest, position: int
) -> dict[str, Callable[[], Pixels | None]]:
    """The ways to make image `position`, their order turning with it."""
    alone = request.per_image(position)
    ours = {
        "bare": lambda: bare_call(model, alone),
        "loop": lambda: run.render(position, alone, unreported),
        "gallery": lambda: run.make(position, alone, unreported),
    }
    if model.classifier is not None:
        led = request.model_copy(update={"attribute_guidance": 1.0}).per_image(position)
        ours["guided"] = lambda: run.render(position, led, unreported)
    names = list(ours)
    turn = position % len(names)
    return {name: ours[name] for name in names[turn:] + names[:turn]}


def unreported(_index: int) -> None:
    """What the benchmark does after a step: nothing."""


def bare_call(model: LoadedModel, request: GenerationRequest) -> Pixels:
    """One image by the pipeline itself, called as its documentation shows."""
    import torch

    image = model.pipeline(
        request.caption,
        width=request.width,
        height=request.height,
        num_inference_steps=request.steps,
        guidance_scale=request.guidance_scale,
        max_sequence_length=request.max_sequence_length,
        generator=torch.Generator("cpu").manual_seed(request.seed),
    ).images[0]
    return np.asarray(image)


def timed(make: Callable[[], Pixels | None]) -> tuple[Pixels | None, float]:
    """What it makes, and the seconds it takes."""
    start = time.perf_counter()
    made = make()
    return made, time.perf_counter() - start


def example_request(entry: ModelEntry, count: int) -> GenerationRequest:
    """A caption of the usual length at the model's own settings."""
    attributes = sample_attributes(np.random.default_rng(0))
    return GenerationRequest(
        caption=write_caption(attributes, style=CaptionStyle.AUTHORS, seed=0),
        attributes=attributes,
        model=entry.name,
        count=count,
        seed=0,
        steps=entry.steps,
        guidance_scale=entry.guidance_scale,
        attribute_guidance=0.0,
        width=entry.sizes[0],
        height=entry.sizes[0],
    )


if __name__ == "__main__":
    main()
