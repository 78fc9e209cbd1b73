"""How well a model answers captions of combinations that it never saw in training.

For each of `count` combinations held out of training a caption is written, an image made and
measured; the ceiling is the same meter on phantoms of the same attributes, drawn from seeds that
no training set uses.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.abc.adherence import (
    Pair,
    bootstrap_intervals,
    compare_scores,
    score_attributes,
)
from backend.abc.attributes import LesionAttributes
from backend.abc.grammar import CaptionStyle, write_caption
from backend.abc.measure import measure
from backend.abc.sampling import sample_split
from backend.files import explained_files, read_file, write_file
from backend.generation.errors import GenerationError, RequestError
from backend.generation.memory import plain_memory_errors
from backend.generation.models import ModelEntry, find_model
from backend.generation.request import MAX_ATTRIBUTE_GUIDANCE, SEEDS, GenerationRequest, LoraUse
from backend.generation.running import prepare_request, warm_model
from backend.images import Pixels
from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState
from backend.phantom import render as render_phantom

if TYPE_CHECKING:
    from backend.generation.pipelines import LoadedModel

KIND = "adherence"
RESULT = "adherence.json"
MEASURED = "measured.jsonl"
SIDES = ("requested", "measured")
RESAMPLES = 400
PHANTOM_SEEDS = 2_000_000_000
"""No phantom that the starter was trained on or the meter calibrated with has such a seed."""


class AdherenceTask(BaseModel):
    """What the job is asked to do; `steps` and `guidance_scale` are the model's own.

    `loras` and `attribute_guidance` act in every image, as in a request; the text length is then
    that of the LoRAs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = "starter"
    count: int = Field(300, ge=1, le=100_000)
    seed: int = Field(0, ge=0, lt=SEEDS)
    loras: tuple[LoraUse, ...] = ()
    attribute_guidance: float | None = Field(
        None, ge=0, le=MAX_ATTRIBUTE_GUIDANCE, allow_inf_nan=False
    )


@dataclass(frozen=True)
class Probe:
    """One held-out combination: what is asked for, in which words, from which noise."""

    attributes: LesionAttributes
    request: GenerationRequest


class Measured:
    """Guards the file that grows by a line for each image: what was asked for and measured.

    `pairs` holds, in order, those of image and phantom. Lines of another model, or cut off in the
    middle, are dropped with all that follow.

    Raises FileError where the file cannot be read or written.
    """

    def __init__(self, path: Path, model_hash: str) -> None:
        self._path = path
        self._model_hash = model_hash
        self.pairs: list[tuple[Pair, Pair]] = []
        lines = read_file(path).splitlines() if path.exists() else []
        for line in lines:
            pairs = _read_line(line, model_hash)
            if pairs is None:
                break
            self.pairs.append(pairs)
        write_file(path, b"".join(map(self._line, self.pairs)))

    def add(self, made: Pair, drawn: Pair) -> None:
        """Keep the pairs of the next image; they are on the disk when this returns."""
        self.pairs.append((made, drawn))
        with explained_files(self._path), self._path.open("ab") as lines:
            lines.write(self._line((made, drawn)))
            lines.flush()
            os.fsync(lines.fileno())

    def _line(self, pairs: tuple[Pair, Pair]) -> bytes:
        image, phantom = map(_rows, pairs)
        row = {"model_hash": self._model_hash, "image": image, "phantom": phantom}
        return json.dumps(row).encode() + b"\n"


def run_adherence(context: JobContext, payload: dict[str, Any], warm: WarmState) -> None:
    """Score a model and write `adherence.json` into the folder of the job.

    What an earlier attempt of the job has measured with the same weights is kept.

    Raises:
        DermaFluxError: the task or the model cannot be used, or the disk is full.
        MemoryError, torch.OutOfMemoryError: the device has no room left.
        JobStopped: cancelled, interrupted or lost; raised at the next step.
    """
    task = make_task(payload)
    context.attempting = adherence_title(task)
    entry = find_model(context.settings, task.model)
    first = next(probes(entry, task)).request
    prepared = prepare_request(context.database, context.settings, first)
    own = {
        "loras": prepared.loras,
        "max_sequence_length": prepared.max_sequence_length,
        "attribute_guidance": prepared.attribute_guidance,
    }
    todo = [
        Probe(probe.attributes, probe.request.model_copy(update=own))
        for probe in probes(entry, task)
    ]
    captions = [probe.request.caption for probe in todo]
    model = warm_model(context, todo[0].request, warm, captions)
    parts = [model.hash, *(f"{use.hash}:{use.weight}" for use in prepared.loras)]
    if prepared.attribute_guidance:
        parts.append(f"{model.classifier_hash}:{prepared.attribute_guidance}")
    weights = "+".join(parts)
    told = {
        "attribute_guidance": prepared.attribute_guidance,
        "model_hash": model.hash,
        "classifier_hash": model.classifier_hash if prepared.attribute_guidance else None,
    }
    measured = Measured(context.folder / MEASURED, weights)
    for position, probe in enumerate(todo):
        if position < len(measured.pairs):
            continue
        pixels = _render(context, model, probe.request, position, captions)
        pair = (probe.attributes, measure(pixels).attributes)
        measured.add(pair, _phantom_pair(probe, position))
    made, drawn = ([pairs[side] for pairs in measured.pairs] for side in (0, 1))
    write_file(context.folder / RESULT, _report(task, told, made, drawn))


