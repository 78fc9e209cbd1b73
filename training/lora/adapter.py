"""The LoRA on the base's denoiser, in fp32, under the names that diffusers writes."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from backend.finetuning.config import LoraShape
from backend.finetuning.errors import FinetuningError
from backend.finetuning.targets import TargetGroup

ADAPTER = "default"
_DOWN, _UP = "lora_A", "lora_B"


@dataclass
class Lora:
    """The trained numbers.

    parameters: by the key that they have in a file, shared ones once; aliases: the keys of layers
    that share what goes down with another, to the key that holds it.
    """

    parameters: Mapping[str, nn.Parameter]
    aliases: Mapping[str, str]

    @property
    def tensors(self) -> list[Tensor]:
        """All of them, in a fixed order."""
        return [*self.parameters.values()]

    def state(self, values: Sequence[Tensor] | None = None) -> dict[str, Tensor]:
        """The numbers, or others in their place, for a file; what is shared is there for each."""
        given = self.tensors if values is None else values
        state = {
            key: value.detach().cpu().contiguous()
            for key, value in zip(self.parameters, given, strict=True)
        }
        return state | {key: state[held].clone() for key, held in self.aliases.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take numbers of a file; raises KeyError where one is missing."""
        with torch.no_grad():
            for key, parameter in self.parameters.items():
                parameter.copy_(state[key])

    @contextmanager
    def replaced(self, values: Sequence[Tensor] | None) -> Iterator[None]:
        """Other numbers, such as the moving average, while the block runs; None changes nothing."""
        if values is None:
            yield
            return
        kept = [parameter.detach().clone() for parameter in self.tensors]
        try:
            self._put(values)
            yield
        finally:
            self._put(kept)

    @torch.no_grad()
    def _put(self, values: Sequence[Tensor]) -> None:
        for parameter, value in zip(self.tensors, values, strict=True):
            parameter.copy_(value)


def add_lora(
    model: Any, shape: LoraShape, groups: Sequence[TargetGroup], component: str, seed: int
) -> Lora:
    """Put a LoRA that changes nothing yet on the layers of the groups, in fp32 whatever the base.

    What goes down is drawn as peft does, evenly in +-1 / sqrt(inputs), group by group by a
    generator of its own; what goes up is zero. A group of a fused layout shares what goes down.

    Raises:
        FinetuningError: the model lacks a layer.
    """
    from peft import LoraConfig

    layers = [layer for group in groups for layer in group.layers]
    try:
        model.add_adapter(
            LoraConfig(
                r=shape.rank,
                lora_alpha=shape.alpha,  # type: ignore[arg-type]  # it is divided by the rank
                lora_dropout=0.0,
                target_modules=layers,
                init_lora_weights=False,
            )
        )
    except ValueError as error:
        raise FinetuningError(
            "The base model lacks the layers of the chosen target set: choose another set."
        ) from error
    parameters: dict[str, nn.Parameter] = {}
    aliases: dict[str, str] = {}
    for number, group in enumerate(groups):
        first = model.get_submodule(group.layers[0])
        down = first.lora_A[ADAPTER]
        _draw(down, torch.Generator().manual_seed(seed * 1_000_003 + number))
        for layer in group.layers:
            module = model.get_submodule(layer)
            key = f"{component}.{layer}.{_DOWN}.weight"
            if shape.fused:
                module.lora_A[ADAPTER] = down
            elif module is not first:
                raise FinetuningError("Only a fused layout has groups of several layers.")
            if module is first:
                parameters[key] = down.weight
            else:
                aliases[key] = f"{component}.{group.layers[0]}.{_DOWN}.weight"
            up = module.lora_B[ADAPTER]
            up.weight.data = torch.zeros_like(up.weight, dtype=torch.float32)
            parameters[f"{component}.{layer}.{_UP}.weight"] = up.weight
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(f".{_DOWN}." in name or f".{_UP}." in name)
    return Lora(parameters, aliases)


def add_where_cheaper(model: Any, shape: LoraShape, groups: Sequence[TargetGroup]) -> int:
    """Let layers compute `(W + s B A) x` in one product instead of `W x + s B (A x)` in three,
    where that is less work; returns how many do.

    The sum of a small layer costs nothing beside its products with thousands of tokens; in
    exchange its gradient is one product of the layer's size. Both are the same but for rounding,
    which only fp32 weights can afford.
    """
    count = 0
    for group in groups:
        for layer, outside in zip(group.layers, group.outside, strict=True):
            module = model.get_submodule(layer)
            weight = module.base_layer.weight
            beside = 3 * shape.rank * (1 / group.inside + 1 / outside)
            if (
                type(module.base_layer) is nn.Linear
                and weight.dtype is torch.float32
                and beside > 1
            ):
                module.forward = partial(_added, module)
                count += 1
    return count


def _added(module: Any, x: Tensor, *_others: object, **_named: object) -> Tensor:
    base = module.base_layer
    up, down = module.lora_B[ADAPTER].weight, module.lora_A[ADAPTER].weight
    weight = torch.addmm(base.weight, up, down, alpha=module.scaling[ADAPTER])
    return nn.functional.linear(x, weight, base.bias)


@torch.no_grad()
def norms(lora: Lora) -> tuple[Tensor, Tensor]:
    """The norm of all numbers, and of those that go up alone, which begin at zero."""
    ups: list[Tensor] = [value for key, value in lora.parameters.items() if f".{_UP}." in key]
    each = torch.stack(torch._foreach_norm(lora.tensors))  # noqa: SLF001 - torch's own way
    return each.norm(), torch.stack(torch._foreach_norm(ups)).norm()  # noqa: SLF001


def _draw(down: nn.Module, generator: torch.Generator) -> None:
    weight: nn.Parameter = down.weight  # type: ignore[assignment]
    bound = 1 / math.sqrt(weight.shape[1])
    drawn = torch.rand(weight.shape, generator=generator) * (2 * bound) - bound
    weight.data = drawn.to(weight.device)
