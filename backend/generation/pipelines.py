"""A model in memory: loaded from its folder, on a device, ready to turn noise into images."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import psutil

from backend.abc.parser import parse
from backend.generation.denoising import TextEmbeddings, denoising_of
from backend.generation.errors import GenerationError, ModelError, TooLargeError
from backend.generation.families import ModelFamily
from backend.generation.lora.adapters import apply_loras
from backend.generation.lora.choice import ChosenLora
from backend.generation.lora.layouts import Family
from backend.generation.memory import activation_bytes, available_host_memory, check_fits
from backend.generation.models import (
    ModelEntry,
    check_model_folder,
    classifier_hash,
    hash_cache,
    model_hash,
)
from backend.generation.preview import LatentPreview, fit_preview
from backend.generation.profile import Profile
from backend.generation.request import GenerationRequest
from backend.generation.speed.acceleration import accelerate, forget_last_image
from backend.generation.speed.embeddings import EmbeddingStore, text_identity
from backend.generation.speed.encoding import CaptionEncoder
from backend.generation.speed.fusion import FusedLoras
from backend.generation.speed.plans import (
    EXACT,
    Choice,
    Plan,
    best_attention,
    choose_plan,
    profile_that_fits,
    resident_bytes,
    text_elements,
)
from backend.images import Pixels
from backend.settings import Settings

if TYPE_CHECKING:
    import torch

    from backend.generation.attribute_guidance.guide import AttributeClassifier, AttributeGuide

LIBRARIES = ("diffusers", "torch", "transformers")
_BYTES_PER_WEIGHT = {"float32": 4, "bfloat16": 2}

StepCallback = Callable[[int, "torch.Tensor", "torch.Tensor"], None]
"""Called after step `index` (0-based) with the latents and all sigmas of the run (`Denoising`)."""


@dataclass(frozen=True)
class Device:
    """Where pixels are made: torch's name, what it is, and the precision used there."""

    kind: Literal["cpu", "cuda"]
    name: str
    precision: Literal["float32", "bfloat16"]
    threads: int


@dataclass(frozen=True)
class LoadedModel:
    """A pipeline held warm, with everything its provenance needs.

    captions, fused: of a lean plan, whose pipeline has no text encoders of its own; classifier:
    what leads images to their captions, where the model has one, and the hash of its tensors.
    """

    entry: ModelEntry
    pipeline: Any
    device: Device
    hash: str
    preview: LatentPreview
    libraries: Mapping[str, str]
    plan: Plan = EXACT
    captions: CaptionEncoder | None = None
    fused: FusedLoras | None = None
    classifier: "AttributeClassifier | None" = None
    classifier_hash: str | None = None

    @property
    def scheduler(self) -> str:
        """Class name of the sampler."""
        return type(self.pipeline.scheduler).__name__


def choose_device(settings: Settings) -> Device:
    """The GPU in bfloat16 where there is one and it is wanted, else the CPU in float32.

    Also fixes how many threads torch uses: the order of summation, hence the last bits of an
    image, depends on it, so every worker and the command line must use the same number.

    Raises:
        GenerationError: a GPU is asked for and there is none.
    """
    quiet_libraries()
    import torch

    threads = settings.threads or physical_cores()
    torch.set_num_threads(threads)
    if settings.device != "cpu" and torch.cuda.is_available():
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        return Device("cuda", torch.cuda.get_device_name(), "bfloat16", threads)
    if settings.device == "cuda":
        raise GenerationError(
            "DERMAFLUX_DEVICE asks for cuda, but torch finds no GPU: install the driver, or set "
            "it to auto."
        )
    capability = torch.backends.cpu.get_cpu_capability()
    return Device("cpu", f"cpu {capability}", "float32", threads)


def plan_for(entry: ModelEntry, profile: Profile | None, device: Device) -> Choice:
    """What to do to the model on this device, and why.

    Raises:
        GenerationError: the profile is for GPUs, and there is none.
    """
    if device.kind == "cpu":
        return choose_plan(entry, profile, cuda=False, device=device.name, total=0)
    import torch

    return choose_plan(
        entry,
        profile,
        cuda=True,
        device=device.name,
        total=torch.cuda.mem_get_info()[1],
        attention=best_attention(torch.cuda.get_device_capability()),
    )


