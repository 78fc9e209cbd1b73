"""LoRAs in a loaded pipeline: beside the weights of the model, which they never change."""

import warnings
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from backend.generation.errors import LoraError
from backend.generation.families import FAMILIES
from backend.generation.lora.choice import ChosenLora
from backend.generation.lora.conversion import diffusers_tensors, read_pairs
from backend.generation.lora.fit import layer_shapes
from backend.generation.lora.flux_modules import DIFFUSERS_PREFIX
from backend.generation.lora.layouts import Family
from backend.generation.models import ModelEntry

if TYPE_CHECKING:
    import torch

MOST_WARM = 4
"""How many LoRAs stay in memory besides those in use; one of the authors takes 0.6 GB."""
LIBRARY = "peft"
LAYER_PREFIX = MappingProxyType({Family.FLUX: DIFFUSERS_PREFIX, Family.SD1: ""})
DENOISERS = tuple(family.denoiser for family in FAMILIES)


def apply_loras(pipeline: Any, entry: ModelEntry, chosen: Sequence[ChosenLora]) -> None:
    """Make exactly these LoRAs act, each with its weight; with none the pipeline is as loaded.

    Those loaded before stay warm, found again by the hash of their tensors.

    Raises:
        LoraError: a file changed or broke, or holds numbers too large for the precision.
    """
    acting = [lora for lora in chosen if lora.weight != 0]
    warm = _warm(pipeline)
    if not acting:
        if warm:
            pipeline.disable_lora()
        return
    names = [adapter_name(lora.view.hash) for lora in acting]
    for lora, name in zip(acting, names, strict=True):
        if name not in warm:
            _load(pipeline, entry, lora, name)
    _forget(pipeline, names)
    pipeline.enable_lora()
    pipeline.set_adapters(names, [lora.weight for lora in acting])


def adapter_name(tensor_hash: str) -> str:
    """What a LoRA is called within a pipeline."""
    return f"shelf_{tensor_hash}"


def adapter_library(chosen: Sequence[object]) -> dict[str, str]:
    """The library that applies LoRAs, and its version, where there are any: for provenance."""
    return {LIBRARY: version(LIBRARY)} if chosen else {}


def refuse_infinite(
    lora: ChosenLora, entry: ModelEntry, tensors: "Iterable[torch.Tensor]", dtype: "torch.dtype"
) -> None:
    """Raises LoraError for numbers that are too large for the precision of the model."""
    import torch

    if not all(torch.isfinite(tensor.to(dtype)).all() for tensor in tensors):
        raise LoraError(
            f"The LoRA {lora.view.name} holds numbers that are not finite in the precision of "
            f"{entry.name}: use an earlier checkpoint of it."
        )


def _load(pipeline: Any, entry: ModelEntry, lora: ChosenLora, name: str) -> None:
    denoiser = getattr(pipeline, entry.kind.denoiser)
    pairs = read_pairs(lora.file, layer_shapes(entry))
    named = diffusers_tensors(pairs, LAYER_PREFIX[entry.family])
    tensors = {
        key: tensor.to(device=denoiser.device, dtype=denoiser.dtype)
        for key, tensor in named.items()
    }
    refuse_infinite(lora, entry, tensors.values(), denoiser.dtype)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Already found a `peft_config`")
            pipeline.load_lora_weights(tensors, adapter_name=name)
    except (ValueError, KeyError) as error:
        raise LoraError(
            f"The LoRA {lora.view.name} cannot be put into {entry.name}: export it again in "
            "diffusers layout, or use another."
        ) from error


def _forget(pipeline: Any, in_use: Sequence[str]) -> None:
    """Drop the LoRAs loaded longest ago beyond those that may stay warm."""
    idle = [name for name in _warm(pipeline) if name not in in_use]
    for name in idle[: max(0, len(idle) - MOST_WARM)]:
        pipeline.delete_adapters(name)


def _warm(pipeline: Any) -> list[str]:
    """The adapters of the pipeline, the one loaded longest ago first."""
    loaded: dict[str, None] = {}
    for component in (*DENOISERS, "text_encoder"):
        loaded |= dict.fromkeys(getattr(getattr(pipeline, component, None), "peft_config", {}))
    return list(loaded)
