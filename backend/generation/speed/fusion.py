"""LoRAs fused into the weights, and taken out again without a trace."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from backend.generation.layout import weight_files
from backend.generation.lora.adapters import refuse_infinite
from backend.generation.lora.choice import ChosenLora
from backend.generation.lora.conversion import read_pairs
from backend.generation.lora.fit import layer_shapes
from backend.generation.models import ModelEntry

if TYPE_CHECKING:
    import torch

    Pair = tuple[torch.Tensor, torch.Tensor]

Acting = tuple[tuple[str, float], ...]
"""Hash and weight of each LoRA, in the order of the request."""


def acting_loras(chosen: Sequence[ChosenLora]) -> Acting:
    """Those of weight 0 do nothing and are left out."""
    return tuple((lora.view.hash, lora.weight) for lora in chosen if lora.weight != 0)


class FusedLoras:
    """Guards what is fused into a transformer.

    Layers are always computed anew from the model's own files, in float32, and rounded once:
    changing LoRAs back and forth never adds up errors, and without any the weights are as loaded.
    Values change in place, so compiled code stays valid.
    """

    def __init__(self, transformer: Any, entry: ModelEntry) -> None:
        self._transformer = transformer
        self._entry = entry
        self._acting: Acting | None = ()
        self._touched: frozenset[str] = frozenset()

    def apply(self, chosen: Sequence[ChosenLora]) -> None:
        """Make exactly these LoRAs act, each with its weight.

        Raises:
            LoraError: a file changed or broke, or holds numbers too large for the precision.
        """
        acting = acting_loras(chosen)
        if acting == self._acting:
            return
        added = self._added([lora for lora in chosen if lora.weight != 0])
        layers = self._touched | added.keys()
        self._acting, self._touched = None, layers
        for layer, stored in _stored_weights(self._entry, layers):
            self._set(layer, stored, added.get(layer, []))
        self._acting, self._touched = acting, frozenset(added)

    def _added(self, loras: Sequence[ChosenLora]) -> "dict[str, list[tuple[float, Pair]]]":
        added: dict[str, list[tuple[float, Pair]]] = {}
        shapes = layer_shapes(self._entry)
        for lora in loras:
            pairs = read_pairs(lora.file, shapes)
            tensors = (tensor for pair in pairs.values() for tensor in pair)
            refuse_infinite(lora, self._entry, tensors, self._transformer.dtype)
            for layer, pair in pairs.items():
                added.setdefault(layer, []).append((lora.weight, pair))
        return added

    def _set(
        self, layer: str, stored: "torch.Tensor", added: "Sequence[tuple[float, Pair]]"
    ) -> None:
        import torch

        from backend.generation.speed.float8 import Float8Linear

        module = self._transformer.get_submodule(layer)
        parameter = module.weight
        value = stored.to(parameter.device, torch.float32)
        for weight, (down, up) in added:
            product = up.to(value.device, torch.float32) @ down.to(value.device, torch.float32)
            value = value + weight * product
        if isinstance(module, Float8Linear):
            module.store(value)
            return
        with torch.no_grad():
            parameter.copy_(value)


def _stored_weights(
    entry: ModelEntry, layers: frozenset[str]
) -> "Iterator[tuple[str, torch.Tensor]]":
    from safetensors import safe_open

    for path in weight_files(entry.folder / "transformer"):
        with safe_open(path, framework="pt") as file:
            names = {name.removesuffix(".weight"): name for name in file.keys()}  # noqa: SIM118
            for layer in sorted(names.keys() & layers):
                yield layer, file.get_tensor(names[layer])
