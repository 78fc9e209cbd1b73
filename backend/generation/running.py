"""The job that makes images: submitted by the page or the command line, done by a worker."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.abc.parser import parse
from backend.files import remove_file, write_file
from backend.generation.arrivals import Arrival, keep_image
from backend.generation.gallery import finished_positions
from backend.generation.lora.choice import choose_loras, text_length
from backend.generation.memory import plain_memory_errors
from backend.generation.models import usable_model, weights_fingerprint
from backend.generation.preview import estimate_clean, unpack_latents
from backend.generation.provenance import Provenance, build_provenance, encode_preview
from backend.generation.request import GenerationRequest, make_request
from backend.images import Pixels
from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState
from backend.jobs.queue import submit
from backend.settings import Settings
from backend.store.database import Database

if TYPE_CHECKING:
    import torch

    from backend.generation.pipelines import LoadedModel, StepCallback, TextEmbeddings

KIND = "generate"
PREVIEW_EVERY_S = 0.22


def prepare_request(
    db: Database, settings: Settings, request: GenerationRequest
) -> GenerationRequest:
    """The request with everything said that was left open: text length, attributes, LoRA hashes.

    Raises:
        ModelError: the model is unknown or cannot be used.
        LoraError: a LoRA is not on the shelf, or does not fit the model.
    """
    entry = usable_model(settings, request.model)
    chosen = choose_loras(db, settings, request, entry)
    length = request.max_sequence_length or text_length(chosen) or entry.max_sequence_length
    return request.model_copy(
        update={
            "max_sequence_length": length,
            "attributes": request.attributes or parse(request.caption).attributes,
            "loras": tuple(lora.use for lora in chosen),
        }
    )


def submit_generation(
    db: Database, settings: Settings, request: GenerationRequest, owner: str | None = None
) -> str:
    """Queue the images of a request; returns the id of the job.

    Raises:
        ModelError: the model is unknown or cannot be used.
        LoraError: a LoRA is not on the shelf, or does not fit the model.
        StoreError: the database cannot be written.
    """
    prepared = prepare_request(db, settings, request)
    return submit(
        db,
        kind=KIND,
        payload=prepared.model_dump(mode="json"),
        title=job_title(prepared),
        owner=owner,
        total=prepared.count * prepared.steps,
    )


def job_title(request: GenerationRequest) -> str:
    """What the job is called in lists."""
    noun = "image" if request.count == 1 else "images"
    return f"{request.count} {noun} by {request.model}, {request.width} x {request.height}"


def run_generation(context: JobContext, payload: dict[str, Any], warm: WarmState) -> None:
    """Make the images of a request one at a time; those already in the gallery are not made again.

    Raises:
        DermaFluxError: model, size, disk or database stand in the way.
        MemoryError, torch.OutOfMemoryError: the device has no room left.
        JobStopped: cancelled, interrupted or lost; raised at the next step.
    """
    request = make_request(payload)
    context.attempting = job_title(request)
    finished = finished_positions(context.database, context.job.id)
    model = warm_model(context, request, warm)
    run = GenerationRun(context, request, model)
    for position in range(request.count):
        if position not in finished:
            run.make(position)


def warm_model(context: JobContext, request: GenerationRequest, warm: WarmState) -> "LoadedModel":
    """The model of the request with its LoRAs, loaded unless the worker still holds them.

    Raises:
        ModelError: it is unknown or cannot be loaded.
        LoraError: a LoRA is gone, not the one of the request, damaged or for another model.
        TooLargeError: it, or the image, would not fit into memory.
    """
    from backend.generation.lora.adapters import apply_loras
    from backend.generation.pipelines import check_memory, choose_device, load_model

    entry = usable_model(context.settings, request.model)
    chosen = choose_loras(context.database, context.settings, request, entry)
    device = choose_device(context.settings)

    def load() -> "LoadedModel":
        added = sum(lora.view.parameters for lora in chosen)
        check_memory(entry, request, device, loaded=False, added_weights=added)
        context.progress(0, message=f"loading {entry.title}")
        context.log(
            f"loading {entry.title} on {device.name} in {device.precision}, "
            f"{device.threads} threads"
        )
        return load_model(context.settings, entry, device)

    with plain_memory_errors():
        model = warm.get((entry, weights_fingerprint(entry.folder), device), load)
        apply_loras(model.pipeline, entry, chosen)
    check_memory(entry, request, device, loaded=True)
    return model


class GenerationRun:
    """Guards what the images of one job share: the encoded caption, and when it last showed one."""

    def __init__(
        self, context: JobContext, request: GenerationRequest, model: "LoadedModel"
    ) -> None:
        self._context = context
        self._request = request
        self._model = model
        self._embeddings: TextEmbeddings | None = None
        self._previewed_at = 0.0

    def make(self, position: int) -> None:
        """Make one image and put it into the gallery.

        Raises:
            DermaFluxError: disk or database stand in the way, or the weights are damaged.
            MemoryError, torch.OutOfMemoryError: the device has no room left.
            JobStopped: cancelled, interrupted or lost.
        """
        pixels = self.render(position)
        provenance = self._provenance(self._request.per_image(position))
        arrival = Arrival(self._context.job.id, position, pixels, provenance)
        keep_image(self._context.settings, self._context.database, arrival)
        remove_file(self._preview_file(position))

    def render(self, position: int) -> Pixels:
        """The pixels of one image (H, W, 3), with progress and preview on the way.

        Raises:
            GenerationError, MemoryError, JobStopped: as `make`.
        """
        from backend.generation.pipelines import render

        request = self._request.per_image(position)
        self._context.check_cancelled()
        with plain_memory_errors():
            return render(self._model, request, self._encoded(), self._after_step(position))

    def _encoded(self) -> "TextEmbeddings":
        from backend.generation.pipelines import encode_caption

        if self._embeddings is None:
            self._embeddings = encode_caption(self._model, self._request)
        return self._embeddings

    def _after_step(self, position: int) -> "StepCallback":
        previous: torch.Tensor | None = None

        def after_step(index: int, latents: "torch.Tensor", sigmas: "torch.Tensor") -> None:
            nonlocal previous
            self._show_progress(position, index)
            self._context.check_cancelled()
            if previous is not None and self._preview_is_due():
                before, now = float(sigmas[index]), float(sigmas[index + 1])
                clean = estimate_clean(previous, latents, before, now)
                self._show_preview(position, clean)
            previous = latents

        return after_step

    def _show_progress(self, position: int, index: int) -> None:
        count, steps = self._request.count, self._request.steps
        self._context.progress(
            position * steps + index + 1,
            count * steps,
            f"image {position + 1} of {count}, step {index + 1} of {steps}",
        )

    def _preview_is_due(self) -> bool:
        moment = time.monotonic()
        if moment - self._previewed_at < PREVIEW_EVERY_S:
            return False
        self._previewed_at = moment
        return True

    def _show_preview(self, position: int, packed: "torch.Tensor") -> None:
        latents = unpack_latents(packed, self._request.height, self._request.width)
        pixels = self._model.preview.project(latents)
        write_file(self._preview_file(position), encode_preview(pixels), durable=False)

    def _preview_file(self, position: int) -> Path:
        return preview_file(self._context.folder, position)

    def _provenance(self, request: GenerationRequest) -> Provenance:
        from backend.generation.lora.adapters import adapter_library

        model = self._model
        return build_provenance(
            request,
            model_hash=model.hash,
            scheduler=model.scheduler,
            precision=model.device.precision,
            device=model.device.name,
            threads=model.device.threads,
            libraries={**model.libraries, **adapter_library(request.loras)},
        )


def preview_file(folder: Path, position: int) -> Path:
    """Where the look at image `position` lies while the job with this folder makes it."""
    return folder / f"preview-{position}.png"
