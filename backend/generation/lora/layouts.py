"""Which program wrote a LoRA and for which kind of model, told from the names of its tensors."""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Literal, NamedTuple

Part = Literal["down", "up", "alpha"]


class Layout(StrEnum):
    """How the tensors are named."""

    KOHYA = "kohya"
    DIFFUSERS = "diffusers"
    XLABS = "xlabs"


class Family(StrEnum):
    """The kind of model that a LoRA changes."""

    FLUX = "flux"
    SD1 = "sd1"
    SD2 = "sd2"
    SDXL = "sdxl"

    @property
    def full_name(self) -> str:
        """As its makers call it."""
        return _FULL_NAMES[self]


class TensorName(NamedTuple):
    """A key taken apart: which layer of the model, and which part of the pair for it."""

    module: str
    part: Part


_FULL_NAMES = {
    Family.FLUX: "FLUX",
    Family.SD1: "Stable Diffusion 1.x",
    Family.SD2: "Stable Diffusion 2.x",
    Family.SDXL: "Stable Diffusion XL",
}
_PARTS: dict[str, Part] = {
    "lora_down.weight": "down",
    "lora_A.weight": "down",
    "lora.down.weight": "down",
    "down.weight": "down",
    "lora_up.weight": "up",
    "lora_B.weight": "up",
    "lora.up.weight": "up",
    "up.weight": "up",
    "alpha": "alpha",
}
_KEYS = {
    Layout.KOHYA: re.compile(
        r"(?P<module>lora_(?:unet|te\d?)_\w+)\.(?P<part>lora_down\.weight|lora_up\.weight|alpha)"
    ),
    Layout.DIFFUSERS: re.compile(
        r"(?P<module>(?:transformer|unet|text_encoder(?:_2)?"
        r"|(?:single_)?transformer_blocks)\.[\w.]+?)"
        r"[._](?P<part>lora_[AB]\.weight|lora\.(?:down|up)\.weight|alpha)"
    ),
    Layout.XLABS: re.compile(
        r"(?:diffusion_model\.)?(?P<module>(?:double|single)_blocks\.\d+\.processor"
        r"\.(?:qkv|proj)_lora[12]?)\.(?P<part>(?:down|up)\.weight)"
    ),
}
_FLUX_MODULE = re.compile(
    r"lora_unet_(?:double_blocks|single_blocks|img_in|txt_in|time_in|vector_in|guidance_in"
    r"|final_layer)_?|(?:transformer|single_transformer_blocks|transformer_blocks"
    r"|double_blocks|single_blocks)\."
)
TEXT_ENCODER = re.compile(r"lora_te\d?_|text_encoder(?:_2)?\.")
_CROSS_ATTENTION_KEY = re.compile(r"attn2[._](?:processor\.)?to_k")
_FAMILY_OF_TEXT_WIDTH = {768: Family.SD1, 1024: Family.SD2, 2048: Family.SDXL}


def find_layout(keys: Iterable[str]) -> Layout | None:
    """The layout that most of the keys follow; None where none of them follows any."""
    names = list(keys)
    counts = {
        layout: sum(pattern.fullmatch(name) is not None for name in names)
        for layout, pattern in _KEYS.items()
    }
    best = max(Layout, key=lambda layout: counts[layout])
    return best if counts[best] else None


def read_key(layout: Layout, key: str) -> TensorName | None:
    """A key taken apart; None where it does not belong to the layout.

    Modules of the diffusers layout always begin with their component, `transformer.` for FLUX.
    """
    match = _KEYS[layout].fullmatch(key)
    if match is None:
        return None
    module = match["module"]
    if module.startswith(("transformer_blocks.", "single_transformer_blocks.")):
        module = f"transformer.{module}"
    return TensorName(module, _PARTS[match["part"]])


def find_family(inputs: dict[str, int]) -> Family:
    """The kind of model, from the modules and the width of what each takes in.

    Stable Diffusion versions differ in the width of the text that cross-attention reads.
    """
    if any(_FLUX_MODULE.match(module) for module in inputs):
        return Family.FLUX
    for module, width in inputs.items():
        if _CROSS_ATTENTION_KEY.search(module) and width in _FAMILY_OF_TEXT_WIDTH:
            return _FAMILY_OF_TEXT_WIDTH[width]
    if any(module.startswith("lora_te2_") for module in inputs):
        return Family.SDXL
    return Family.SD1