def load_model(
    settings: Settings,
    entry: ModelEntry,
    device: Device,
    plan: Plan = EXACT,
    *,
    captions: CaptionEncoder | None = None,
    loras: Sequence[ChosenLora] = (),
) -> LoadedModel:
    """Load a pipeline from its folder, without network, pickles or code of its own.

    A lean plan needs `captions` (see `caption_encoder`); one that streams weights fuses `loras`
    now, for all others `set_loras` does it where the weights are.

    Raises:
        ModelError: the folder is incomplete, damaged, or does not fit together.
        LoraError: the file of a LoRA changed or broke.
    """
    pipeline = _load_pipeline(entry, device, lean=plan.lean)
    fused = FusedLoras(pipeline.transformer, entry) if plan.lean else None
    if fused and plan.offload != "none":
        fused.apply(loras)
    accelerate(pipeline, plan, device=device.kind)
    return LoadedModel(
        entry=entry,
        pipeline=pipeline,
        device=device,
        hash=model_hash(entry.folder, cache=hash_cache(settings)),
        preview=fit_preview(pipeline.vae),
        libraries={name: version(name) for name in LIBRARIES},
        plan=plan,
        captions=captions,
        fused=fused,
        classifier=_load_classifier(entry, device),
        classifier_hash=classifier_hash(entry.folder, cache=hash_cache(settings)),
    )


def caption_encoder(
    settings: Settings, entry: ModelEntry, device: Device, plan: Plan
) -> CaptionEncoder | None:
    """What encodes the captions of a lean plan, and the cache of the workspace unless it is off."""
    if not plan.lean:
        return None
    width, side = _BYTES_PER_WEIGHT[device.precision], max(entry.sizes)
    limit = int(settings.text_cache_gb * 1e9)
    identity = text_identity(entry, cache=hash_cache(settings))
    store = EmbeddingStore(settings.text_cache_dir, limit, f"{identity} {device}")
    return CaptionEncoder(
        entry,
        device=device.kind,
        precision=device.precision,
        store=store if limit else None,
        text_bytes=text_elements(entry) * width,
        spare=activation_bytes(entry, side, side, entry.max_sequence_length, width),
        free=lambda: _free_memory(device),
    )


def set_loras(model: LoadedModel, chosen: Sequence[ChosenLora]) -> None:
    """Make exactly these LoRAs act: fused by a lean plan, else beside the weights.

    Raises:
        LoraError: a file changed or broke, or holds numbers too large for the precision.
    """
    if model.fused is not None:
        model.fused.apply(chosen)
    else:
        apply_loras(model.pipeline, model.entry, chosen)


def check_memory(
    entry: ModelEntry,
    request: GenerationRequest,
    device: Device,
    *,
    loaded: bool,
    plan: Plan = EXACT,
    added_weights: int = 0,
) -> None:
    """Refuse an image that would not fit, with the numbers that LoRAs still have to bring.

    Raises:
        TooLargeError: naming the largest size that fits.
    """
    width = _BYTES_PER_WEIGHT[device.precision]
    weights = 0 if loaded else resident_bytes(entry, plan, width)
    if not plan.lean:
        weights += added_weights * width
    try:
        check_fits(
            entry,
            request,
            available=_free_memory(device),
            bytes_per_weight=width,
            device=device.name,
            weights=weights,
        )
    except TooLargeError as error:
        fitting = leaner_profile(entry, request, device, plan)
        if fitting is None:
            raise
        raise TooLargeError(
            f"{error} Or choose the profile {fitting}, which needs less."
        ) from error


def leaner_profile(
    entry: ModelEntry, request: GenerationRequest, device: Device, plan: Plan
) -> Profile | None:
    """The profile whose image would need less of the graphics card than with this plan.

    None on the CPU, for a model that has only one profile, and where no other would fit.
    """
    if device.kind == "cpu" or entry.family is not Family.FLUX:
        return None
    import torch

    return profile_that_fits(entry, request, plan, torch.cuda.mem_get_info()[1])


def encode_caption(
    model: LoadedModel, request: GenerationRequest, upcoming: Sequence[str] = ()
) -> TextEmbeddings:
    """The texts of a request as its model reads them: CLIP 77 tokens, T5 the request's length.

    `upcoming` are the captions of the images that follow, in their order.

    Raises:
        FileError: the cache cannot be written.
        ModelError: the text encoders cannot be loaded.
    """
    import torch

    length = request.max_sequence_length or model.entry.max_sequence_length
    if model.captions is not None:
        return model.captions.encode(request.caption, length, upcoming)
    with torch.no_grad():
        return denoising_of(model.entry.family).encode(model.pipeline, request, length)


