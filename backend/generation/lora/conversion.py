"""Between the layouts: fused layers are split by the widths of the model, alpha is folded in.

The reverse of either direction gives the same tensors again. For FLUX.1's own widths the result
equals that of diffusers' `_convert_kohya_flux_lora_to_diffusers`, which knows no others.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from backend.generation.errors import LoraError
from backend.generation.lora.fit import LayerShapes, changed_layers
from backend.generation.lora.flux_modules import (
    DIFFUSERS_PREFIX,
    DOUBLE,
    KOHYA_PREFIX,
    LINEAR1,
    OUTER,
    SHIFT_BEFORE_SCALE,
    SINGLE,
    block_module,
    leaf_of,
    model_layers,
)
from backend.generation.lora.layouts import Family, Layout
from backend.generation.lora.reading import LoraFile, LoraPair
from backend.generation.lora.unet_modules import kohya_module

if TYPE_CHECKING:
    import torch

    Pair = tuple[torch.Tensor, torch.Tensor]
    """What goes down (rank, in) and up (out, rank), to be multiplied and added as they are."""

MLP_RATIO = 4
"""Of every FLUX: diffusers' FluxSingleTransformerBlock takes no other from its configuration."""
PEFT_METADATA = "lora_adapter_metadata"


def read_pairs(lora: LoraFile, shapes: LayerShapes) -> "dict[str, Pair]":
    """What is added to each layer of the model, by the layer's name in diffusers.

    Raises:
        LoraError: the file changed or broke since its header was read.
    """
    notes = _peft_notes(lora)
    pairs: dict[str, Pair] = {}
    try:
        with safe_open(lora.path, framework="pt") as file:
            for pair in lora.pairs:
                down, up = file.get_tensor(pair.down.name), file.get_tensor(pair.up.name)
                alpha = file.get_tensor(pair.alpha.name).item() if pair.alpha else None
                scaled = _scaled(down, up, _scale(pair, alpha, notes))
                if lora.family is Family.SD1:
                    pairs |= dict.fromkeys(changed_layers(lora, pair.module, shapes), scaled)
                else:
                    pairs |= _split(lora.layout, pair, scaled, shapes)
    except (SafetensorError, OSError) as error:
        raise LoraError(
            f"The LoRA file {lora.path.name} is gone or damaged: add it to the shelf again."
        ) from error
    return pairs


def own_shapes(lora: LoraFile) -> LayerShapes:
    """The shapes of the layers that a LoRA changes, told from itself.

    Queries, keys and values are as wide as what goes in, what is left of a fused layer is the MLP.
    """
    shapes: dict[str, tuple[int, int]] = {}
    for pair in lora.pairs:
        layers = model_layers(lora.layout, pair.module)
        outside, inside = pair.up.shape[0], pair.down.shape[1]
        if len(layers) == 1:
            shapes[layers[0]] = (outside, inside)
            continue
        rest = outside - 3 * inside
        for layer in layers:
            shapes[layer] = (rest if layer.endswith(LINEAR1[-1]) else inside, inside)
    return shapes


def diffusers_tensors(
    pairs: "Mapping[str, Pair]", prefix: str = DIFFUSERS_PREFIX
) -> "dict[str, torch.Tensor]":
    """Pairs as `save_lora_weights` of diffusers names them; `prefix` unless layers bring theirs."""
    tensors = {}
    for layer, (down, up) in pairs.items():
        tensors[f"{prefix}{layer}.lora_A.weight"] = down
        tensors[f"{prefix}{layer}.lora_B.weight"] = up
    return tensors


def kohya_tensors(pairs: "Mapping[str, Pair]") -> "dict[str, torch.Tensor]":
    """Pairs as sd-scripts names and fuses them, with alpha equal to the rank.

    Layers that share what goes down are put on top of each other; others side by side, block by
    block, so that the rank of the fused layer is the sum of theirs.
    """
    import torch

    tensors: dict[str, torch.Tensor] = {}
    for module, layers in _kohya_modules(pairs):
        down, up = _fused([pairs.get(layer) for layer in layers], layers)
        if layers == (SHIFT_BEFORE_SCALE,):
            up = _halves_swapped(up)
        tensors[f"{module}.lora_down.weight"] = down
        tensors[f"{module}.lora_up.weight"] = up
        tensors[f"{module}.alpha"] = torch.tensor(float(down.shape[0]))
    return tensors


def unet_kohya_tensors(pairs: "Mapping[str, Pair]") -> "dict[str, torch.Tensor]":
    """Pairs of Stable Diffusion, whose layers bring their component, as sd-scripts names them."""
    import torch

    tensors: dict[str, torch.Tensor] = {}
    for layer, (down, up) in pairs.items():
        module = kohya_module(layer)
        tensors[f"{module}.lora_down.weight"] = down
        tensors[f"{module}.lora_up.weight"] = up
        tensors[f"{module}.alpha"] = torch.tensor(float(down.shape[0]))
    return tensors


def _split(
    layout: Layout, pair: LoraPair, scaled: "Pair", shapes: LayerShapes
) -> "dict[str, Pair]":
    layers = model_layers(layout, pair.module)
    down, up = scaled
    if len(layers) == 1:
        swap = layout is Layout.KOHYA and layers[0] == SHIFT_BEFORE_SCALE
        return {layers[0]: (down, _halves_swapped(up) if swap else up)}
    parts = up.split([shapes[layer][0] for layer in layers])
    rank, rest = divmod(pair.rank, len(layers))
    if layout is Layout.KOHYA and not rest and _is_block_diagonal(parts, rank):
        blocks = {
            layer: _without_padding(
                down[position * rank : (position + 1) * rank],
                part[:, position * rank : (position + 1) * rank],
            )
            for position, (layer, part) in enumerate(zip(layers, parts, strict=True))
        }
        return {layer: block for layer, block in blocks.items() if block[0].shape[0]}
    return {layer: (down, part) for layer, part in zip(layers, parts, strict=True)}


