"""Whether a LoRA belongs to a model, told from the headers of both before anything is loaded."""

from collections.abc import Mapping
from pathlib import Path

from backend.generation.errors import LoraError
from backend.generation.layout import weight_files
from backend.generation.lora.flux_modules import model_layers
from backend.generation.lora.layouts import Family
from backend.generation.lora.reading import LoraFile, LoraPair
from backend.generation.models import ModelEntry
from backend.generation.weights import read_tensors

LayerShapes = Mapping[str, tuple[int, int]]
"""Of each linear layer by its name in diffusers: how many numbers come out, and go in."""


def layer_shapes(folder: Path) -> LayerShapes:
    """The linear layers of the transformer in a model's folder.

    Raises:
        ModelError: its weights are missing or damaged.
    """
    return {
        tensor.name.removesuffix(".weight"): (tensor.shape[0], tensor.shape[1])
        for file in weight_files(folder / "transformer")
        for tensor in read_tensors(file)
        if tensor.name.endswith(".weight") and len(tensor.shape) == 2
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
    shapes = layer_shapes(entry.folder)
    for pair in lora.pairs:
        problem = _misfit(pair, model_layers(lora.layout, pair.module), shapes)
        if problem is not None:
            raise LoraError(
                f"The LoRA {name} does not fit {entry.name}: {problem}. It was trained on another "
                f"{lora.family.full_name}; choose that one."
            )


def _misfit(pair: LoraPair, layers: tuple[str, ...], shapes: LayerShapes) -> str | None:
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
