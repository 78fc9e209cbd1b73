"""LoRA files of random numbers in every layout, split and named here on their own terms."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

Tensors = dict[str, torch.Tensor]
QKV = ("to_q", "to_k", "to_v")
TEXT_QKV = ("add_q_proj", "add_k_proj", "add_v_proj")
DOUBLE_MODULES = ("attn_qkv", "attn_proj", "mlp_0", "mlp_2", "mod_lin")
SINGLE_MODULES = ("linear1", "linear2", "modulation_lin")


def kohya_lora(
    *,
    hidden: int,
    double: int = 1,
    single: int = 1,
    rank: int = 4,
    alpha: float | None = None,
    seed: int = 0,
    strength: float = 0.3,
    dtype: torch.dtype = torch.float32,
) -> Tensors:
    """All linear layers of the blocks of a FLUX of this width, as sd-scripts writes them."""
    generator = torch.Generator().manual_seed(seed)
    widths = {
        "attn_qkv": (hidden, 3 * hidden),
        "attn_proj": (hidden, hidden),
        "mlp_0": (hidden, 4 * hidden),
        "mlp_2": (4 * hidden, hidden),
        "mod_lin": (hidden, 6 * hidden),
        "linear1": (hidden, 7 * hidden),
        "linear2": (5 * hidden, hidden),
        "modulation_lin": (hidden, 3 * hidden),
    }
    tensors = {}
    for module in kohya_modules(double, single):
        kind = next(kind for kind in widths if module.endswith(f"_{kind}"))
        inside, outside = widths[kind]
        down = torch.randn(rank, inside, generator=generator) / inside**0.5
        up = torch.randn(outside, rank, generator=generator) * strength
        tensors[f"{module}.lora_down.weight"] = down.to(dtype)
        tensors[f"{module}.lora_up.weight"] = up.to(dtype)
        tensors[f"{module}.alpha"] = torch.tensor(float(rank if alpha is None else alpha))
    return tensors


def kohya_modules(double: int, single: int) -> list[str]:
    """The names of all modules of the blocks."""
    return [
        f"lora_unet_double_blocks_{number}_{side}_{kind}"
        for number in range(double)
        for side in ("img", "txt")
        for kind in DOUBLE_MODULES
    ] + [
        f"lora_unet_single_blocks_{number}_{kind}"
        for number in range(single)
        for kind in SINGLE_MODULES
    ]


def as_diffusers(kohya: Mapping[str, torch.Tensor], hidden: int) -> Tensors:
    """The same weights as diffusers writes them, alpha folded into what goes down."""
    tensors = {}
    for key in kohya:
        module, _, part = key.partition(".")
        if part != "lora_down.weight":
            continue
        down, up = kohya[key], kohya[f"{module}.lora_up.weight"]
        down = down * (kohya[f"{module}.alpha"].item() / down.shape[0])
        for layer, rows in _layers(module, hidden):
            tensors[f"transformer.{layer}.lora_A.weight"] = down.clone()
            tensors[f"transformer.{layer}.lora_B.weight"] = up[rows].clone()
    return tensors


def as_xlabs(kohya: Mapping[str, torch.Tensor], hidden: int) -> Tensors:
    """The attention of the same weights as XLabs writes it; without alpha."""
    names = {"img_attn_qkv": "qkv_lora1", "txt_attn_qkv": "qkv_lora2"}
    names |= {"img_attn_proj": "proj_lora1", "txt_attn_proj": "proj_lora2"}
    tensors = {}
    for key, tensor in kohya.items():
        words, _, part = key.removeprefix("lora_unet_").partition(".")
        stream, _, number, kind = words.split("_", 3)
        up_or_down = part.removeprefix("lora_")
        if kind in names and part != "alpha":
            name = f"{stream}_blocks.{number}.processor.{names[kind]}.{up_or_down}"
            tensors[name] = tensor.clone()
        if kind == "linear1" and part != "alpha":
            rows = slice(3 * hidden) if part.startswith("lora_up") else slice(None)
            tensors[f"single_blocks.{number}.processor.qkv_lora.{up_or_down}"] = tensor[
                rows
            ].clone()
    return tensors


def save_lora(
    path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None
) -> Path:
    """Write a LoRA file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata)
    return path


def only(tensors: Mapping[str, torch.Tensor], *parts: str) -> Tensors:
    """The tensors whose names have one of these parts."""
    return {name: tensor for name, tensor in tensors.items() if _has(name, parts)}


def _has(name: str, parts: Iterable[str]) -> bool:
    return any(part in name for part in parts)


def _layers(module: str, hidden: int) -> list[tuple[str, slice]]:
    """diffusers' layers behind a module of sd-scripts, and the rows of each in what goes up."""
    stream, _, number, kind = module.removeprefix("lora_unet_").split("_", 3)
    if stream == "single":
        block = f"single_transformer_blocks.{number}"
        if kind == "linear1":
            rest = (f"{block}.proj_mlp", slice(3 * hidden, 7 * hidden))
            return [*_thirds(f"{block}.attn", QKV, hidden), rest]
        leaf = {"linear2": "proj_out", "modulation_lin": "norm.linear"}[kind]
        return [(f"{block}.{leaf}", slice(None))]
    block, (side, kind) = f"transformer_blocks.{number}", kind.split("_", 1)
    text = side == "txt"
    if kind == "attn_qkv":
        return _thirds(f"{block}.attn", TEXT_QKV if text else QKV, hidden)
    leaf = {
        "attn_proj": "attn.to_add_out" if text else "attn.to_out.0",
        "mlp_0": "ff_context.net.0.proj" if text else "ff.net.0.proj",
        "mlp_2": "ff_context.net.2" if text else "ff.net.2",
        "mod_lin": "norm1_context.linear" if text else "norm1.linear",
    }[kind]
    return [(f"{block}.{leaf}", slice(None))]


def _thirds(attention: str, names: tuple[str, ...], hidden: int) -> list[tuple[str, slice]]:
    return [
        (f"{attention}.{name}", slice(position * hidden, (position + 1) * hidden))
        for position, name in enumerate(names)
    ]
