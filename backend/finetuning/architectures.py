"""The layers of a base model that a LoRA may change, known without its weights.

Three ways lead to the same layers: the headers of the weight files, which need no torch; the
`config.json` of the denoiser, and the name of a published model, both built on torch's meta device.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from backend.finetuning.errors import FinetuningError
from backend.generation.errors import ModelError
from backend.generation.families import FLUX, STABLE_DIFFUSION, ModelFamily, family_named
from backend.generation.layout import find_family, read_json, weight_files
from backend.generation.lora.layouts import Family
from backend.generation.models import ModelEntry, list_models
from backend.generation.weights import read_tensors
from backend.settings import Settings

Shapes = Mapping[str, tuple[int, ...]]
"""Of each linear layer and 1 x 1 convolution by its name in diffusers: the shape of its weight."""
Values = Mapping[str, Any]

TRAINED = (Family.FLUX, Family.SD1)


@dataclass(frozen=True)
class Architecture:
    """The denoiser of a base model: its configuration, its layers and how many numbers it has."""

    name: str
    family: Family
    config: Values
    layers: Shapes
    parameters: int


FLUX_1: Values = MappingProxyType(
    {
        "in_channels": 64,
        "num_layers": 19,
        "num_single_layers": 38,
        "attention_head_dim": 128,
        "num_attention_heads": 24,
        "joint_attention_dim": 4096,
        "pooled_projection_dim": 768,
        "guidance_embeds": True,
        "axes_dims_rope": (16, 56, 56),
    }
)
STABLE_DIFFUSION_1: Values = MappingProxyType(
    {
        "sample_size": 64,
        "block_out_channels": (320, 640, 1280, 1280),
        "layers_per_block": 2,
        "attention_head_dim": 8,
        "cross_attention_dim": 768,
    }
)
PUBLISHED: Mapping[str, tuple[ModelFamily, Values]] = MappingProxyType(
    {
        "flux.1-dev": (FLUX, FLUX_1),
        "flux.1-schnell": (FLUX, MappingProxyType({**FLUX_1, "guidance_embeds": False})),
        "stable-diffusion-v1-4": (STABLE_DIFFUSION, STABLE_DIFFUSION_1),
        "stable-diffusion-v1-5": (STABLE_DIFFUSION, STABLE_DIFFUSION_1),
    }
)
"""From the `config.json` of the published models."""


def find_architecture(settings: Settings, base: str) -> Architecture:
    """The denoiser of a model by name, of one in a folder, or of a published one that is not here.

    A folder needs `model_index.json` and the denoiser's `config.json`, no weights.

    Raises:
        FinetuningError: nothing of this name is known, or its files cannot be used.
    """
    entry = next((one for one in list_models(settings) if one.name == base), None)
    if entry is not None and entry.problem is None:
        return of_model(entry)
    if entry is not None:
        return of_folder(entry.folder)
    if base.lower() in PUBLISHED:
        family, config = PUBLISHED[base.lower()]
        return on_meta(base, family, config)
    if Path(base).expanduser().is_dir():
        return of_folder(Path(base).expanduser())
    known = ", ".join([*(one.name for one in list_models(settings)), *PUBLISHED])
    raise FinetuningError(
        f"There is no base model called {base}: give the folder of one in diffusers layout, or one "
        f"of these: {known}."
    )


def of_model(entry: ModelEntry) -> Architecture:
    """The denoiser of a complete model, from the headers of its weights.

    Raises:
        FinetuningError: nothing here trains its family.
        ModelError: the weights are missing or damaged.
    """
    family = _trained(entry.name, entry.family)
    folder = entry.folder / family.denoiser
    layers: dict[str, tuple[int, ...]] = {}
    parameters = 0
    for file in weight_files(folder):
        for tensor in read_tensors(file):
            parameters += tensor.elements
            if _is_linear(tensor.name, tensor.shape):
                layers[tensor.name.removesuffix(".weight")] = tuple(tensor.shape)
    return Architecture(
        entry.name, entry.family, read_json(folder / "config.json"), layers, parameters
    )


def of_folder(folder: Path) -> Architecture:
    """The denoiser of a folder in diffusers layout, from its configuration alone.

    Raises:
        FinetuningError: it is of a family that is not trained here, or its configuration is bad.
    """
    try:
        family = find_family(folder)
        config = read_json(folder / family.denoiser / "config.json")
    except ModelError as error:
        raise FinetuningError(str(error)) from error
    return on_meta(folder.name, _trained(folder.name, family.family), config)


def on_meta(name: str, family: ModelFamily, config: Values) -> Architecture:
    """The denoiser built on torch's meta device, which holds shapes and no numbers.

    Raises:
        FinetuningError: diffusers cannot build it from this configuration.
    """
    import torch
    from diffusers import FluxTransformer2DModel, UNet2DConditionModel

    kind = FluxTransformer2DModel if family is FLUX else UNet2DConditionModel
    try:
        with torch.device("meta"):
            model: Any = kind.from_config(dict(config))
    except (TypeError, ValueError, KeyError, IndexError, RuntimeError) as error:
        raise FinetuningError(
            f"The config.json of the base model {name} cannot be used: copy or download the folder "
            "again."
        ) from error
    shapes = {key: tuple(tensor.shape) for key, tensor in model.named_parameters()}
    layers = {
        key.removesuffix(".weight"): shape
        for key, shape in shapes.items()
        if _is_linear(key, shape)
    }
    parameters = sum(tensor.numel() for tensor in model.parameters())
    return Architecture(name, family.family, dict(model.config), layers, parameters)


def _is_linear(name: str, shape: tuple[int, ...] | list[int]) -> bool:
    """Whether a tensor is the weight of a linear layer, or of a 1 x 1 convolution."""
    plain = len(shape) == 2 or (len(shape) == 4 and tuple(shape[2:]) == (1, 1))
    return name.endswith(".weight") and plain


def _trained(name: str, family: Family) -> ModelFamily:
    known = family_named(family)
    if known is None or family not in TRAINED:
        raise FinetuningError(
            f"The base model {name} is a {family.full_name}, for which no LoRA is trained here: "
            "choose a FLUX or a Stable Diffusion 1.x."
        )
    return known
