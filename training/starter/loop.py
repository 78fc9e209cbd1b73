"""The optimiser loop that the flow and its guidance distillation share, resumable at any step.

Muon (Jordan et al. 2024; `torch.optim.Muon`) updates the matrices of the transformer blocks, AdamW
everything else. A step's batch, noise and learning rate depend on its number alone, so that a
stopped run goes on to the same weights.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import FluxTransformer2DModel
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from training.starter.checkpoints import load_checkpoint, save_checkpoint
from training.starter.progress import log_event

WARMUP = 200


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
    loss_at: Callable[[int], Tensor],
    evaluate: Callable[[nn.Module], Mapping[str, float]],
) -> FluxTransformer2DModel:
    """Minimise `loss_at(step)`, or go on doing so; returns the frozen moving average of `model`.

    `evaluate` takes the moving average and adds its figures to the log at every checkpoint.
    """
    average = AveragedModel(model, multi_avg_fn=warmed_ema(loop.ema_decay))
    optimizers = make_optimizers(model, loop.learning_rate, loop.muon_learning_rate)
    modules: dict[str, nn.Module] = {"model": model, "average": average}
    step = load_checkpoint(
        loop.folder, identity=loop.identity, modules=modules, optimizers=optimizers
    )
    running = 0.0
    while step < loop.steps:
        for optimizer in optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * learning_rate_factor(
                    step, loop.steps, warmup=min(WARMUP, loop.steps // 10), level=0.5
                )
            optimizer.zero_grad(set_to_none=True)
        loss = loss_at(step)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers.values():
            optimizer.step()
        average.update_parameters(model)
        running = 0.98 * running + 0.02 * float(loss.detach()) if running else float(loss.detach())
        step += 1
        if step % loop.checkpoint_every == 0 or step == loop.steps:
            save_checkpoint(
                loop.folder,
                step=step,
                identity=loop.identity,
                modules=modules,
                optimizers=optimizers,
            )
            log_event(loop.log, loop.name, step=step, loss=running, **evaluate(average.module))
    trained: FluxTransformer2DModel = average.module
    return trained.requires_grad_(requires_grad=False).eval()


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


def warmed_ema(decay: float):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """An averaging rule for `AveragedModel` whose decay grows from 0 to `decay`."""

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], seen: Tensor | int) -> None:
        count = int(seen)
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + count) / (10 + count)))

    return update
