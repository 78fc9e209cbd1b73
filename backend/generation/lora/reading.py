"""A LoRA file taken apart by its header alone, and refused where it is not sound."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from backend.generation.errors import LoraError, ModelError
from backend.generation.layout import PICKLES
from backend.generation.lora.finite import FLOATS, has_nan_or_infinity
from backend.generation.lora.flux_modules import model_layers
from backend.generation.lora.layouts import (
    TEXT_ENCODER,
    Family,
    Layout,
    Part,
    find_family,
    find_layout,
    read_key,
)
from backend.generation.weights import StoredTensor, read_metadata, read_tensors

_PICKLE_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")
"""A pickle of protocol 2 to 5, and the ZIP archive that torch.save makes of one."""


@dataclass(frozen=True)
class LoraPair:
    """What is added to one module: `up` (out, rank) times `down` (rank, in), times alpha / rank.

    `module` is named as in the file; without `alpha` the factor is 1.
    """

    module: str
    down: StoredTensor
    up: StoredTensor
    alpha: StoredTensor | None

    @property
    def rank(self) -> int:
        """The width between the two."""
        return self.down.shape[0]


@dataclass(frozen=True)
class LoraFile:
    """The pairs of a file in the order of their modules' names, and what its writer noted."""

    path: Path
    layout: Layout
    family: Family
    pairs: tuple[LoraPair, ...]
    metadata: Mapping[str, str]


def read_lora(path: Path) -> LoraFile:
    """What a LoRA file holds, from its header; no tensor is read.

    Raises:
        LoraError: a pickle, truncated, no safetensors file, no LoRA, with a key that is unknown,
            half a pair, or shapes that do not fit each other.
    """
    tensors = _tensors(path)
    layout = find_layout(tensor.name for tensor in tensors)
    if layout is None:
        first = f": its first tensor is {tensors[0].name}" if tensors else ""
        raise LoraError(
            f"The file {path.name} holds no LoRA that is known here{first}. Save it in kohya, "
            "diffusers or XLabs layout."
        )
    parts = _parts(path, layout, tensors)
    pairs = tuple(_pair(path, module, parts[module]) for module in sorted(parts))
    family = find_family({pair.module: pair.down.shape[1] for pair in pairs})
    lora = LoraFile(path, layout, family, pairs, read_metadata(path))
    if family is Family.FLUX:
        _check_flux(lora)
    return lora


def check_numbers(lora: LoraFile) -> None:
    """Whether every number is finite; reads the whole file.

    Raises:
        LoraError: naming the first tensor with NaN or infinity.
    """
    for pair in lora.pairs:
        for tensor in (pair.down, pair.up, pair.alpha):
            if tensor is not None and has_nan_or_infinity(tensor):
                raise LoraError(
                    f"The LoRA {lora.path.name} holds NaN or infinity in {tensor.name}: its "
                    "training went wrong, or the file is damaged. Use an earlier checkpoint."
                )


def _tensors(path: Path) -> list[StoredTensor]:
    """In the order of the file."""
    if path.suffix.lower() in PICKLES or _starts_as_pickle(path):
        raise LoraError(
            f"The file {path.name} is a pickle, which can run any program when it is opened: get "
            "the LoRA as .safetensors."
        )
    try:
        tensors = read_tensors(path)
        with safe_open(path, framework="numpy"):  # the reference reader, strict about gaps
            return tensors
    except ModelError as error:
        raise LoraError(str(error)) from error
    except (SafetensorError, OSError) as error:
        raise LoraError(
            f"The file {path.name} is damaged: copy or download it again as .safetensors."
        ) from error


def _starts_as_pickle(path: Path) -> bool:
    """Safetensors start with a length whose bytes may look like a pickle: the header decides."""
    try:
        with path.open("rb") as stream:
            start = stream.read(9)
    except OSError:
        return False
    return start.startswith(_PICKLE_STARTS) and start[8:] != b"{"


def _parts(
    path: Path, layout: Layout, tensors: Sequence[StoredTensor]
) -> dict[str, dict[Part, StoredTensor]]:
    parts: dict[str, dict[Part, StoredTensor]] = {}
    for tensor in tensors:
        name = read_key(layout, tensor.name)
        if name is None:
            raise LoraError(
                f"The LoRA {path.name} is in {layout} layout but holds {tensor.name}, which "
                "nothing here can apply: save it as a plain LoRA, without that."
            )
        parts.setdefault(name.module, {})[name.part] = tensor
    return parts


def _pair(path: Path, module: str, parts: Mapping[Part, StoredTensor]) -> LoraPair:
    down, up, alpha = parts.get("down"), parts.get("up"), parts.get("alpha")
    if down is None or up is None:
        there = next(iter(parts.values())).name
        lacks = "its down half" if down is None else "its up half"
        raise LoraError(
            f"The LoRA {path.name} is incomplete, {there} is there without {lacks}: copy or "
            "export the file again."
        )
    for tensor in (down, up):
        if tensor.dtype not in FLOATS:
            raise LoraError(
                f"The LoRA {path.name} stores {tensor.name} as {tensor.dtype}: save it in "
                "float32, float16 or bfloat16."
            )
    dimensions = len(down.shape)
    whole = dimensions in (2, 4) and len(up.shape) == dimensions and down.elements and up.elements
    if not whole or up.shape[1] != down.shape[0]:
        raise LoraError(
            f"The two halves of {module} in the LoRA {path.name} do not fit each other, "
            f"{_shape(down)} and {_shape(up)}: the file is damaged, export it again."
        )
    if alpha is not None and math.prod(alpha.shape) != 1:
        raise LoraError(
            f"The LoRA {path.name} has {alpha.elements:,} numbers as {alpha.name}, where one "
            "belongs: export it again."
        )
    return LoraPair(module, down, up, alpha)


def _check_flux(lora: LoraFile) -> None:
    for pair in lora.pairs:
        if TEXT_ENCODER.match(pair.module):
            raise LoraError(
                f"The LoRA {lora.path.name} also changes the text encoder ({pair.down.name}), "
                "which is not applied here: train or export it for the transformer alone."
            )
        if not model_layers(lora.layout, pair.module) or len(pair.down.shape) != 2:
            raise LoraError(
                f"The LoRA {lora.path.name} changes {pair.module}, which no FLUX has: it was made "
                "for another kind of model."
            )


def _shape(tensor: StoredTensor) -> str:
    return " x ".join(str(side) for side in tensor.shape) or "a single number"
