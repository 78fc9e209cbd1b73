"""Guidance distillation: one forward pass learns what classifier-free guidance needs two for.

As FLUX.1-dev, the released transformer takes the guidance scale as an input (Meng et al., On
Distillation of Guided Diffusion Models, CVPR 2023). The teacher is the trained flow itself, steered
by the reader towards the asymmetry, border and colours that the caption states.
"""

import copy
from dataclasses import replace

import torch
from diffusers import FluxTransformer2DModel
from torch import Tensor, nn
from torch.nn import functional as F

from training.starter.config import RunFolder, StarterConfig
from training.starter.flow import (
    Conditioning,
    FlowData,
    condition,
    pack,
    training_batch,
    unpack,
    velocity,
)
from training.starter.loop import Loop, optimise
from training.starter.reader import AttributeReader, steering
from training.starter.text import TextEncoders

STREAM = 31


def distil_guidance(
    config: StarterConfig,
    run: RunFolder,
    encoders: TextEncoders,
    data: FlowData,
    teacher: FluxTransformer2DModel,
    reader: AttributeReader,
) -> FluxTransformer2DModel:
    """Train, or take up, the student; returns its moving average in evaluation mode."""
    student = copy.deepcopy(teacher).requires_grad_(requires_grad=True).train()
    empty = condition(encoders, [""], guidance=1.0)
    loop = Loop(
        name="guidance",
        folder=run.guidance,
        log=run.log,
        identity={
            "seed": config.seed,
            "steps": config.guidance_steps,
            "range": config.guidance_range,
            "strength": [config.guidance_strength, config.reader_strength],
            "shift": config.flow_shift,
        },
        steps=config.guidance_steps,
        checkpoint_every=config.checkpoint_every,
        ema_decay=0.99,
        learning_rate=config.guidance_learning_rate,
        muon_learning_rate=config.guidance_learning_rate,
    )

    def loss_at(step: int) -> Tensor:
        batch = training_batch(config, encoders, data, STREAM, step)
        noisy = torch.lerp(batch.clean, batch.noise, batch.sigmas[:, None, None])
        generator = torch.Generator().manual_seed(config.seed * 1_000_033 + step)
        low, high = config.guidance_range
        scales = low + (high - low) * torch.rand(len(noisy), generator=generator)
        target = guided_velocity(
            config, teacher, noisy, batch.sigmas, batch.conditioning, empty, scales
        )
        push = pack(steering(reader, unpack(noisy), batch.sigmas, batch.stated))
        target = target + steering_weights(config, scales, push, target) * push
        wanted = replace(batch.conditioning, guidance=scales)
        return F.mse_loss(velocity(student, noisy, batch.sigmas, wanted), target)

    return optimise(loop, student, loss_at, lambda _average: {})


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


def steering_weights(config: StarterConfig, scales: Tensor, push: Tensor, target: Tensor) -> Tensor:
    """Weights (B, 1, 1) of the reader's push: none at a scale of 1, and at most as much as keeps
    it below `config.most_steering` of the velocity's own size.
    """
    wanted = config.reader_strength * (scales - 1)
    size = push.flatten(1).norm(dim=1).clamp(min=1e-6)
    most = config.most_steering * target.flatten(1).norm(dim=1) / size
    return torch.minimum(wanted, most)[:, None, None]
