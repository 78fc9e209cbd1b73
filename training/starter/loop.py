"""The optimiser loop that the flow and its guidance distillation share, resumable at any step.

Muon (Jordan et al. 2024; `torch.optim.Muon`) updates the matrices of the transformer blocks, AdamW
everything else. A step's batch, noise and learning rate depend on its number alone, so that a
stopped run goes on to the same weights.
"""

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from diffusers import FluxTransformer2DModel
from torch import Tensor, nn

from training.starter.checkpoints import load_checkpoint, save_checkpoint
from training.starter.progress import log_event

WARMUP = 200
Draft = TypeVar("Draft")


@dataclass(frozen=True)
class Loop:
    """What one stage of velocity training is called, where it is kept and how long it takes."""

    name: str
    folder: Path
    log: Path
    identity: Mapping[str, object]
    steps: int
    checkpoint_every: int
    ema_decay: float
    learning_rate: float
    muon_learning_rate: float


def optimise(
    loop: Loop,
    model: FluxTransformer2DModel,
    drafts: Callable[[range], Iterator[Draft]],
    loss_of: Callable[[int, Draft], Tensor],
    evaluate: Callable[[nn.Module], Mapping[str, float]],
) -> FluxTransformer2DModel:
    """Minimise `loss_of(step, draft)`, or go on doing so; returns the frozen moving average.

    `drafts` makes what the steps of a range need before the device is asked; `evaluate` takes the
    moving average and adds its figures to the log at every checkpoint.
    """
    average = copy.deepcopy(model)
    optimizers = make_optimizers(model, loop.learning_rate, loop.muon_learning_rate)
    modules: dict[str, nn.Module] = {"model": model, "average": average}
    first = load_checkpoint(
        loop.folder, identity=loop.identity, modules=modules, optimizers=optimizers
    )
    running: Tensor | None = None
    steps = range(first, loop.steps)
    for step, draft in zip(steps, drafts(steps), strict=True):
        set_learning_rates(optimizers, step, loop.steps)
        loss = loss_of(step, draft)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        follow(average, model, min(loop.ema_decay, (1 + step) / (10 + step)))
        loss = loss.detach()
        running = loss if running is None else torch.lerp(running, loss, 0.02)
        done = step + 1
        if done % loop.checkpoint_every == 0 or done == loop.steps:
            save_checkpoint(
                loop.folder,
                step=done,
                identity=loop.identity,
                modules=modules,
                optimizers=optimizers,
            )
            log_event(loop.log, loop.name, step=done, loss=float(running), **evaluate(average))
    return average.requires_grad_(requires_grad=False).eval()


def set_learning_rates(
    optimizers: Mapping[str, torch.optim.Optimizer], step: int, steps: int
) -> None:
    """Each group's share of its peak at a step."""
    factor = learning_rate_factor(step, steps, warmup=min(WARMUP, steps // 10), level=0.5)
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * factor


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the moving average towards the model."""
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)


def make_optimizers(
    model: FluxTransformer2DModel, learning_rate: float, muon_learning_rate: float
) -> dict[str, torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, AdamW for embeddings, norms, biases and projections."""
    named = list(model.named_parameters())
    matrices = [value for name, value in named if value.ndim == 2 and "blocks." in name]
    others = [value for name, value in named if value.ndim != 2 or "blocks." not in name]
    muon = torch.optim.Muon(
        matrices, lr=muon_learning_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"
    )
    adamw = torch.optim.AdamW(
        others, lr=learning_rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True
    )
    optimizers: dict[str, torch.optim.Optimizer] = {"muon": muon, "adamw": adamw}
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers


def learning_rate_factor(step: int, steps: int, *, warmup: int, level: float = 0.0) -> float:
    """Linear over `warmup` steps, level for that share of all, then a cosine to a fiftieth."""
    falling = max(0.0, (step / steps - level) / (1 - level))
    cosine = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * falling))
    return min(1.0, (step + 1) / max(1, warmup)) * cosine
