"""Where each tensor of diffusers' models lies in the single files that others write.

FLUX as its authors name it, with fused layers; Stable Diffusion 1.x as in its first release
(CompVis' latent diffusion). Names are compared flat, since the layers of FLUX are known with
underscores for dots, and without the file's prefix.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from backend.generation.lora.flux_modules import DOUBLE, OUTER, SHIFT_BEFORE_SCALE, SINGLE

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Piece:
    """Rows of a tensor of the file, `first` on, of `total` rows that a fused one must have.

    swapped: its halves change places.
    """

    source: str
    first: int = 0
    total: int | None = None
    swapped: bool = False


_STREAMS = {"transformer_blocks": "double", "single_transformer_blocks": "single"}
_FUSED = {"double": DOUBLE, "single": SINGLE}
_NORMS = {
    "double": {
        "attn.norm_q": "img_attn_norm_query_norm",
        "attn.norm_k": "img_attn_norm_key_norm",
        "attn.norm_added_q": "txt_attn_norm_query_norm",
        "attn.norm_added_k": "txt_attn_norm_key_norm",
    },
    "single": {"attn.norm_q": "norm_query_norm", "attn.norm_k": "norm_key_norm"},
}
_OUTER = {layer: module for module, layer in OUTER.items()}

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_UNET_ENDS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_MIDDLE = {"resnets.0": "0", "attentions.0": "1", "resnets.1": "2"}
_VAE_ATTENTION: Mapping[str, str] = MappingProxyType(
    {
        "group_norm": "norm",
        "to_q": "q",
        "to_k": "k",
        "to_v": "v",
        "to_out.0": "proj_out",
        "query": "q",
        "key": "k",
        "value": "v",
        "proj_attn": "proj_out",
    }
)
"""The last four are the names of older diffusers."""
_BLOCK = re.compile(r"(down|up)_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.(.+)")
_RESIZER = re.compile(r"(?:down|up)_blocks\.(\d+)\.(down|up)samplers\.0\.conv")


def flat(name: str) -> str:
    """A tensor's name as it is compared."""
    return name.replace(".", "_")


def flux_piece(name: str, shapes: Shapes) -> Piece | None:
    """Of a tensor of FluxTransformer2DModel, whose `shapes` say how wide fused layers are."""
    layer, _, kind = name.rpartition(".")
    if layer in _OUTER:
        return Piece(f"{_OUTER[layer]}_{kind}", swapped=layer == SHIFT_BEFORE_SCALE)
    blocks, _, rest = layer.partition(".")
    number, _, leaf = rest.partition(".")
    stream = _STREAMS.get(blocks)
    if stream is None:
        return None
    block = f"{stream}_blocks_{number}_"
    if leaf in _NORMS[stream]:
        return Piece(f"{block}{_NORMS[stream][leaf]}_scale")
    for module, leaves in _FUSED[stream].items():
        if leaf in leaves:
            rows = [shapes[f"{blocks}.{number}.{one}.{kind}"][0] for one in leaves]
            return Piece(f"{block}{module}_{kind}", sum(rows[: leaves.index(leaf)]), sum(rows))
    return None


def unet_piece(name: str, shapes: Shapes) -> Piece | None:
    """Of a tensor of UNet2DConditionModel."""
    layer, _, kind = name.rpartition(".")
    per_block = 2 + max(
        int(found[4]) for one in shapes if (found := _BLOCK.match(one)) and found[1] == "down"
    )
    place = _unet_layer(layer, shapes, per_block)
    return None if place is None else Piece(f"{place}.{kind}")


def vae_piece(name: str, shapes: Shapes) -> Piece | None:
    """Of a tensor of AutoencoderKL; its levels count from the image in both halves of the file."""
    layer, _, kind = name.rpartition(".")
    if layer in ("quant_conv", "post_quant_conv"):
        return Piece(name)
    half, _, rest = layer.partition(".")
    levels = 1 + max(
        int(found[2])
        for one in shapes
        if one.startswith(f"{half}.") and (found := _BLOCK.match(one.partition(".")[2]))
    )
    place = _vae_layer(rest, levels)
    return None if place is None else Piece(f"{half}.{place}.{kind}")


def clip_piece(name: str, _shapes: Shapes) -> Piece | None:
    """Of a tensor of CLIPTextModel, which newer libraries write without `text_model`."""
    return Piece(f"text_model.{name.removeprefix('text_model.')}")


def _unet_layer(layer: str, shapes: Shapes, per_block: int) -> str | None:
    """`per_block` is how many blocks of the file a block of diffusers stands for."""
    if layer in _UNET_ENDS:
        return _UNET_ENDS[layer]
    if layer.startswith("mid_block."):
        kind, inner = _two(layer.removeprefix("mid_block."))
        return f"middle_block.{_MIDDLE[kind]}.{_inside(kind, inner)}" if kind in _MIDDLE else None
    if found := _RESIZER.fullmatch(layer):
        block = int(found[1])
        if found[2] == "down":
            return f"input_blocks.{(block + 1) * per_block}.0.op"
        attended = any(one.startswith(f"up_blocks.{block}.attentions.") for one in shapes)
        return f"output_blocks.{(block + 1) * per_block - 1}.{1 + attended}.conv"
    if found := _BLOCK.fullmatch(layer):
        way, level, kind, number, inner = found.groups()
        place = int(level) * per_block + int(number) + (way == "down")
        side = "input" if way == "down" else "output"
        return f"{side}_blocks.{place}.{int(kind == 'attentions')}.{_inside(kind, inner)}"
    return None


def _vae_layer(layer: str, levels: int) -> str | None:
    if layer in ("conv_in", "conv_out"):
        return layer
    if layer == "conv_norm_out":
        return "norm_out"
    if layer.startswith("mid_block."):
        kind, inner = _two(layer.removeprefix("mid_block."))
        if kind == "attentions.0":
            return f"mid.attn_1.{_VAE_ATTENTION.get(inner, inner)}"
        return f"mid.block_{int(kind.rpartition('.')[2]) + 1}.{_vae_resnet(inner)}"
    if found := _RESIZER.fullmatch(layer):
        level = int(found[1])
        return f"{found[2]}.{_level(found[2], level, levels)}.{found[2]}sample.conv"
    if found := _BLOCK.fullmatch(layer):
        way, block, _, number, inner = found.groups()
        return f"{way}.{_level(way, int(block), levels)}.block.{number}.{_vae_resnet(inner)}"
    return None


def _level(way: str, block: int, levels: int) -> int:
    return block if way == "down" else levels - 1 - block


def _inside(kind: str, inner: str) -> str:
    return _RESNET.get(inner, inner) if kind.startswith("resnets") else inner


def _vae_resnet(inner: str) -> str:
    return "nin_shortcut" if inner == "conv_shortcut" else inner


def _two(name: str) -> tuple[str, str]:
    """`resnets.0.norm1` as `resnets.0` and `norm1`."""
    kind, number, *inner = name.split(".")
    return f"{kind}.{number}", ".".join(inner)
