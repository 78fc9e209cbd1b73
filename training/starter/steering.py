"""The last stage: whole samplings are pulled towards what their captions state.

What a classifier sees in finished latents runs back as a gradient through every sampling step
(Clark et al., Directly Fine-Tuning Diffusion Models on Differentiable Rewards, ICLR 2024), into the
guidance that the transformer takes as an input: at a scale of 1 nothing pulls. What the flow was
before holds its velocity wherever a sampling leads.
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from diffusers import FluxPipeline, FluxTransformer2DModel
from torch import Tensor, nn
from torch.nn import functional as F

from backend.abc.sampling import sample_split
from training.starter.ahead import made_ahead
from training.starter.captions import caption_generator, training_caption
from training.starter.classifier import COLOURS, NoisyClassifier, Stated, stated_of, surprises
from training.starter.config import IMAGE_SIZE, LATENT_CHANNELS, RunFolder, StarterConfig
from training.starter.flow import Conditioning, condition, seeded, shortened, velocity
from training.starter.guidance import scales_in
from training.starter.loop import Loop, optimise
from training.starter.precision import mixed_precision
from training.starter.progress import log_event
from training.starter.text import TextEncoders, Tokens

STREAM = 51
LOG_EVERY = 20
FULL_SCALE, LARGEST_PULL = 3.5, 1.2
"""Guidance scale at which captions pull with all their weight, and how much more they may."""
WEIGHTS = {"asymmetry": 1.0, "border": 1.3, "edge": 0.5, "skin_tone": 0.4, COLOURS: 0.4}
SEEN_SIGMAS = (0.02, 0.3)
"""Noise on finished latents before the classifier sees them, so that no fine pattern pleases it."""
SAMPLING_SHIFT = math.exp(0.5 - (1.15 - 0.5) * (256 - (IMAGE_SIZE // 16) ** 2) / (4096 - 256))
"""What the released scheduler shifts sigmas by at this size: its base shift is 0.5 at 256 tokens
and its largest 1.15 at 4,096."""


@dataclass(frozen=True)
class SteeringDraft:
    """Fresh captions with what they state, over how many steps to sample, and after how many the
    velocity is held."""

    said: Tokens
    stated: Stated
    sampling_steps: int
    held_at: int


@dataclass(frozen=True)
class Walk:
    """A sampling: packed latents (N, T, 64) before each of its steps at `sigmas`, and its end."""

    places: list[Tensor]
    sigmas: list[Tensor]
    end: Tensor


def steer(
    config: StarterConfig,
    run: RunFolder,
    encoders: TextEncoders,
    classifier: NoisyClassifier,
    start: FluxTransformer2DModel,
    *,
    compiled: bool = False,
    workers: int = 0,
) -> FluxTransformer2DModel:
    """Train, or take up, the steered flow; returns its moving average in evaluation mode."""
    student = copy.deepcopy(start).requires_grad_(requires_grad=True).train()
    if compiled:
        for model in (student, start):
            model.compile_repeated_blocks(dynamic=False)
    loop = Loop(
        name="steering",
        folder=run.steering,
        log=run.log,
        identity={
            "seed": config.seed,
            "steps": config.steering_steps,
            "batch": config.steering_batch,
            "hold": config.steering_hold,
        },
        steps=config.steering_steps,
        checkpoint_every=config.steering_checkpoint_every,
        ema_decay=0.97,
        learning_rate=config.steering_learning_rate,
        muon_learning_rate=config.steering_learning_rate,
    )

    def drafts(steps: range) -> Iterator[SteeringDraft]:
        return made_ahead(lambda step: draft_captions(config, encoders, step), steps, workers)

    def loss_of(step: int, draft: SteeringDraft) -> Tensor:
        generator = seeded(encoders.device, config.seed * 1_000_037 + step)
        conditioning = condition(encoders, draft.said, guidance=1.0)
        if step < config.short_share * config.steering_steps:
            conditioning = shortened(conditioning, config.short_length)
        count = len(conditioning.states)
        scales = scales_in(config.guidance_range, count, generator)
        wanted = replace(conditioning, guidance=scales)
        walked = walk(student, wanted, draft.sampling_steps, draw_noise(count, generator))
        found = surprises(seen(classifier, walked.end, generator), draft.stated.to(scales.device))
        place, sigmas = walked.places[draft.held_at].detach(), walked.sigmas[draft.held_at]
        with torch.no_grad():
            before = velocity(start, place, sigmas, wanted)
        moved = F.mse_loss(velocity(student, place, sigmas, wanted), before)
        if step % LOG_EVERY == 0:
            means = {name: float(one.detach().mean()) for name, one in found.items()}
            log_event(run.log, "steering", step=step, moved=float(moved.detach()), **means)
        share = ((scales - 1) / (FULL_SCALE - 1)).clamp(max=LARGEST_PULL)
        pulls = [WEIGHTS[name] * (share * one).mean() for name, one in found.items()]
        return config.steering_hold * moved + torch.stack(pulls).sum()

    return optimise(loop, student, drafts, loss_of, lambda _average: {})


def draft_captions(config: StarterConfig, encoders: TextEncoders, step: int) -> SteeringDraft:
    """Captions of combinations that may be trained on, and over how many steps to sample."""
    rng = caption_generator(config.seed, STREAM, step)
    said = [
        training_caption(sample_split(rng, held_out=False), rng)
        for _ in range(config.steering_batch)
    ]
    low, high = config.steering_sampling_steps
    steps = int(rng.integers(low, high + 1))
    return SteeringDraft(
        said=encoders.tokens([caption for caption, _ in said]),
        stated=stated_of([stated for _, stated in said]),
        sampling_steps=steps,
        held_at=int(rng.integers(steps)),
    )


def seen(
    classifier: NoisyClassifier, latents: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    """Logits by attribute for finished packed latents (N, T, 64) under a little noise."""
    device = latents.device
    low, high = SEEN_SIGMAS
    sigmas = low + (high - low) * torch.rand(len(latents), generator=generator, device=device)
    noise = torch.randn(latents.shape, generator=generator, device=device)
    noisy = FluxPipeline._unpack_latents(  # noqa: SLF001 - the layout must be diffusers' own
        torch.lerp(latents, noise, sigmas[:, None, None]), IMAGE_SIZE, IMAGE_SIZE, 8
    )
    with mixed_precision(device):
        logits: dict[str, Tensor] = classifier(noisy, sigmas)
    return logits


def draw_noise(count: int, generator: torch.Generator) -> Tensor:
    """Packed latents (count, T, 64) for `walk` to begin with."""
    side = IMAGE_SIZE // 16
    shape = (count, side**2, 4 * LATENT_CHANNELS)
    return torch.randn(shape, generator=generator, device=generator.device)


def walk(model: nn.Module, conditioning: Conditioning, steps: int, latents: Tensor) -> Walk:
    """Packed latents (N, T, 64) led from noise to a picture by Euler steps as the scheduler's."""
    count = len(latents)
    even = torch.from_numpy(np.linspace(1, 1 / steps, steps, dtype=np.float32))
    shifted = SAMPLING_SHIFT * even / (1 + (SAMPLING_SHIFT - 1) * even)
    places: list[Tensor] = []
    levels: list[Tensor] = []
    for sigma, following in pairwise(torch.cat([shifted, torch.zeros(1)]).to(latents.device)):
        places.append(latents)
        levels.append(sigma.expand(count))
        change = velocity(model, latents, levels[-1], conditioning)
        latents = latents + (following - sigma) * change
    return Walk(places, levels, latents)
