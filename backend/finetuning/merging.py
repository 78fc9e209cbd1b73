"""A LoRA merged into its base: a model of its own in the hub's layout, which Generate lists."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from backend.exports.folders import whole_folder
from backend.files import copy_file, explained_files, write_file
from backend.finetuning.errors import FinetuningError
from backend.generation.families import ATTRIBUTE_CLASSIFIER
from backend.generation.layout import weight_files
from backend.generation.lora.adapters import LAYER_PREFIX
from backend.generation.lora.conversion import diffusers_tensors, read_pairs
from backend.generation.lora.fit import check_fit, layer_shapes
from backend.generation.lora.layouts import Family
from backend.generation.lora.reading import read_lora
from backend.generation.models import CARD, ModelEntry
from backend.generation.registry import model_name
from backend.settings import Settings

if TYPE_CHECKING:
    import torch

    Additions = dict[str, tuple[torch.Tensor, torch.Tensor]]
    """What goes down and up of each layer, by the name of its component and layer."""


def write_merged(
    settings: Settings,
    lora: Path,
    entry: ModelEntry,
    name: str,
    *,
    title: str = "",
    licence: str = "",
    t5_length: int | None = None,
    strength: float = 1.0,
) -> Path:
    """Write a model folder whose weights hold a LoRA; returns it. Other components are copied.

    The product is added in fp32 and rounded to the precision of the base, one file at a time.

    Raises:
        FinetuningError: there is a model of this name already.
        LoraError, ModelError: the LoRA is damaged or made for another model, or the name is bad.
        FileError: disk full, or the folder cannot be written.
    """
    name = model_name(name, name)
    file = read_lora(lora)
    check_fit(file, name, entry)
    named = diffusers_tensors(read_pairs(file, layer_shapes(entry)), LAYER_PREFIX[entry.family])
    additions = _by_layer(named, entry)
    folder = settings.models_dir / name
    weighted = {path for part in entry.kind.weighted for path in weight_files(entry.folder / part)}
    with whole_folder(folder, FinetuningError) as aside:
        for source in sorted(path for path in entry.folder.rglob("*") if path.is_file()):
            place = source.relative_to(entry.folder)
            if place.parts[0] == ATTRIBUTE_CLASSIFIER:  # it does not know what a LoRA draws
                continue
            if place.parts[0] in entry.kind.weighted and source.suffix == ".safetensors":
                if source in weighted:
                    _merge_file(source, aside / place, place.parts[0], additions, strength)
            elif len(place.parts) > 1 or source.name == "model_index.json":
                copy_file(source, aside / place)
        write_file(aside / CARD, _card(entry, title or name, licence, t5_length))
    return folder


def _by_layer(named: "dict[str, torch.Tensor]", entry: ModelEntry) -> "Additions":
    """Under COMPONENT.LAYER, as the layers of Stable Diffusion are named already."""
    down = ".lora_A.weight"
    prefix = "" if entry.family is Family.SD1 else f"{entry.kind.denoiser}."
    stripped = LAYER_PREFIX[entry.family]
    return {
        prefix + key.removesuffix(down).removeprefix(stripped): (
            tensor,
            named[key.replace("lora_A", "lora_B")],
        )
        for key, tensor in named.items()
        if key.endswith(down)
    }


def _merge_file(
    source: Path, path: Path, component: str, additions: "Additions", strength: float
) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(source, framework="pt") as file:
        notes = file.metadata() or {}
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    touched = False
    for key, tensor in tensors.items():
        pair = additions.get(f"{component}.{key.removesuffix('.weight')}")
        if pair is None or not key.endswith(".weight"):
            continue
        down, up = (half.float().flatten(1) for half in pair)
        product = (up @ down).reshape(tensor.shape) * strength
        tensors[key] = (tensor.float() + product).to(tensor.dtype)
        touched = True
    if not touched:
        copy_file(source, path)
        return
    with explained_files(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, path, notes | {"format": "pt"})


def _card(entry: ModelEntry, title: str, licence: str, t5_length: int | None) -> bytes:
    values = {
        "title": title,
        "sizes": list(entry.sizes),
        "steps": entry.steps,
        "guidance_scale": entry.guidance_scale,
        "max_sequence_length": t5_length or entry.max_sequence_length,
        "licence": licence or entry.licence,
        "description": f"{entry.title} with a LoRA merged into its weights.",
    }
    return json.dumps(values, indent=1, ensure_ascii=False).encode()
