"""Which layers of diffusers' FluxTransformer2DModel each module of the other layouts stands for.

The authors of FLUX fuse queries, keys and values into one layer, and in the single-stream blocks
the first layer of the MLP as well; diffusers keeps them apart.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

from backend.generation.lora.layouts import Layout

_QKV = ("attn.to_q", "attn.to_k", "attn.to_v")
_TEXT_QKV = ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj")
LINEAR1 = (*_QKV, "proj_mlp")
DOUBLE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "img_attn_qkv": _QKV,
        "img_attn_proj": ("attn.to_out.0",),
        "img_mlp_0": ("ff.net.0.proj",),
        "img_mlp_2": ("ff.net.2",),
        "img_mod_lin": ("norm1.linear",),
        "txt_attn_qkv": _TEXT_QKV,
        "txt_attn_proj": ("attn.to_add_out",),
        "txt_mlp_0": ("ff_context.net.0.proj",),
        "txt_mlp_2": ("ff_context.net.2",),
        "txt_mod_lin": ("norm1_context.linear",),
    }
)
SINGLE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "linear1": LINEAR1,
        "linear2": ("proj_out",),
        "modulation_lin": ("norm.linear",),
    }
)
OUTER: Mapping[str, str] = MappingProxyType(
    {
        "img_in": "x_embedder",
        "txt_in": "context_embedder",
        "time_in_in_layer": "time_text_embed.timestep_embedder.linear_1",
        "time_in_out_layer": "time_text_embed.timestep_embedder.linear_2",
        "vector_in_in_layer": "time_text_embed.text_embedder.linear_1",
        "vector_in_out_layer": "time_text_embed.text_embedder.linear_2",
        "guidance_in_in_layer": "time_text_embed.guidance_embedder.linear_1",
        "guidance_in_out_layer": "time_text_embed.guidance_embedder.linear_2",
        "final_layer_linear": "proj_out",
        "final_layer_adaLN_modulation_1": "norm_out.linear",
    }
)
SHIFT_BEFORE_SCALE = "norm_out.linear"
"""Its output is (shift, scale) with the authors of FLUX and (scale, shift) in diffusers."""
KOHYA_PREFIX = "lora_unet_"
DIFFUSERS_PREFIX = "transformer."
_XLABS_DOUBLE = {
    "qkv_lora1": _QKV,
    "qkv_lora2": _TEXT_QKV,
    "proj_lora1": ("attn.to_out.0",),
    "proj_lora2": ("attn.to_add_out",),
}
_XLABS_SINGLE = {"qkv_lora": _QKV, "proj_lora": ("proj_out",)}
_BLOCK = re.compile(
    r"(?P<stream>double|single)_blocks[_.](?P<number>\d+)[_.](?:processor\.)?(?P<layer>\w+)"
)
_LEAVES = {
    "transformer_blocks": {leaf for leaves in DOUBLE.values() for leaf in leaves},
    "single_transformer_blocks": {leaf for leaves in SINGLE.values() for leaf in leaves},
}


def block_module(stream: str, number: int, leaf: str) -> str:
    """The name of a layer in diffusers; `stream` is double or single."""
    blocks = "transformer_blocks" if stream == "double" else "single_transformer_blocks"
    return f"{blocks}.{number}.{leaf}"


def model_layers(layout: Layout, module: str) -> tuple[str, ...]:
    """The layers of diffusers' transformer behind a LoRA's module; none for an unknown module."""
    if layout is Layout.DIFFUSERS:
        layer = module.removeprefix(DIFFUSERS_PREFIX)
        known = layer != module and (leaf_of(layer) is not None or layer in OUTER.values())
        return (layer,) if known else ()
    name = module.removeprefix(KOHYA_PREFIX)
    if layout is Layout.KOHYA and name in OUTER:
        return (OUTER[name],)
    match = _BLOCK.fullmatch(name)
    if match is None:
        return ()
    stream, number = match["stream"], int(match["number"])
    leaves = _fused(layout, stream).get(match["layer"], ())
    return tuple(block_module(stream, number, leaf) for leaf in leaves)


def leaf_of(layer: str) -> tuple[str, str] | None:
    """The kind of block and the layer within it, for a layer of diffusers that is in a block."""
    blocks, _, rest = layer.partition(".")
    number, _, leaf = rest.partition(".")
    if number.isdecimal() and leaf in _LEAVES.get(blocks, ()):
        return blocks, leaf
    return None


def _fused(layout: Layout, stream: str) -> Mapping[str, tuple[str, ...]]:
    if layout is Layout.KOHYA:
        return DOUBLE if stream == "double" else SINGLE
    return _XLABS_DOUBLE if stream == "double" else _XLABS_SINGLE
