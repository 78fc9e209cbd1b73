"""The LoRA on the base's denoiser, in fp32, under the names that diffusers writes."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
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


def compute_directly(
    model: Any, shape: LoraShape, groups: Sequence[TargetGroup], device: torch.device
) -> int:
    """Let the linear layers of a LoRA compute it without peft's copies; returns how many let it be
    part of their own weight.

    On a CPU a layer computes `(W + s B A) x` where that is less work: the sum of a small layer
    costs nothing beside its products with thousands of tokens, in exchange its gradient is one
    product of the layer's size, and only fp32 weights can afford the rounding. All others add
    `s B (A x)` to `W x` within the last product, in the precision of `x`, of which peft keeps a
    copy in fp32 and scales and adds in passes of their own.
    """
    count = 0
    for group in groups:
        for layer, outside in zip(group.layers, group.outside, strict=True):
            module = model.get_submodule(layer)
            if not isinstance(module.base_layer, nn.Linear):
                continue
            beside = 3 * shape.rank * (1 / group.inside + 1 / outside)
            within = (
                device.type == "cpu"
                and type(module.base_layer) is nn.Linear
                and module.base_layer.weight.dtype is torch.float32
                and beside > 1
            )
            kind: Any = type(module)
            module.__class__ = _computing(kind, _within if within else _beside)
            count += within
    return count


def compute_as_peft(model: nn.Module) -> None:
    """Undo `compute_directly`."""
    for module in model.modules():
        if type(module).forward in (_within, _beside):
            module.__class__ = type(module).__bases__[0]


@cache
def _computing(kind: type, forward: Callable[..., Tensor]) -> type:
    """A layer's class with another forward: torch.compile then sees one code for all blocks, where
    a function kept on each layer would have it compile every block anew."""
    return type(kind.__name__, (kind,), {"forward": forward})


def _within(module: Any, x: Tensor, *_others: object, **_named: object) -> Tensor:
    base = module.base_layer
    up, down = module.lora_B[ADAPTER].weight, module.lora_A[ADAPTER].weight
    weight = torch.addmm(base.weight, up, down, alpha=module.scaling[ADAPTER])
    return nn.functional.linear(x, weight, base.bias)


def _beside(module: Any, x: Tensor, *_others: object, **_named: object) -> Tensor:
    given: Tensor = module.base_layer(x)
    down, up = (one[ADAPTER].weight.to(given.dtype) for one in (module.lora_A, module.lora_B))
    low = nn.functional.linear(x, down)
    both = torch.addmm(
        given.flatten(0, -2), low.flatten(0, -2), up.t(), alpha=module.scaling[ADAPTER]
    )
    return both.view(given.shape)


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
