"""PanDerm's base vision tower, which open_clip does not have (Yan et al., Nature Medicine 2025).

It is a BEiT without relative positions: layer scale, attention whose keys have no bias, and fixed
two-dimensional sine-cosine positions that lie in the weights. timm has that network, with the same
names of parameters; its classifier is DermLIP-PanDerm's projection into the space of the captions.
Widths are read from the weights.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial

from timm.models.beit import Beit
from torch import Tensor, nn

HEAD_WIDTH = 64
EPSILON = 1e-6
LAYER_SCALE = 0.1
MARK = "visual.blocks.0.attn.q_bias"
"""A parameter that this tower has and those of open_clip have not."""


@dataclass(frozen=True)
class TowerShape:
    """`mean_pooling`: the mean of the patches is projected, not the class token."""

    image_size: int
    patch_size: int
    width: int
    layers: int
    heads: int
    hidden: int
    output: int
    mean_pooling: bool


def is_panderm(names: Collection[str]) -> bool:
    """Whether the vision tower of a CLIP with parameters of these names is PanDerm's."""
    return MARK in names


def panderm_tower(shape: TowerShape) -> nn.Module:
    """Images (B, 3, image_size, image_size) to embeddings (B, output); without weights."""
    tower = Beit(
        img_size=shape.image_size,
        patch_size=shape.patch_size,
        num_classes=shape.output,
        global_pool="avg" if shape.mean_pooling else "token",
        embed_dim=shape.width,
        depth=shape.layers,
        num_heads=shape.heads,
        mlp_ratio=shape.hidden / shape.width,
        qkv_bias=True,
        init_values=LAYER_SCALE,
        use_abs_pos_emb=True,
        norm_layer=partial(nn.LayerNorm, eps=EPSILON),  # type: ignore[arg-type]
    )
    tower.image_size = (shape.image_size, shape.image_size)  # type: ignore[assignment]
    return tower


def tower_shape(weights: Mapping[str, Tensor], prefix: str = "visual.") -> TowerShape:
    """The shape of the tower that these weights fit into.

    Raises:
        KeyError, ValueError: they are of no such tower.
    """
    patches = weights[f"{prefix}patch_embed.proj.weight"]
    width, patch_size = patches.shape[0], patches.shape[-1]
    grid = round((weights[f"{prefix}pos_embed"].shape[1] - 1) ** 0.5)
    start = f"{prefix}blocks."
    blocks = {name[len(start) :].split(".")[0] for name in weights if name.startswith(start)}
    return TowerShape(
        image_size=grid * patch_size,
        patch_size=patch_size,
        width=width,
        layers=len(blocks),
        heads=max(1, width // HEAD_WIDTH),
        hidden=weights[f"{prefix}blocks.0.mlp.fc1.weight"].shape[0],
        output=weights[f"{prefix}head.weight"].shape[0],
        mean_pooling=f"{prefix}fc_norm.weight" in weights,
    )
