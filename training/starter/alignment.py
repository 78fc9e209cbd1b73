"""The last stage: the flow learns through its own sampler to show what its caption states.

What finished pictures measure runs back as a gradient through every sampling step (Clark et al.,
Directly Fine-Tuning Diffusion Models on Differentiable Rewards, ICLR 2024). What the flow was
before holds it near the phantoms: on noisy phantoms its velocity may not move far, and from the
same noise a lesion has to lie as it lay before, since nothing else keeps all images of a caption
from becoming the same one.
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from diffusers import AutoencoderKL, FluxPipeline, FluxTransformer2DModel
from torch import Tensor, nn
from torch.nn import functional as F

from backend.abc.sampling import sample_split
from training.starter.ahead import made_ahead
from training.starter.autoencoder import to_pixels
from training.starter.captions import caption_generator, training_caption
from training.starter.config import IMAGE_SIZE, LATENT_CHANNELS, RunFolder, StarterConfig
from training.starter.flow import (
    Conditioning,
    FlowData,
    FlowDraft,
    condition,
    flow_drafts,
    seeded,
    shortened,
    training_batch,
    velocity,
)
from training.starter.guidance import guidance_scales
from training.starter.loop import Loop, optimise
from training.starter.precision import mixed_precision
from training.starter.progress import log_event
from training.starter.segmenter import Drawings, Segmenter
from training.starter.shape import (
    Bands,
    Shapes,
    Stated,
    bands_of,
    departures,
    shapes_of,
    stated_of,
    turned,
)
from training.starter.text import TextEncoders, Tokens

STREAM, ANCHOR_STREAM = 51, 52
BAND_DRAWINGS = 1_500
LOG_EVERY = 10
WEIGHTS = {
    "border": 3.0,
    "asymmetry": 30.0,
    "layout": 6.0,
    "fold": 6.0,
    "colours": 1.2,
    "edge": 4.0,
    "skin": 2.0,
    "wholeness": 10.0,
    "turned": 3.0,
}
"""Of the departures; asymmetry and border are slowest to follow."""
POSE_STEPS = 4
"""Sampling steps after which it is seen how a lesion lay before."""
SAMPLING_SHIFT = math.exp(0.5 - (1.15 - 0.5) * (256 - (IMAGE_SIZE // 16) ** 2) / (4096 - 256))
"""What the released scheduler shifts sigmas by at this size: its base shift is 0.5 at 256 tokens
and its largest 1.15 at 4,096."""


@dataclass(frozen=True)
class Judge:
    """What looks at finished latents: the decoder, the segmenter and where phantoms lie."""

    autoencoder: AutoencoderKL
    segmenter: Segmenter
    bands: Bands
    shift: float
    scale: float

    def shapes(self, latents: Tensor) -> Shapes:
        """What latents (N, 16, 16, 16), scaled as in training, show."""
        with mixed_precision(latents.device):
            pixels = self.autoencoder.decode(latents / self.scale + self.shift).sample.clamp(-1, 1)
            logits = self.segmenter(pixels)
        return shapes_of(logits.float(), pixels.float())


@torch.no_grad()
def make_judge(
    autoencoder: AutoencoderKL, segmenter: Segmenter, drawings: Drawings, latents: dict[str, Tensor]
) -> Judge:
    """A judge whose bands are those of the first drawings, as the segmenter sees them."""
    count = min(BAND_DRAWINGS, len(drawings.images))
    device = autoencoder.device
    pixels = to_pixels(drawings.images[:count]).to(device)
    logits = torch.cat([segmenter(part) for part in pixels.split(50)])
    truths = stated_of(drawings.truths[:count]).to(device)
    bands = bands_of(shapes_of(logits, pixels), truths)
    shift, scale = float(latents["shift"]), float(latents["scale"])
    for module in (autoencoder, segmenter):
        module.to(memory_format=torch.channels_last)
    return Judge(autoencoder, segmenter, bands, shift, scale)


@dataclass(frozen=True)
class AlignmentDraft:
    """Fresh captions with what they state, and the phantoms of the anchor."""

    said: Tokens
    stated: Stated
    anchor: FlowDraft
    sampling_steps: int


def align(
    config: StarterConfig,
    run: RunFolder,
    encoders: TextEncoders,
    data: FlowData,
    judge: Judge,
    start: FluxTransformer2DModel,
    *,
    compiled: bool = False,
    workers: int = 0,
) -> FluxTransformer2DModel:
    """Train, or take up, the aligned flow; returns its moving average in evaluation mode."""
    student = copy.deepcopy(start).requires_grad_(requires_grad=True).train()
    anchored = replace(config, flow_batch=config.anchor_batch)
    if compiled:
        for model in (student, start):
            model.compile_repeated_blocks(dynamic=False)
    loop = Loop(
        name="alignment",
        folder=run.alignment,
        log=run.log,
        identity={
            "seed": config.seed,
            "steps": config.alignment_steps,
            "batch": config.alignment_batch,
            "anchor": [config.anchor_batch, config.anchor_weight],
        },
        steps=config.alignment_steps,
        checkpoint_every=config.alignment_checkpoint_every,
        ema_decay=0.95,
        learning_rate=config.alignment_learning_rate,
        muon_learning_rate=config.alignment_learning_rate,
    )

    anchor_of = flow_drafts(anchored, encoders, data, ANCHOR_STREAM)

    def draft(step: int) -> AlignmentDraft:
        return draft_captions(config, encoders, anchor_of(step), step)

    def drafts(steps: range) -> Iterator[AlignmentDraft]:
        return made_ahead(draft, steps, workers)

    def loss_of(step: int, draft: AlignmentDraft) -> Tensor:
        found = shown_departures(config, encoders, judge, student, start, draft, step)
        batch = training_batch(anchored, encoders, data, draft.anchor, ANCHOR_STREAM, step)
        scales = guidance_scales(config, len(batch.clean), seeded(data.device, step))
        wanted = shortened(replace(batch.conditioning, guidance=scales), config.alignment_length)
        with torch.no_grad():
            before = velocity(start, batch.noisy, batch.sigmas, wanted)
        moved = F.mse_loss(velocity(student, batch.noisy, batch.sigmas, wanted), before)
        means = {name: values.mean() for name, values in found.items()}
        if step % LOG_EVERY == 0:
            figures = {name: float(mean.detach()) for name, mean in means.items()}
            log_event(run.log, "alignment", step=step, moved=float(moved.detach()), **figures)
        weighed = torch.stack([WEIGHTS[name] * mean for name, mean in means.items()])
        return config.anchor_weight * moved + weighed.sum()

    return optimise(loop, student, drafts, loss_of, lambda _average: {})


def draft_captions(
    config: StarterConfig, encoders: TextEncoders, anchor: FlowDraft, step: int
) -> AlignmentDraft:
    """Captions of combinations that may be trained on, and over how many steps to sample."""
    rng = caption_generator(config.seed, STREAM, step)
    said = [
        training_caption(sample_split(rng, held_out=False), rng)
        for _ in range(config.alignment_batch)
    ]
    low, high = config.alignment_sampling_steps
    return AlignmentDraft(
        said=encoders.tokens([caption for caption, _ in said]),
        stated=stated_of([stated for _, stated in said]),
        anchor=anchor,
        sampling_steps=int(rng.integers(low, high + 1)),
    )


def shown_departures(
    config: StarterConfig,
    encoders: TextEncoders,
    judge: Judge,
    student: nn.Module,
    start: nn.Module,
    draft: AlignmentDraft,
    step: int,
) -> dict[str, Tensor]:
    """How far fresh samples are from what their captions state, and from how those of `start` lie
    that came from the same noise, (N,) each."""
    generator = seeded(encoders.device, config.seed * 1_000_037 + step)
    conditioning = shortened(condition(encoders, draft.said, guidance=1.0), config.alignment_length)
    count = len(conditioning.states)
    guided = replace(conditioning, guidance=guidance_scales(config, count, generator))
    noise = draw_noise(count, generator)
    with torch.no_grad():
        before = judge.shapes(sample(start, guided, POSE_STEPS, noise))
    shapes = judge.shapes(sample(student, guided, draft.sampling_steps, noise))
    found = departures(shapes, draft.stated.to(encoders.device), judge.bands)
    return {**found, "turned": turned(shapes, before)}


def draw_noise(count: int, generator: torch.Generator) -> Tensor:
    """Packed latents (count, N, 64) for `sample` to begin with."""
    side = IMAGE_SIZE // 16
    shape = (count, side**2, 4 * LATENT_CHANNELS)
    return torch.randn(shape, generator=generator, device=generator.device)


def sample(model: nn.Module, conditioning: Conditioning, steps: int, latents: Tensor) -> Tensor:
    """Finished latents (N, 16, H, W), scaled as in training, by Euler steps as the scheduler's."""
    count = len(latents)
    even = torch.from_numpy(np.linspace(1, 1 / steps, steps, dtype=np.float32))
    shifted = SAMPLING_SHIFT * even / (1 + (SAMPLING_SHIFT - 1) * even)
    sigmas = torch.cat([shifted, torch.zeros(1)]).to(latents.device)
    for sigma, following in pairwise(sigmas):
        change = velocity(model, latents, sigma.expand(count), conditioning)
        latents = latents + (following - sigma) * change
    finished: Tensor = FluxPipeline._unpack_latents(  # noqa: SLF001
        latents, IMAGE_SIZE, IMAGE_SIZE, 8
    )
    return finished