def make_task(values: Mapping[str, object]) -> AdherenceTask:
    """A task from the values of a command line or a stored job.

    Raises:
        RequestError: naming the field that is wrong.
    """
    try:
        return AdherenceTask.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        problem = first["msg"].removeprefix("Input should be ")
        raise RequestError(f"The {field} of an adherence run should be {problem}.") from error


def adherence_title(task: AdherenceTask) -> str:
    """What the job is called in lists."""
    names = " with ".join([task.model, *(use.name for use in task.loras)])
    return f"Adherence of {names} on {task.count} held-out combinations"


def probes(entry: ModelEntry, task: AdherenceTask) -> Iterator[Probe]:
    """Held-out lesions in the wording of the authors and in plain ABC by turns, seeded."""
    side = entry.sizes[0]
    for position in range(task.count):
        rng = np.random.default_rng((task.seed, position))
        attributes = sample_split(rng, held_out=True)
        style = (CaptionStyle.AUTHORS, CaptionStyle.PLAIN)[position % 2]
        caption_seed, noise_seed = (int(value) for value in rng.integers(0, SEEDS, 2))
        yield Probe(
            attributes,
            GenerationRequest(
                caption=write_caption(attributes, style=style, seed=caption_seed),
                style=style,
                attributes=attributes,
                model=entry.name,
                seed=noise_seed,
                steps=entry.steps,
                guidance_scale=entry.guidance_scale,
                width=side,
                height=side,
                loras=task.loras,
                attribute_guidance=task.attribute_guidance,
            ),
        )


def read_report(folder: Path) -> dict[str, Any]:
    """What `run_adherence` wrote into the folder of its job.

    Raises:
        GenerationError: there is nothing yet.
    """
    try:
        report: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GenerationError("This adherence run has no result: let it run to its end.") from error
    return report


def _render(
    context: JobContext,
    model: "LoadedModel",
    request: GenerationRequest,
    position: int,
    captions: Sequence[str],
) -> Pixels:
    from backend.generation.pipelines import encode_caption, render

    count = len(captions)

    def after_step(index: int, _latents: object, _sigmas: object) -> None:
        context.progress(
            position * request.steps + index + 1,
            count * request.steps,
            f"image {position + 1} of {count}, step {index + 1} of {request.steps}",
        )
        context.check_cancelled()

    with plain_memory_errors():
        return render(model, request, encode_caption(model, request, captions), after_step)


def _phantom_pair(probe: Probe, position: int) -> Pair:
    size = probe.request.width
    phantom = render_phantom(probe.attributes, size=size, seed=PHANTOM_SEEDS + position)
    return phantom.truth, measure(phantom.image).attributes


def _report(
    task: AdherenceTask, told: Mapping[str, object], made: list[Pair], drawn: list[Pair]
) -> bytes:
    """The scores; `told` says with which weights and which guidance they were reached."""
    scores = compare_scores(score_attributes(made), score_attributes(drawn))
    intervals = bootstrap_intervals(made, resamples=RESAMPLES)
    report = {
        **task.model_dump(mode="json"),
        **told,
        "scores": {
            name: {
                "score": value.score,
                "ceiling": value.ceiling,
                "ratio": value.ratio,
                "interval": asdict(intervals[name]),
            }
            for name, value in scores.items()
        },
        "images": [_rows(pair) for pair in made],
        "phantoms": [_rows(pair) for pair in drawn],
    }
    return json.dumps(report, indent=1).encode()


def _read_line(line: bytes, model_hash: str) -> tuple[Pair, Pair] | None:
    """What `Measured` wrote for an image; None for anything else."""
    try:
        row = json.loads(line)
        if row["model_hash"] != model_hash:
            return None
        return _pair(row["image"]), _pair(row["phantom"])
    except (ValueError, TypeError, KeyError):
        return None


def _pair(row: Mapping[str, object]) -> Pair:
    asked, told = (LesionAttributes.model_validate(row[side]) for side in SIDES)
    return asked, told


def _rows(pair: Pair) -> dict[str, object]:
    return {name: side.model_dump(mode="json") for name, side in zip(SIDES, pair, strict=True)}