def render(
    model: LoadedModel,
    request: GenerationRequest,
    embeddings: TextEmbeddings,
    on_step: StepCallback,
) -> Pixels:
    """One image (H, W, 3). Its noise comes from a CPU generator of its own, whatever the device.

    A sampler that calls the denoiser once more than there are steps reports its first step twice.

    Raises:
        GenerationError: the model gave numbers that are no colours.
        Whatever `on_step` raises, which ends the image at that step.
    """
    import torch

    denoising = denoising_of(model.entry.family)
    guide = _guide_of(model, request)

    def after_step(
        pipeline: Any, call: int, _timestep: object, values: dict[str, Any]
    ) -> dict[str, Any]:
        extra = pipeline.num_timesteps - request.steps
        latents = denoising.latents(pipeline, values["latents"], call)
        sigmas = denoising.sigmas(pipeline)
        on_step(max(0, call - extra), latents, sigmas)
        if guide is None or call + 2 >= len(sigmas):
            return {}
        return {"latents": guide.led(latents, float(sigmas[call + 1]), float(sigmas[call + 2]))}

    if model.plan.cache_threshold is not None:
        forget_last_image(model.pipeline)
    image = model.pipeline(
        **denoising.arguments(embeddings),
        width=request.width,
        height=request.height,
        num_inference_steps=request.steps,
        guidance_scale=request.guidance_scale,
        generator=torch.Generator("cpu").manual_seed(request.seed),
        callback_on_step_end=after_step,
        output_type="np",
    ).images[0]
    if not np.isfinite(image).all():
        raise GenerationError(
            f"The model {request.model} gave numbers that are no colours: its weights may be "
            "damaged, or the guidance far from what it was trained for."
        )
    return np.asarray((image * 255).round(), dtype=np.uint8)


def quiet_libraries() -> None:
    """Keep diffusers and transformers off the network and off the terminal.

    What they would say of a caption longer than CLIP's 77 tokens, the page says itself.
    """
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "DIFFUSERS_OFFLINE"):
        os.environ[variable] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import diffusers
    import transformers

    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()


def _load_classifier(entry: ModelEntry, device: Device) -> "AttributeClassifier | None":
    if entry.guided_side is None:
        return None
    from backend.generation.attribute_guidance.guide import AttributeClassifier

    return AttributeClassifier.load(entry.folder, device.kind)


def _guide_of(model: LoadedModel, request: GenerationRequest) -> "AttributeGuide | None":
    """What leads an image to the words of its caption; None where nothing does, as in a request
    that was not prepared."""
    scale = request.attribute_guidance
    if model.classifier is None or not scale:
        return None
    from backend.generation.attribute_guidance.guide import AttributeGuide

    lesion = parse(request.caption).attributes
    return AttributeGuide.of(model.classifier, lesion, scale, model.device.kind)


def _load_pipeline(entry: ModelEntry, device: Device, *, lean: bool) -> Any:
    """The pipeline in main memory, in the precision of the device; a lean one reads no captions."""
    import torch

    family = check_model_folder(entry.folder)
    left_out = dict.fromkeys(family.text_encoders if lean else ())
    return open_pipeline(entry, family, getattr(torch, device.precision), left_out)


def open_pipeline(
    entry: ModelEntry, family: ModelFamily, dtype: "torch.dtype", parts: Mapping[str, Any]
) -> Any:
    """The pipeline of a checked folder in main memory, without network, pickles or own code.

    `parts` are put in place of those of the folder; None leaves one out.

    Raises:
        ModelError: its files do not fit together.
    """
    import diffusers

    try:
        pipeline = getattr(diffusers, family.pipeline).from_pretrained(
            entry.folder,
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            **{**dict.fromkeys(family.optional), **parts},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"The model {entry.name} cannot be loaded, its files do not fit together: copy or "
            "download the folder again."
        ) from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def physical_cores() -> int:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(psutil.cpu_count(logical=False) or 1, allowed or 1))


def _free_memory(device: Device) -> int:
    if device.kind == "cpu":
        return available_host_memory()
    import torch

    free, _total = torch.cuda.mem_get_info()
    cached = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
    return int(free + cached)
