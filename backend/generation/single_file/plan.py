"""What becomes of each tensor of a single file, decided by headers alone and refused by name."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from backend.generation.errors import ModelError
from backend.generation.layout import PICKLES, weight_files
from backend.generation.lora.layouts import Family, find_layout
from backend.generation.models import ModelEntry
from backend.generation.single_file.pieces import (
    Piece,
    Shapes,
    clip_piece,
    flat,
    flux_piece,
    unet_piece,
    vae_piece,
)
from backend.generation.weights import StoredTensor, read_tensors

Find = Callable[[str, Shapes], Piece | None]

_PARTS: Mapping[Family, Mapping[str, tuple[tuple[str, ...], Find]]] = MappingProxyType(
    {
        Family.FLUX: {
            "transformer": (
                ("model.diffusion_model.", "diffusion_model.", "transformer.", ""),
                flux_piece,
            )
        },
        Family.SD1: {
            "unet": (("model.diffusion_model.",), unet_piece),
            "vae": (("first_stage_model.",), vae_piece),
            "text_encoder": (("cond_stage_model.transformer.", "cond_stage_model."), clip_piece),
        },
    }
)
"""For each part: with what its tensors may begin, and where they lie after that. The first part
is the one that a file must hold."""
_BUFFERS = ("position_ids",)
"""Numbers that follow from the settings; files may leave them out."""
_FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")


@dataclass(frozen=True)
class Move:
    """A tensor of diffusers' `name` and `shape`, taken from rows of one of the file."""

    name: str
    shape: tuple[int, ...]
    source: StoredTensor
    piece: Piece


@dataclass(frozen=True)
class Part:
    """A component that the file brings, and all of its tensors."""

    component: str
    moves: tuple[Move, ...]


def plan_parts(file: Path, base: ModelEntry) -> tuple[Part, ...]:
    """The components that a file brings for the model that it was made from.

    A component of which the file has nothing stays that of the base.

    Raises:
        ModelError: a pickle, a LoRA, or tensors that are not those of the base, by name.
    """
    if file.suffix.lower() in PICKLES:
        raise ModelError(
            f"The file {file.name} is a pickle, which can run any program when it is opened: get "
            "the model as safetensors."
        )
    stored = read_tensors(file)
    if find_layout(tensor.name for tensor in stored) is not None:
        raise ModelError(
            f"The file {file.name} is a LoRA, not a model: add it to the LoRA shelf in Generate."
        )
    found = []
    for component, (prefixes, find) in _PARTS[base.family].items():
        tensors = _beginning_with(stored, prefixes)
        if tensors:
            found.append(_plan_part(file, base, component, tensors, find))
        elif not found:
            raise ModelError(_foreign(file, base))
    return tuple(found)


def _beginning_with(
    stored: Sequence[StoredTensor], prefixes: Sequence[str]
) -> dict[str, StoredTensor]:
    """By flat name, those under the first prefix that there is."""
    for prefix in prefixes:
        under = {
            flat(tensor.name.removeprefix(prefix)): tensor
            for tensor in stored
            if tensor.name.startswith(prefix)
        }
        if under:
            return under
    return {}


def _plan_part(
    file: Path, base: ModelEntry, component: str, tensors: Mapping[str, StoredTensor], find: Find
) -> Part:
    wanted = {
        tensor.name: tensor.shape
        for path in weight_files(base.folder / component)
        for tensor in read_tensors(path)
        if not tensor.name.endswith(_BUFFERS)
    }
    named_alike = sum(flat(name) in tensors for name in wanted) > len(wanted) / 2
    moves: list[Move] = []
    for name, shape in wanted.items():
        piece = Piece(name) if named_alike else find(name, wanted)
        source = tensors.get(flat(piece.source)) if piece is not None else None
        if piece is None or source is None:
            raise ModelError(_foreign(file, base) if not moves else _missing(file, base, name))
        _check_shape(file, base, source, piece, shape)
        moves.append(Move(name, shape, source, piece))
    used = {flat(move.piece.source) for move in moves}
    extra = [
        tensor.name
        for name, tensor in tensors.items()
        if name not in used and not name.endswith(_BUFFERS)
    ]
    if extra:
        raise ModelError(
            f"The file {file.name} holds {extra[0]}, which {base.title} has no place for: choose "
            "the model that it was made from."
        )
    return Part(component, tuple(moves))


def _check_shape(
    file: Path, base: ModelEntry, source: StoredTensor, piece: Piece, shape: tuple[int, ...]
) -> None:
    expected = (piece.total or shape[0], *shape[1:])
    same = _without_ones(source.shape) == _without_ones(expected)
    if not same or math.prod(source.shape) != math.prod(expected):
        raise ModelError(
            f"In the file {file.name}, {source.name} is {_sides(source.shape)} and {base.title} "
            f"has {_sides(expected)} there: choose the model that it was made from."
        )
    if source.dtype not in _FLOATS:
        raise ModelError(
            f"In the file {file.name}, {source.name} is stored as {source.dtype}, which is no "
            "number that is read here: get the model in bf16, fp16 or fp32."
        )


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A convolution of one pixel and a linear layer hold the same numbers."""
    kept = list(shape)
    while kept and kept[-1] == 1:
        kept.pop()
    return tuple(kept)


def _sides(shape: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in shape) or "a single number"


def _foreign(file: Path, base: ModelEntry) -> str:
    return (
        f"The file {file.name} holds no {base.kind.full_name} that is known here: choose the model "
        "that it was made from, or get it as a folder in diffusers layout."
    )


def _missing(file: Path, base: ModelEntry, name: str) -> str:
    return (
        f"The file {file.name} is incomplete, or not made from {base.title}: it has nothing for "
        f"{name}. Choose the model that it was made from, or get the file again."
    )
