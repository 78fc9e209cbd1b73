"""A model in memory: loaded from its folder, on a device, ready to turn noise into images."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import psutil

from backend.generation.denoising import TextEmbeddings, denoising_of
from backend.generation.errors import GenerationError, ModelError
from backend.generation.memory import available_host_memory, check_fits
from backend.generation.models import ModelEntry, check_model_folder, hash_cache, model_hash
from backend.generation.preview import LatentPreview, fit_preview
from backend.generation.request import GenerationRequest
from backend.images import Pixels
from backend.settings import Settings

if TYPE_CHECKING:
    import torch

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
    """A pipeline held warm, with everything its provenance needs."""

    entry: ModelEntry
    pipeline: Any
    device: Device
    hash: str
    preview: LatentPreview
    libraries: Mapping[str, str]

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

    threads = settings.threads or _physical_cores()
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


def load_model(settings: Settings, entry: ModelEntry, device: Device) -> LoadedModel:
    """Load a pipeline from its folder, without network, pickles or code of its own.

    Raises:
        ModelError: the folder is incomplete, damaged, or does not fit together.
    """
    family = check_model_folder(entry.folder)
    import diffusers
    import torch

    try:
        pipeline = getattr(diffusers, family.pipeline).from_pretrained(
            entry.folder,
            dtype=getattr(torch, device.precision),
            local_files_only=True,
            use_safetensors=True,
            **dict.fromkeys(family.optional),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"The model {entry.name} cannot be loaded, its files do not fit together: copy or "
            "download the folder again."
        ) from error
    pipeline.set_progress_bar_config(disable=True)
    pipeline.to(device.kind)
    return LoadedModel(
        entry=entry,
        pipeline=pipeline,
        device=device,
        hash=model_hash(entry.folder, cache=hash_cache(settings)),
        preview=fit_preview(pipeline.vae),
        libraries={name: version(name) for name in LIBRARIES},
    )


def check_memory(
    entry: ModelEntry,
    request: GenerationRequest,
    device: Device,
    *,
    loaded: bool,
    added_weights: int = 0,
) -> None:
    """Refuse an image that would not fit, with the numbers that LoRAs still have to bring.

    Raises:
        TooLargeError: naming the largest size that fits.
    """
    check_fits(
        entry,
        request,
        available=_free_memory(device),
        bytes_per_weight=_BYTES_PER_WEIGHT[device.precision],
        device=device.name,
        loaded=loaded,
        added_weights=added_weights,
    )


def encode_caption(model: LoadedModel, request: GenerationRequest) -> TextEmbeddings:
    """The texts of a request as its model reads them: CLIP 77 tokens, T5 the request's length."""
    import torch

    length = request.max_sequence_length or model.entry.max_sequence_length
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

    def after_step(
        pipeline: Any, call: int, _timestep: object, values: dict[str, Any]
    ) -> dict[str, Any]:
        extra = pipeline.num_timesteps - request.steps
        latents = denoising.latents(pipeline, values["latents"], call)
        on_step(max(0, call - extra), latents, denoising.sigmas(pipeline))
        return {}

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


def _physical_cores() -> int:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(psutil.cpu_count(logical=False) or 1, allowed or 1))


def _free_memory(device: Device) -> int:
    if device.kind == "cpu":
        return available_host_memory()
    import torch

    free, _total = torch.cuda.mem_get_info()
    cached = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
    return int(free + cached)
