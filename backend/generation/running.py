"""The job that makes images: submitted by the page or the command line, done by a worker."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.abc.measure import Measurement
from backend.abc.parser import parse
from backend.files import remove_file, write_file
from backend.generation.arrivals import Arrival, keep_image
from backend.generation.attribute_guidance.choice import attribute_guidance
from backend.generation.denoising import denoising_of
from backend.generation.errors import GenerationError, RequestError
from backend.generation.gallery import finished_positions
from backend.generation.lora.choice import choose_loras, text_length
from backend.generation.memory import plain_memory_errors
from backend.generation.models import ModelEntry, usable_model, weights_fingerprint
from backend.generation.preview import estimate_clean, unpack_latents
from backend.generation.profile import Profile
from backend.generation.provenance import Provenance, build_provenance, encode_preview
from backend.generation.request import GenerationRequest, LoraUse, make_request
from backend.generation.speed.fusion import acting_loras
from backend.images import Pixels
from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState
from backend.jobs.queue import submit
from backend.settings import Settings
from backend.store.database import Database

if TYPE_CHECKING:
    import torch

    from backend.generation.denoising import TextEmbeddings
    from backend.generation.pipelines import LoadedModel, StepCallback

KIND = "generate"
PREVIEW_EVERY_S = 0.22

StepReport = Callable[[int], None]
"""Called after step `index` (0-based) of an image."""


def provenance_of(model: "LoadedModel", request: GenerationRequest) -> Provenance:
    """What the PNG of an image says that this model makes of a prepared request."""
    from backend.generation.lora.adapters import adapter_library

    fused = ("fused LoRAs",) if model.fused and request.loras else ()
    return build_provenance(
        request,
        family=model.entry.family,
        model_hash=model.hash,
        classifier_hash=model.classifier_hash if request.attribute_guidance else None,
        scheduler=model.scheduler,
        precision=model.device.precision,
        device=model.device.name,
        threads=model.device.threads,
        libraries={**model.libraries, **adapter_library(() if model.fused else request.loras)},
        profile=model.plan.profile,
        accelerations=(*model.plan.accelerations, *fused),
    )


def prepare_request(
    db: Database, settings: Settings, request: GenerationRequest
) -> GenerationRequest:
    """The request with everything said that was left open: text length, attributes, how strongly
    they guide, LoRA hashes.

    Raises:
        ModelError: the model is unknown or cannot be used.
        RequestError: the model has no negative caption or attribute guidance, or another text
            length.
        LoraError: a LoRA is not on the shelf, or does not fit the model.
    """
    entry = usable_model(settings, request.model)
    check_text(entry, request)
    chosen = choose_loras(db, settings, request, entry)
    trained = None if entry.kind.fixed_length else text_length(chosen)
    length = request.max_sequence_length or trained or entry.max_sequence_length
    return request.model_copy(
        update={
            "max_sequence_length": length,
            "attributes": request.attributes or parse(request.caption).attributes,
            "attribute_guidance": attribute_guidance(entry, request),
            "loras": tuple(lora.use for lora in chosen),
        }
    )


def check_text(entry: ModelEntry, request: GenerationRequest) -> None:
    """Whether the model can read what the request has in text.

    Raises:
        RequestError: it has no negative caption, or a text length that it cannot change.
    """
    if request.negative_caption and not entry.kind.negative_caption:
        raise RequestError(
            f"{entry.title} has no negative caption, as no {entry.kind.full_name} has: leave it "
            "empty, or choose a Stable Diffusion model."
        )
    fixed = entry.max_sequence_length
    if entry.kind.fixed_length and request.max_sequence_length not in (None, fixed):
        raise RequestError(
            f"{entry.title} always reads {fixed} tokens: leave the text length empty."
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
    noun = "draft" if request.profile is Profile.DRAFT else "image"
    noun += "" if request.count == 1 else "s"
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
    requests = [request.per_image(position) for position in range(request.count)]
    make_images(context, requests, warm)


def make_images(
    context: JobContext, requests: Sequence[GenerationRequest], warm: WarmState
) -> None:
    """Put image `position` of each request into the gallery, unless the job has done so before.

    All are by one model in one size; each request is for a single image. The LoRAs may act with
    another weight in each.

    Raises:
        DermaFluxError, MemoryError, JobStopped: as `run_generation`.
    """
    finished = finished_positions(context.database, context.job.id)
    captions = [request.caption for request in requests]
    model = warm_model(context, requests[0], warm, captions)
    if model.plan.offload != "none" and len({request.loras for request in requests}) > 1:
        raise GenerationError(
            f"The profile {model.plan.profile} cannot give a LoRA another weight from image to "
            "image, as it keeps the weights out of the graphics card: choose exact, fast or 24gb."
        )
    run = GenerationRun(context, model, requests[0].loras, captions)
    for position, request in enumerate(requests):
        if position not in finished:
            run.make(position, request, _step_report(context, requests, position))


def _step_report(
    context: JobContext, requests: Sequence[GenerationRequest], position: int
) -> StepReport:
    count, steps = len(requests), requests[position].steps
    before = sum(request.steps for request in requests[:position])
    total = sum(request.steps for request in requests)

    def report(index: int) -> None:
        message = f"image {position + 1} of {count}, step {index + 1} of {steps}"
        context.progress(before + index + 1, total, message)

    return report


def warm_model(
    context: JobContext,
    request: GenerationRequest,
    warm: WarmState,
    captions: Sequence[str] = (),
) -> "LoadedModel":
    """The model of the request with its LoRAs, loaded unless the worker still holds them.

    `captions` of the images to come are encoded before the rest of the model is loaded, where its
    profile keeps text encoders out of the way.

    Raises:
        ModelError: it is unknown or cannot be loaded.
        LoraError: a LoRA is gone, not the one of the request, damaged or for another model.
        GenerationError: its profile is not for this device.
        TooLargeError: it, or the image, would not fit into memory.
    """
    from backend.generation import pipelines

    entry = usable_model(context.settings, request.model)
    chosen = choose_loras(context.database, context.settings, request, entry)
    device = pipelines.choose_device(context.settings)
    choice = pipelines.plan_for(entry, request.profile, device)
    plan = choice.plan
    leaner = pipelines.leaner_profile(entry, request, device, plan)
    context.remedy = f"choose the profile {leaner}, which needs less" if leaner else ""

    def load() -> "LoadedModel":
        added = sum(lora.view.parameters for lora in chosen)
        pipelines.check_memory(entry, request, device, loaded=False, plan=plan, added_weights=added)
        context.progress(0, message=f"loading {entry.title}")
        context.log(
            f"loading {entry.title} on {device.name} in {device.precision}, "
            f"{device.threads} threads"
        )
        context.log(choice.sentence)
        encoder = pipelines.caption_encoder(context.settings, entry, device, plan)
        if encoder is not None:
            length = request.max_sequence_length or entry.max_sequence_length
            encoder.encode(request.caption, length, captions)
            encoder.release()
        return pipelines.load_model(
            context.settings, entry, device, plan, captions=encoder, loras=chosen
        )

    # Streamed weights cannot be changed in place: other LoRAs are another model.
    own = acting_loras(chosen) if plan.offload != "none" else ()
    with plain_memory_errors():
        model = warm.get((entry, weights_fingerprint(entry.folder), device, plan, own), load)
        pipelines.set_loras(model, chosen)
    pipelines.check_memory(entry, request, device, loaded=True, plan=plan)
    return model


class GenerationRun:
    """Guards what the images of one job share: the encoded caption, and when it last showed one.

    `loras` are those that act in the model, `captions` those of the images in their order, as far
    as they are known.
    """

    def __init__(
        self,
        context: JobContext,
        model: "LoadedModel",
        loras: tuple[LoraUse, ...] = (),
        captions: Sequence[str] = (),
    ) -> None:
        self._context = context
        self._model = model
        self._loras = loras
        self._captions = captions
        self._encoded: tuple[tuple[object, ...], TextEmbeddings] | None = None
        self._previewed_at = 0.0

    def make(self, position: int, request: GenerationRequest, report: StepReport) -> None:
        """Make one image and put it into the gallery.

        Raises:
            DermaFluxError: disk or database stand in the way, or the weights are damaged.
            MemoryError, torch.OutOfMemoryError: the device has no room left.
            JobStopped: cancelled, interrupted or lost.
        """
        self.keep(position, request, self.render(position, request, report))

    def render(self, position: int, request: GenerationRequest, report: StepReport) -> Pixels:
        """The pixels of one image (H, W, 3), with progress and preview on the way.

        Raises:
            GenerationError, MemoryError, JobStopped: as `make`.
        """
        from backend.generation.pipelines import render

        self._context.check_cancelled()
        after_step = self._after_step(position, request, report)
        with plain_memory_errors():
            self._use_loras(request)
            return render(self._model, request, self._encode(request), after_step)

    def keep(
        self,
        position: int,
        request: GenerationRequest,
        pixels: Pixels,
        measurement: Measurement | None = None,
    ) -> None:
        """Put pixels that `render` gave into the gallery; they are measured unless that is done.

        Raises:
            FileError, StoreError: disk or database stand in the way.
        """
        arrival = Arrival(self._context.job.id, position, pixels, self.provenance(request))
        keep_image(self._context.settings, self._context.database, arrival, measurement)
        remove_file(preview_file(self._context.folder, position))

    def provenance(self, request: GenerationRequest) -> Provenance:
        """What the PNG of an image of this run says of it."""
        return provenance_of(self._model, request)

    def _use_loras(self, request: GenerationRequest) -> None:
        """Give the LoRAs the weights of this image; they are in memory since the first."""
        from backend.generation.pipelines import set_loras

        if request.loras == self._loras:
            return
        context, model = self._context, self._model
        chosen = choose_loras(context.database, context.settings, request, model.entry)
        set_loras(model, chosen)
        self._loras = request.loras

    def _encode(self, request: GenerationRequest) -> "TextEmbeddings":
        from backend.generation.pipelines import encode_caption

        texts = denoising_of(self._model.entry.family).texts(request)
        if self._encoded is None or self._encoded[0] != texts:
            self._encoded = texts, encode_caption(self._model, request, self._captions)
        return self._encoded[1]

    def _after_step(
        self, position: int, request: GenerationRequest, report: StepReport
    ) -> "StepCallback":
        previous: torch.Tensor | None = None

        def after_step(index: int, latents: "torch.Tensor", sigmas: "torch.Tensor") -> None:
            nonlocal previous
            report(index)
            self._context.check_cancelled()
            before, now = float(sigmas[index]), float(sigmas[index + 1])
            if previous is not None and before != now and self._preview_is_due():
                clean = estimate_clean(previous, latents, before, now)
                self._show_preview(position, request, clean)
            previous = latents

        return after_step

    def _preview_is_due(self) -> bool:
        moment = time.monotonic()
        if moment - self._previewed_at < PREVIEW_EVERY_S:
            return False
        self._previewed_at = moment
        return True

    def _show_preview(
        self, position: int, request: GenerationRequest, packed: "torch.Tensor"
    ) -> None:
        latents = unpack_latents(packed, request.height, request.width)
        file = preview_file(self._context.folder, position)
        write_file(file, encode_preview(self._model.preview.project(latents)), durable=False)


def preview_file(folder: Path, position: int) -> Path:
    """Where the look at image `position` lies while the job with this folder makes it."""
    return folder / f"preview-{position}.png"
