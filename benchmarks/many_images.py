"""Many images by a model, in batches: the studio's pipeline, noise and provenance, no database.

Image for image the noise is that of the same request made alone; batches change last bits only.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from backend.generation.lora.adapters import adapter_library
from backend.generation.lora.choice import ChosenLora
from backend.generation.lora.facts import find_facts
from backend.generation.lora.fit import check_fit
from backend.generation.lora.reading import read_lora
from backend.generation.lora.shelf import LoraView
from backend.generation.models import ModelEntry, usable_model
from backend.generation.pipelines import LoadedModel, choose_device, load_model, set_loras
from backend.files import write_file
from backend.generation.provenance import build_provenance, encode_png
from backend.generation.request import GenerationRequest
from backend.images import Pixels
from backend.settings import Settings

CPU_BATCH, CUDA_BATCH = 20, 100


class OutOfTimeError(Exception):
    """The hard limit of the program is reached; what is done stays."""


@dataclass
class Clock:
    """Wall-clock seconds of a program, and the limit that it must not pass."""

    limit_s: float = float("inf")
    began: float = field(default_factory=time.monotonic)

    @property
    def left_s(self) -> float:
        """Seconds until the limit."""
        return self.limit_s - (time.monotonic() - self.began)

    def check(self, what: str) -> None:
        """Raises OutOfTimeError where the limit is reached."""
        if self.left_s <= 0:
            raise OutOfTimeError(f"{what}: the time is up")


@dataclass(frozen=True)
class Maker:
    """A model in memory with its LoRA, or without; `length` is T5's, in tokens."""

    model: LoadedModel
    length: int
    lora: ChosenLora | None = None

    @property
    def entry(self) -> ModelEntry:
        """The model's record."""
        return self.model.entry

    @property
    def identity(self) -> str:
        """Hashes of the weights of model and LoRA, short: the name of a folder."""
        own = self.lora.view.hash[:8] if self.lora else "alone"
        return f"{self.model.hash[:8]}-{own}"

    def request(self, caption: str, seed: int, *, steps: int | None = None) -> GenerationRequest:
        """One image at the model's own size, steps and guidance."""
        entry = self.entry
        return GenerationRequest(
            caption=caption,
            model=entry.name,
            seed=seed,
            steps=steps or entry.steps,
            guidance_scale=entry.guidance_scale,
            width=entry.sizes[0],
            height=entry.sizes[0],
            max_sequence_length=self.length,
            loras=(self.lora.use,) if self.lora else (),
        )


def load_maker(settings: Settings, model: str, lora: Path | None = None) -> Maker:
    """The model on the device of the settings, with the LoRA of a file acting."""
    entry = usable_model(settings, model)
    chosen = None if lora is None else read_chosen(lora, entry)
    loaded = load_model(settings, entry, choose_device(settings))
    set_loras(loaded, () if chosen is None else (chosen,))
    trained = chosen.view.t5_length if chosen else None
    return Maker(loaded, trained or entry.max_sequence_length, chosen)


def read_chosen(path: Path, entry: ModelEntry) -> ChosenLora:
    """A LoRA file as if it were on the shelf, checked against the model."""
    file = read_lora(path)
    check_fit(file, path.stem, entry)
    facts = find_facts(file)
    view = LoraView(
        name=path.stem,
        title=facts.title,
        path=path,
        layout=facts.layout,
        family=facts.family,
        ranks=facts.ranks,
        targets=facts.targets,
        parameters=facts.parameters,
        bytes=facts.bytes,
        hash=facts.hash,
        base=facts.base,
        t5_length=facts.t5_length,
        added_at=datetime.now(UTC),
    )
    return ChosenLora(view, file, 1.0)


def make_files(
    maker: Maker,
    requests: Sequence[GenerationRequest],
    files: Sequence[Path],
    *,
    clock: Clock,
    batch: int | None = None,
) -> None:
    """Write the image of each request as a PNG with its provenance; those that are there stay.

    A batch that does not fit into the memory of a GPU is halved, and so are all after it.

    Raises:
        OutOfTimeError: the limit is reached.
    """
    todo = [pair for pair in zip(requests, files, strict=True) if not pair[1].is_file()]
    size = batch or (CPU_BATCH if maker.model.device.kind == "cpu" else CUDA_BATCH)
    began, done = time.monotonic(), 0
    while done < len(todo):
        clock.check(f"{done:,} of {len(todo):,} images")
        part = todo[done : done + size]
        try:
            pictures = render_many(maker, [request for request, _ in part])
        except torch.OutOfMemoryError:
            if size == 1:
                raise
            size = max(1, size // 2)
            torch.cuda.empty_cache()
            continue
        for (request, file), pixels in zip(part, pictures, strict=True):
            _write(maker, request, file, pixels, len(part))
        done += len(part)
        rate = done / (time.monotonic() - began)
        print(f"  {done:,} of {len(todo):,} images, {rate:.2f} images/s", flush=True)


@torch.no_grad()
def render_many(maker: Maker, requests: Sequence[GenerationRequest]) -> Iterator[Pixels]:
    """The pixels (H, W, 3) of requests that differ in caption and seed alone.

    Raises:
        ValueError: the model gave numbers that are no colours.
    """
    pipeline, first = maker.model.pipeline, requests[0]
    prompts, pooled, _ = pipeline.encode_prompt(
        prompt=[request.caption for request in requests],
        prompt_2=None,
        max_sequence_length=maker.length,
    )
    images = pipeline(
        prompt_embeds=prompts,
        pooled_prompt_embeds=pooled,
        max_sequence_length=maker.length,
        width=first.width,
        height=first.height,
        num_inference_steps=first.steps,
        guidance_scale=first.guidance_scale,
        generator=[torch.Generator("cpu").manual_seed(one.seed) for one in requests],
        output_type="np",
    ).images
    if not np.isfinite(images).all():
        raise ValueError(f"The model {first.model} gave numbers that are no colours.")
    return iter(np.asarray((images * 255).round(), dtype=np.uint8))


def _write(
    maker: Maker, request: GenerationRequest, file: Path, pixels: Pixels, batch: int
) -> None:
    model = maker.model
    provenance = build_provenance(
        request,
        family=model.entry.family,
        model_hash=model.hash,
        scheduler=model.scheduler,
        precision=model.device.precision,
        device=model.device.name,
        threads=model.device.threads,
        libraries={**model.libraries, **adapter_library(request.loras)},
        accelerations=(f"batch of {batch}",),
    )
    write_file(file, encode_png(pixels, provenance), durable=False)
