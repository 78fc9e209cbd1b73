"""Which layers of a base model get a LoRA, and how many numbers and bytes that makes, exactly."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from backend.finetuning.architectures import Architecture, Shapes
from backend.finetuning.config import LoraShape, Targets
from backend.finetuning.errors import FinetuningError
from backend.generation.lora.flux_modules import (
    DIFFUSERS_PREFIX,
    DOUBLE,
    KOHYA_PREFIX,
    LINEAR1,
    SINGLE,
    block_module,
)
from backend.generation.lora.layouts import Family

UNET_PREFIX = "unet."
_ATTENTION_MODULES = ("img_attn_qkv", "img_attn_proj", "txt_attn_qkv", "txt_attn_proj")
_FEED_FORWARD_MODULES = ("img_mlp_0", "img_mlp_2", "txt_mlp_0", "txt_mlp_2")
_FLUX_MODULES: dict[Targets, tuple[tuple[str, ...], tuple[str, ...]]] = {
    Targets.ATTENTION: (_ATTENTION_MODULES, ("linear1",)),
    Targets.ATTENTION_AND_FEED_FORWARD: (
        _ATTENTION_MODULES + _FEED_FORWARD_MODULES,
        ("linear1", "linear2"),
    ),
    Targets.ALL_LINEAR_LAYERS: (tuple(DOUBLE), tuple(SINGLE)),
}
_UNET_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
_UNET_FEED_FORWARD = ("ff.net.0.proj", "ff.net.2")
_UNET_OUTER = ("proj_in", "proj_out")
_DTYPE_BYTES = {"BF16": 2, "F32": 4}
_SAFETENSORS_ALIGNMENT = 8

Dtype = Literal["BF16", "F32"]


@dataclass(frozen=True)
class TargetGroup:
    """One LoRA pair: a layer, or several that read the same input and share what goes down.

    layers: names in diffusers; inside: numbers that go in; outside: numbers that come out of each
    layer; `module` is the name of the pair in its layout, without the component's prefix.
    """

    module: str
    layers: tuple[str, ...]
    inside: int
    outside: tuple[int, ...]
    convolution: bool = False

    def parameters(self, rank: int) -> int:
        """How many numbers the pair has."""
        return rank * (self.inside + sum(self.outside))


@dataclass(frozen=True)
class TargetCount:
    """A target set at a rank: pairs, numbers, and the exact bytes of its safetensors file.

    The fused layout is written as sd-scripts does it, the split one as diffusers does; metadata in
    the header, some hundred bytes, come on top.
    """

    targets: Targets
    fused: bool
    rank: int
    pairs: int
    parameters: int
    bytes_bf16: int
    bytes_fp32: int


def target_groups(architecture: Architecture, lora: LoraShape) -> tuple[TargetGroup, ...]:
    """The LoRA pairs of a target set, in the order of the blocks.

    In the fused layout of FLUX's authors the first layer of the MLP of a single-stream block is
    one with queries, keys and values, so that attention takes it along; split, it does not.

    Raises:
        FinetuningError: the model has no such layers, or knows no fused layout.
    """
    if architecture.family is Family.FLUX:
        groups = _flux_groups(architecture, lora.targets, fused=lora.fused)
    else:
        if lora.fused:
            raise FinetuningError(
                f"The base model {architecture.name} has no fused layout, which is FLUX's: switch "
                "'fused' off."
            )
        groups = _unet_groups(architecture.layers, lora.targets)
    if not groups:
        raise FinetuningError(
            f"The base model {architecture.name} has no layers for the target set "
            f"'{lora.targets}': choose another base."
        )
    return tuple(groups)


def target_layers(groups: Iterable[TargetGroup]) -> tuple[str, ...]:
    """All layers of diffusers that the groups change."""
    return tuple(layer for group in groups for layer in group.layers)


def count_targets(architecture: Architecture, lora: LoraShape) -> TargetCount:
    """A target set counted; raises FinetuningError as `target_groups`."""
    groups = target_groups(architecture, lora)
    prefix = DIFFUSERS_PREFIX if architecture.family is Family.FLUX else UNET_PREFIX
    return TargetCount(
        targets=lora.targets,
        fused=lora.fused,
        rank=lora.rank,
        pairs=len(groups),
        parameters=sum(group.parameters(lora.rank) for group in groups),
        bytes_bf16=_file_bytes(groups, lora, prefix, "BF16"),
        bytes_fp32=_file_bytes(groups, lora, prefix, "F32"),
    )


def count_all_targets(architecture: Architecture, rank: int) -> list[TargetCount]:
    """Every target set at a rank, split as diffusers has its layers, then fused where that is."""
    layouts = (False, True) if architecture.family is Family.FLUX else (False,)
    return [
        count_targets(architecture, LoraShape(rank=rank, alpha=rank, targets=targets, fused=fused))
        for fused in layouts
        for targets in Targets
    ]


def _flux_groups(architecture: Architecture, targets: Targets, *, fused: bool) -> list[TargetGroup]:
    double, single = _FLUX_MODULES[targets]
    groups = []
    for stream, count, modules, table in (
        ("double", _blocks(architecture, "num_layers"), double, DOUBLE),
        ("single", _blocks(architecture, "num_single_layers"), single, SINGLE),
    ):
        for number in range(count):
            for module in modules:
                leaves = table[module]
                if targets is Targets.ATTENTION and not fused and module == "linear1":
                    leaves = tuple(leaf for leaf in leaves if leaf != LINEAR1[-1])
                layers = [block_module(stream, number, leaf) for leaf in leaves]
                if fused:
                    name = f"{KOHYA_PREFIX}{stream}_blocks_{number}_{module}"
                    groups.append(_group(architecture.layers, name, layers))
                else:
                    groups += [_group(architecture.layers, layer, [layer]) for layer in layers]
    return groups


def _unet_groups(layers: Shapes, targets: Targets) -> list[TargetGroup]:
    """Layers of the transformer blocks inside the U-Net's attention blocks; `all` adds the layers
    that lead into and out of them."""
    attention_alone = targets is Targets.ATTENTION
    leaves = _UNET_ATTENTION + (() if attention_alone else _UNET_FEED_FORWARD)
    found = []
    for layer in layers:
        inner = ".transformer_blocks." in layer and layer.endswith(
            tuple(f".{leaf}" for leaf in leaves)
        )
        outer = (
            targets is Targets.ALL_LINEAR_LAYERS
            and ".attentions." in layer
            and layer.endswith(tuple(f".{leaf}" for leaf in _UNET_OUTER))
        )
        if inner or outer:
            found.append(_group(layers, layer, [layer]))
    return found


def _group(shapes: Shapes, module: str, layers: Sequence[str]) -> TargetGroup:
    missing = next((layer for layer in layers if layer not in shapes), None)
    if missing is not None:
        raise FinetuningError(
            f"The base model has no layer {missing}, which every model of its kind has: copy or "
            "download it again."
        )
    first = shapes[layers[0]]
    return TargetGroup(
        module=module,
        layers=tuple(layers),
        inside=first[1],
        outside=tuple(shapes[layer][0] for layer in layers),
        convolution=len(first) == 4,
    )


def _blocks(architecture: Architecture, name: str) -> int:
    value = architecture.config.get(name)
    return value if isinstance(value, int) else 0


def _file_bytes(groups: Iterable[TargetGroup], lora: LoraShape, prefix: str, dtype: Dtype) -> int:
    """Of a safetensors file: the length of its header, the header, the tensors.

    Tensors of wide numbers come first, then by name; alpha is always kept in fp32.
    """
    shapes: list[tuple[int, str, str, list[int]]] = []

    def add(name: str, kind: Dtype, shape: list[int]) -> None:
        shapes.append((-_DTYPE_BYTES[kind], name, kind, shape))

    for group in groups:
        down, up = [lora.rank, group.inside], [sum(group.outside), lora.rank]
        if group.convolution:
            down, up = [*down, 1, 1], [*up, 1, 1]
        if lora.fused:
            add(f"{group.module}.alpha", "F32", [])
            add(f"{group.module}.lora_down.weight", dtype, down)
            add(f"{group.module}.lora_up.weight", dtype, up)
        else:
            add(f"{prefix}{group.module}.lora_A.weight", dtype, down)
            add(f"{prefix}{group.module}.lora_B.weight", dtype, up)
    header: dict[str, object] = {}
    place = 0
    for width, name, kind, shape in sorted(shapes):
        size = math.prod(shape) * -width
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [place, place + size]}
        place += size
    words = len(json.dumps(header, separators=(",", ":")))
    return 8 + words + -words % _SAFETENSORS_ALIGNMENT + place
