"""The images of the embedded demo: phantoms for real ones, the starter model's for synthetic ones.

What is there already is left, so that a second run makes nothing. Phantoms carry their own mark and
starter images their whole provenance: all of them say that they are synthetic.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backend.abc.attributes import Label, LesionAttributes
from backend.abc.grammar import CaptionStyle, write_caption
from backend.abc.sampling import sample_attributes
from backend.evaluation.grid import Grid, read_grid, with_sets
from backend.evaluation.planning import experiments_dir
from backend.files import write_file
from backend.generation.provenance import encode_png, write_phantom
from backend.generation.request import GenerationRequest, make_request
from backend.generation.running import GenerationRun, prepare_request, warm_model
from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState
from backend.phantom import render
from backend.settings import Settings

PRESET = "embedded-demo"
SIDE = 128
STEPS = 8
PHANTOMS = {"real": 100, "test": 160}
"""Half of each is malignant; far from the seeds that the starter model learnt from."""
FIRST_SEEDS = {"real": 1_000_000, "test": 2_000_000, "abc": 0, "label": 1_000}
STARTER = {"abc": 120, "label": 60}
GENERATORS = {"Starter, ABC": "abc", "Starter, label only": "label"}
STATED = ("asymmetry", "border", "edge", "colours", "pattern", "modality", "skin_tone")


@dataclass(frozen=True)
class _Place:
    path: Path
    label: Label
    index: int


def demo_grid(settings: Settings) -> Grid:
    """The preset with the sets of this workspace."""
    folder = demo_dir(settings)
    return with_sets(
        read_grid(PRESET),
        real=f"folder:{folder / 'real'}",
        test=f"folder:{folder / 'test'}",
        generators={title: f"folder:{folder / name}" for title, name in GENERATORS.items()},
    )


def demo_dir(settings: Settings) -> Path:
    """Where the images of the demo lie."""
    return experiments_dir(settings.workspace) / "demo"


def make_demo_images(context: JobContext, warm: WarmState) -> None:
    """Draw the phantoms and generate the starter images that are not there yet.

    Raises:
        DermaFluxError: the starter model or the disk stands in the way.
        JobStopped: cancelled, interrupted or lost; what was made stays.
    """
    folder = demo_dir(context.settings)
    for name, count in PHANTOMS.items():
        for place in _missing(folder / name, count):
            context.check_cancelled()
            seed = FIRST_SEEDS[name] + place.index
            attributes = sample_attributes(np.random.default_rng(seed), label=place.label)
            phantom = render(attributes, size=SIDE, seed=seed)
            write_phantom(place.path, phantom.image, truth=phantom.truth, seed=seed)
            context.progress(place.index, count, f"{place.index} of {count} phantoms: {name}")
    for name, count in STARTER.items():
        _generate(context, warm, name, list(_missing(folder / name, count)))


def _generate(context: JobContext, warm: WarmState, name: str, places: list[_Place]) -> None:
    if not places:
        return
    requests = [_request(context, name, place) for place in places]
    captions = [request.caption for request in requests]
    model = warm_model(context, requests[0], warm, captions)
    run = GenerationRun(context, model, (), captions)
    total = len(places)
    for done, (place, request) in enumerate(zip(places, requests, strict=True)):
        words = f"{done} of {total} starter images: {name}"
        context.progress(done, total, words)
        pixels = run.render(done, request, lambda _step: None)
        write_file(place.path, encode_png(pixels, run.provenance(request)))


def _request(context: JobContext, name: str, place: _Place) -> GenerationRequest:
    """From ABC words without a label, or from the label alone as the paper prompts."""
    seed = FIRST_SEEDS[name] + place.index
    attributes = sample_attributes(np.random.default_rng(seed), label=place.label)
    style = CaptionStyle.LABEL_ONLY if name == "label" else CaptionStyle.PLAIN
    stated = (
        LesionAttributes(label=place.label)
        if name == "label"
        else LesionAttributes(**{field: getattr(attributes, field) for field in STATED})
    )
    values: dict[str, object] = {
        "caption": write_caption(stated, style=style, seed=seed),
        "style": style,
        "attributes": stated,
        "seed": seed,
        "steps": STEPS,
        "width": SIDE,
        "height": SIDE,
    }
    return prepare_request(context.database, context.settings, make_request(values))


def _missing(folder: Path, count: int) -> Iterator[_Place]:
    labels = tuple(Label)
    for index in range(count):
        label = labels[index % len(labels)]
        path = folder / label.value / f"{index:04d}.png"
        if not path.is_file():
            yield _Place(path, label, index)
