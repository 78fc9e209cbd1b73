"""Which layers of Stable Diffusion a LoRA's modules stand for, in diffusers' own names.

sd-scripts writes the names of diffusers with underscores for dots, under `lora_unet_` and
`lora_te_`; older diffusers put `.processor` into the names of attention layers and left out the
`.0` of `to_out`.
"""

from collections.abc import Mapping

PREFIXES: Mapping[str, str] = {"lora_unet_": "unet.", "lora_te_": "text_encoder."}
COMPONENTS = ("unet", "text_encoder")


def unet_layer(module: str, layers: Mapping[str, object]) -> str | None:
    """The layer `unet.` or `text_encoder.` of these that a module changes; None for none."""
    name = module.replace(".processor.", ".")
    for short, component in PREFIXES.items():
        if name.startswith(short):
            name = component + name.removeprefix(short)
    wanted = {_flat(name), _flat(f"{name}.0")}
    return next((layer for layer in layers if _flat(layer) in wanted), None)


def kohya_module(layer: str) -> str:
    """What sd-scripts calls a layer `unet.` or `text_encoder.` of diffusers."""
    short, component = next(
        (short, component) for short, component in PREFIXES.items() if layer.startswith(component)
    )
    return short + layer.removeprefix(component).replace(".", "_")


def _flat(name: str) -> str:
    """Both spellings alike; CLIP's own `text_model` is left out by some writers."""
    return name.replace(".", "_").replace("text_encoder_text_model_", "text_encoder_")
