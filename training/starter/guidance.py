"""Guidance distillation: one forward pass learns what guidance of several kinds needs six for.

As FLUX.1-dev, the released transformer takes the guidance scale as an input (Meng et al., On
Distillation of Guided Diffusion Models, CVPR 2023). The teacher is the trained flow itself, guided
away from the empty caption (Ho & Salimans, Classifier-Free Diffusion Guidance, 2022) and, for
asymmetry and border, away from the same caption with the other values: a small flow knows what
tells these apart long before it shows them strongly enough.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from diffusers import FluxTransformer2DModel
from torch import Tensor, nn
from torch.nn import functional as F

from training.starter.ahead import made_ahead
from training.starter.config import RunFolder, StarterConfig
from training.starter.corpus import AXES
from training.starter.flow import (
    Conditioning,
    Families,
    FlowData,
    FlowDraft,
    caption_of,
    choose_families,
    condition,
    seeded,
    training_batch,
    velocity,
)
from training.starter.loop import Loop, optimise
from training.starter.text import TextEncoders, Tokens

STREAM = 31


@dataclass(frozen=True)
class GuidanceDraft:
    """A step's phantoms, and the captions that each is guided away from."""

    flow: FlowDraft
    opposed: list[Tokens]


def distil_guidance(
    config: StarterConfig,
    run: RunFolder,
    encoders: TextEncoders,
    data: FlowData,
    teacher: FluxTransformer2DModel,
    *,
    workers: int = 0,
) -> FluxTransformer2DModel:
    """Train, or take up, the student; returns its moving average in evaluation mode."""
    student = copy.deepcopy(teacher).requires_grad_(requires_grad=True).train()
    config = replace(config, flow_batch=config.guidance_batch)
    strengths = (config.guidance_strength, config.asymmetry_strength, config.border_strength)
    loop = Loop(
        name="guidance",
        folder=run.guidance,
        log=run.log,
        identity={
            "seed": config.seed,
            "steps": config.guidance_steps,
            "range": config.guidance_range,
            "strengths": strengths,
            "shift": config.flow_shift,
        },
        steps=config.guidance_steps,
        checkpoint_every=config.checkpoint_every,
        ema_decay=0.98,
        learning_rate=config.guidance_learning_rate,
        muon_learning_rate=config.guidance_learning_rate,
    )

    def draft(step: int) -> GuidanceDraft:
        families = choose_families(config, data, STREAM, step)
        said = encoders.tokens(families.captions())
        opposed = [encoders.tokens(captions) for captions in opposed_captions(families)]
        return GuidanceDraft(FlowDraft(families.picked, families.views, said), opposed)

    def loss_of(step: int, draft: GuidanceDraft) -> Tensor:
        batch = training_batch(config, encoders, data, draft.flow, STREAM, step)
        noisy = batch.noisy
        generator = seeded(data.device, config.seed * 1_000_033 + step)
        scales = scales_in(config.guidance_range, len(noisy), generator)
        against = [condition(encoders, other, guidance=1.0) for other in draft.opposed]
        target = guided_velocity(
            teacher, noisy, batch.sigmas, batch.conditioning, against, scales, strengths
        )
        wanted = replace(batch.conditioning, guidance=scales)
        return F.mse_loss(velocity(student, noisy, batch.sigmas, wanted), target)

    def drafts(steps: range) -> Iterator[GuidanceDraft]:
        return made_ahead(draft, steps, workers)

    return optimise(loop, student, drafts, loss_of, lambda _average: {})


def scales_in(span: tuple[float, float], count: int, generator: torch.Generator) -> Tensor:
    """Guidance scales (count,) spread evenly over a span."""
    low, high = span
    return low + (high - low) * torch.rand(count, generator=generator, device=generator.device)


def opposed_captions(families: Families) -> Iterator[list[str]]:
    """Nothing at all, then every caption with the other two asymmetries, then borders."""
    yield [""] * len(families.truths)
    for axis, values in AXES:
        for place in range(len(values) - 1):
            others = []
            for truth, wording in zip(families.truths, families.wordings, strict=True):
                value = [value for value in values if value != getattr(truth, axis)][place]
                others.append(caption_of(truth.model_copy(update={axis: value}), wording))
            yield others


@torch.no_grad()
def guided_velocity(
    teacher: nn.Module,
    noisy: Tensor,
    sigmas: Tensor,
    conditioning: Conditioning,
    against: list[Conditioning],
    scales: Tensor,
    strengths: tuple[float, float, float],
) -> Tensor:
    """`v + (scale - 1) sum of strength (v - v_against)`, of `v_against` in order: the empty
    caption, the mean of the two other asymmetries, the mean of the two other borders.

    Noisy (B, N, 64), sigmas (B,), scales (B,); at a scale of 1 it is the plain velocity.
    """
    every = [conditioning, *against]
    together = Conditioning(
        torch.cat([one.states for one in every]),
        torch.cat([one.pooled for one in every]),
        noisy.new_ones(len(every) * len(noisy)),
    )
    asked, empty, *others = velocity(
        teacher, noisy.repeat(len(every), 1, 1), sigmas.repeat(len(every)), together
    ).chunk(len(every))
    opposed = (empty, (others[0] + others[1]) / 2, (others[2] + others[3]) / 2)
    pushes = [
        strength * (asked - other) for strength, other in zip(strengths, opposed, strict=True)
    ]
    return asked + (scales - 1)[:, None, None] * torch.stack(pushes).sum(dim=0)
