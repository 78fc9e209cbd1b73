"""Guidance distillation: one forward pass learns what classifier-free guidance needs two for.

As FLUX.1-dev, the released transformer takes the guidance scale as an input (Meng et al., On
Distillation of Guided Diffusion Models, CVPR 2023). The teacher is the trained flow itself.
"""

import copy

import torch
from diffusers import FluxTransformer2DModel
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from training.starter.checkpoints import load_checkpoint, save_checkpoint
from training.starter.config import RunFolder, StarterConfig
from training.starter.flow import (
    Conditioning,
    FlowData,
    condition,
    sample_sigmas,
    set_learning_rate,
    training_batch,
    velocity,
    warmed_ema,
)
from training.starter.progress import log_event
from training.starter.text import TextEncoders

STREAM = 31


def distil_guidance(
    config: StarterConfig,
    run: RunFolder,
    encoders: TextEncoders,
    data: FlowData,
    teacher: FluxTransformer2DModel,
) -> FluxTransformer2DModel:
    """Train, or take up, the student; returns its moving average in evaluation mode."""
    student = copy.deepcopy(teacher).requires_grad_(requires_grad=True).train()
    average = AveragedModel(student, multi_avg_fn=warmed_ema(0.995))
    optimizer = torch.optim.AdamW(
        student.parameters(), lr=config.guidance_learning_rate, weight_decay=0.0, fused=True
    )
    identity = {
        "seed": config.seed,
        "steps": config.guidance_steps,
        "range": config.guidance_range,
        "strength": config.guidance_strength,
    }
    modules: dict[str, nn.Module] = {"model": student, "average": average}
    step = load_checkpoint(run.guidance, identity=identity, modules=modules, optimizer=optimizer)
    empty = condition(encoders, [""], guidance=1.0)
    while step < config.guidance_steps:
        set_learning_rate(optimizer, config.guidance_learning_rate, step, config.guidance_steps)
        generator = torch.Generator().manual_seed(config.seed * 1_000_033 + step)
        clean, conditioning = training_batch(config, encoders, data, STREAM, step)
        sigmas = sample_sigmas(len(clean), clean.shape[1], generator)
        noise = torch.randn(clean.shape, generator=generator)
        noisy = torch.lerp(clean, noise, sigmas[:, None, None])
        low, high = config.guidance_range
        scales = low + (high - low) * torch.rand(len(clean), generator=generator)
        target = guided_velocity(config, teacher, noisy, sigmas, conditioning, empty, scales)
        wanted = Conditioning(conditioning.states, conditioning.pooled, scales)
        loss = F.mse_loss(velocity(student, noisy, sigmas, wanted), target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        average.update_parameters(student)
        step += 1
        if step % config.checkpoint_every == 0 or step == config.guidance_steps:
            save_checkpoint(
                run.guidance, step=step, identity=identity, modules=modules, optimizer=optimizer
            )
            log_event(run.log, "guidance", step=step, loss=float(loss))
    trained: FluxTransformer2DModel = average.module
    return trained.requires_grad_(requires_grad=False).eval()


@torch.no_grad()
def guided_velocity(
    config: StarterConfig,
    teacher: nn.Module,
    noisy: Tensor,
    sigmas: Tensor,
    conditioning: Conditioning,
    empty: Conditioning,
    scales: Tensor,
) -> Tensor:
    """`v_empty + w (v_caption - v_empty)` with `w = 1 + strength (scale - 1)`."""
    count = len(noisy)
    both = Conditioning(
        torch.cat([conditioning.states, empty.states.expand(count, -1, -1)]),
        torch.cat([conditioning.pooled, empty.pooled.expand(count, -1)]),
        torch.ones(2 * count),
    )
    with_caption, without = velocity(teacher, noisy.repeat(2, 1, 1), sigmas.repeat(2), both).chunk(
        2
    )
    weights = (1 + config.guidance_strength * (scales - 1))[:, None, None]
    return torch.lerp(without, with_caption, weights)
