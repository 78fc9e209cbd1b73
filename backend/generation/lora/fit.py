"""Whether a LoRA belongs to a model, told from the headers of both before anything is loaded."""

from collections.abc import Mapping
from pathlib import Path

from backend.generation.errors import LoraError
from backend.generation.layout import weight_files
from backend.generation.lora.flux_modules import model_layers
from backend.generation.lora.layouts import Family
from backend.generation.lora.reading import LoraFile, LoraPair
from backend.generation.lora.unet_modules import COMPONENTS, unet_layer
from backend.generation.models import ModelEntry
from backend.generation.weights import read_tensors

LayerShapes = Mapping[str, tuple[int, int]]
"""Of each linear layer by its name in diffusers: how many numbers come out, and go in."""


def layer_shapes(entry: ModelEntry) -> LayerShapes:
    """The layers of a model that LoRAs change: those of the transformer by their own names, those
    of Stable Diffusion under the names of their components.

    Raises:
        ModelError: its weights are missing or damaged.
    """
    if entry.family is Family.SD1:
        return {
            f"{component}.{layer}": shape
            for component in COMPONENTS
            for layer, shape in _shapes(entry.folder / component, (2, 4)).items()
        }
    return _shapes(entry.folder / entry.kind.denoiser, (2,))


def changed_layers(lora: LoraFile, module: str, shapes: LayerShapes) -> tuple[str, ...]:
    """The layers of the model that a module of the LoRA changes; none where it has no such."""
    if lora.family is Family.SD1:
        layer = unet_layer(module, shapes)
        return (layer,) if layer else ()
    return model_layers(lora.layout, module)


def _shapes(folder: Path, dimensions: tuple[int, ...]) -> LayerShapes:
    return {
        tensor.name.removesuffix(".weight"): (tensor.shape[0], tensor.shape[1])
        for file in weight_files(folder)
        for tensor in read_tensors(file)
        if tensor.name.endswith(".weight") and len(tensor.shape) in dimensions
    }


def check_fit(lora: LoraFile, name: str, entry: ModelEntry) -> None:
    """Refuse a LoRA, called `name`, that was made for another model.

    Raises:
        LoraError: naming both, and the first layer that stands against it.
        ModelError: the weights of the model are missing or damaged.
    """
    if lora.family != entry.family:
        raise LoraError(
            f"The LoRA {name} is for {lora.family.full_name}, not for {entry.name}, a "
            f"{Family(entry.family).full_name}: choose a model of its kind, or another LoRA."
        )
    shapes = layer_shapes(entry)
    for pair in lora.pairs:
        problem = _misfit(pair, changed_layers(lora, pair.module, shapes), shapes)
        if problem is not None:
            raise LoraError(
                f"The LoRA {name} does not fit {entry.name}: {problem}. It was trained on another "
                f"{lora.family.full_name}; choose that one."
            )


def _misfit(pair: LoraPair, layers: tuple[str, ...], shapes: LayerShapes) -> str | None:
    if not layers:
        return f"it changes {pair.module}, which the model does not have"
    missing = next((layer for layer in layers if layer not in shapes), None)
    if missing is not None:
        return f"it changes {missing}, which the model does not have"
    inside = shapes[layers[0]][1]
    outside = sum(shapes[layer][0] for layer in layers)
    if (pair.up.shape[0], pair.down.shape[1]) == (outside, inside):
        return None
    return (
        f"{pair.module} takes {pair.down.shape[1]:,} numbers and gives {pair.up.shape[0]:,} in "
        f"the LoRA, {inside:,} and {outside:,} in the model"
    )
