"""A LoRA of the shelf written for other programs, in the layout that they read."""

from pathlib import Path

from backend.files import copy_file, write_file
from backend.generation.errors import LoraError
from backend.generation.lora.conversion import (
    PEFT_METADATA,
    diffusers_tensors,
    kohya_tensors,
    own_shapes,
    read_pairs,
    unet_kohya_tensors,
)
from backend.generation.lora.layouts import Family, Layout
from backend.generation.lora.reading import LoraFile, read_lora
from backend.generation.lora.shelf import LoraView

WRITABLE = (Layout.KOHYA, Layout.DIFFUSERS)


def export_lora(view: LoraView, out: Path, layout: Layout) -> Path:
    """Write a LoRA as a new safetensors file; returns its path.

    In its own layout it is copied byte for byte; in another, alpha is folded into the weights and
    set to the rank. `out` is the file, or a folder for NAME.safetensors.

    Raises:
        LoraError: the layout cannot be written for this LoRA, or the file is there already.
        FileError: disk full, or the folder cannot be written.
    """
    path = out / f"{view.name}.safetensors" if out.is_dir() else out
    if path.suffix != ".safetensors":
        raise LoraError(
            f"A LoRA is written as .safetensors: call the file {path.stem}.safetensors."
        )
    if path.exists():
        raise LoraError(f"There is a file {path} already: give another name.")
    if layout is view.layout:
        copy_file(view.path, path)
        return path
    if not _can_write(view.family, view.layout, layout):
        raise LoraError(
            f"The LoRA {view.name}, for {view.family.full_name} in {view.layout} layout, cannot be "
            f"written in {layout} layout: export it in its own."
        )
    write_file(path, converted(read_lora(view.path), layout))
    return path


def _can_write(family: Family, written: Layout, layout: Layout) -> bool:
    """Names of sd-scripts for Stable Diffusion do not tell which underscores were dots."""
    if family is Family.SD1:
        return (written, layout) == (Layout.DIFFUSERS, Layout.KOHYA)
    return family is Family.FLUX and layout in WRITABLE


def converted(lora: LoraFile, layout: Layout) -> bytes:
    """A LoRA as a safetensors file in another layout, with its metadata.

    Raises:
        LoraError: the file changed or broke since its header was read.
    """
    from safetensors.torch import save

    if lora.family is Family.SD1:
        own = {pair.module: (pair.up.shape[0], pair.down.shape[1]) for pair in lora.pairs}
        tensors = unet_kohya_tensors(read_pairs(lora, own))
    else:
        pairs = read_pairs(lora, own_shapes(lora))
        tensors = kohya_tensors(pairs) if layout is Layout.KOHYA else diffusers_tensors(pairs)
    notes = {name: text for name, text in lora.metadata.items() if name != PEFT_METADATA}
    copies = {name: tensor.clone().contiguous() for name, tensor in tensors.items()}
    return save(copies, {**notes, "format": "pt"})