def _is_block_diagonal(parts: "Sequence[torch.Tensor]", rank: int) -> bool:
    """Whether each part uses only its own share of the rank, as fused separate LoRAs do."""
    for position, part in enumerate(parts):
        start, stop = position * rank, (position + 1) * rank
        if part[:, :start].any() or part[:, stop:].any():
            return False
    return True


def _without_padding(down: "torch.Tensor", up: "torch.Tensor") -> "Pair":
    """Without the last ranks that are zero on both sides: they fill the share of a fused layer."""
    used = (down.any(1) | up.any(0)).nonzero()
    rank = int(used.max()) + 1 if len(used) else 0
    return down[:rank].contiguous(), up[:, :rank].contiguous()


def _fused(found: "Sequence[Pair | None]", layers: tuple[str, ...]) -> "Pair":
    import torch

    there = [pair for pair in found if pair is not None]
    first = there[0][0]
    if len(layers) == 1:
        return there[0]
    if len(there) == len(layers) and all(torch.equal(first, down) for down, _ in there):
        return first, torch.cat([up for _, up in there])
    inside, share = first.shape[1], max(down.shape[0] for down, _ in there)
    widths = [
        (MLP_RATIO * inside if layer.endswith(LINEAR1[-1]) else inside)
        if pair is None
        else pair[1].shape[0]
        for layer, pair in zip(layers, found, strict=True)
    ]
    down = first.new_zeros(share * len(layers), inside)
    up = first.new_zeros(sum(widths), share * len(layers))
    row = 0
    for position, (pair, width) in enumerate(zip(found, widths, strict=True)):
        if pair is not None:
            start, stop = position * share, position * share + pair[0].shape[0]
            down[start:stop] = pair[0]
            up[row : row + width, start:stop] = pair[1]
        row += width
    return down, up


def _kohya_modules(layers: Mapping[str, object]) -> list[tuple[str, tuple[str, ...]]]:
    """The fused modules that cover these layers, and the layers of each."""
    modules: dict[str, tuple[str, ...]] = {}
    outer = {layer: name for name, layer in OUTER.items()}
    for layer in layers:
        if layer in outer:
            modules[f"{KOHYA_PREFIX}{outer[layer]}"] = (layer,)
            continue
        leaf = leaf_of(layer)
        if leaf is None:
            raise LoraError(f"The layer {layer} has no name in kohya layout: use diffusers layout.")
        stream = "single" if leaf[0].startswith("single") else "double"
        number = int(layer.split(".")[1])
        fused = SINGLE if stream == "single" else DOUBLE
        name, leaves = next((name, leaves) for name, leaves in fused.items() if leaf[1] in leaves)
        modules[f"{KOHYA_PREFIX}{stream}_blocks_{number}_{name}"] = tuple(
            block_module(stream, number, each) for each in leaves
        )
    return list(modules.items())


def _scale(pair: LoraPair, alpha: float | None, notes: Mapping[str, Any]) -> float:
    """alpha / rank; in diffusers layout alpha may stand in the notes that PEFT leaves."""
    component, _, layer = pair.module.partition(".")
    notes = {name.removeprefix(f"{component}."): value for name, value in notes.items()}
    if alpha is None:
        alpha = _noted(notes.get("alpha_pattern"), layer, notes.get("lora_alpha"))
    if alpha is None:
        return 1.0
    return alpha / (math.sqrt(pair.rank) if notes.get("use_rslora") else pair.rank)


def _noted(pattern: object, layer: str, otherwise: object) -> float | None:
    """What PEFT notes for a layer: names in a pattern are those that the layer's name ends with."""
    for name, value in pattern.items() if isinstance(pattern, dict) else ():
        if f".{layer}".endswith(f".{str(name).removeprefix('^')}"):
            return float(value)
    return float(otherwise) if isinstance(otherwise, int | float) else None


def _peft_notes(lora: LoraFile) -> dict[str, Any]:
    """PEFT's configuration by component, as diffusers puts it into the file's header."""
    if lora.layout is not Layout.DIFFUSERS or PEFT_METADATA not in lora.metadata:
        return {}
    try:
        notes = json.loads(lora.metadata[PEFT_METADATA])
    except ValueError as error:
        raise LoraError(
            f"The LoRA {lora.path.name} has a damaged {PEFT_METADATA} in its header: save it again."
        ) from error
    if not isinstance(notes, dict):
        return {}
    return {str(key): value for key, value in notes.items()}


def _scaled(down: "torch.Tensor", up: "torch.Tensor", scale: float) -> "Pair":
    """The scale taken in by both halves, in powers of two as diffusers shares it out."""
    down_scale, up_scale = scale, 1.0
    while 0 < down_scale * 2 < up_scale:
        down_scale *= 2
        up_scale /= 2
    return down * down_scale, up * up_scale


def _halves_swapped(up: "torch.Tensor") -> "torch.Tensor":
    import torch

    first, second = up.chunk(2)
    return torch.cat([second, first])
