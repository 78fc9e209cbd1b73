"""The classifier that comes with the starter and leads its images to what their captions state.

Trained on phantoms at every noise level, as for classifier guidance (Dhariwal & Nichol, Diffusion
Models Beat GANs on Image Synthesis, NeurIPS 2021): a network that only knows clean latents is soon
pleased by patterns that nobody sees. The meter that scores adherence has no part in it.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from backend.generation.attribute_guidance.classifier import (
    COLOURS,
    NoisyClassifier,
    Stated,
    stated_of,
    surprises,
)
from backend.generation.attribute_guidance.guide import TRAINED_SIGMA
from training.starter.captions import caption_generator
from training.starter.checkpoints import load_checkpoint, save_checkpoint
from training.starter.config import IMAGE_SIZE, RunFolder, StarterConfig
from training.starter.corpus import SIBLINGS, Between
from training.starter.flow import FlowData, seeded
from training.starter.loop import WARMUP, follow, learning_rate_factor
from training.starter.precision import mixed_precision
from training.starter.progress import log_event

STREAM = 41
FIRST_SHARE, FIRST_HIGHEST_SIGMA = 0.35, 0.7
"""The first steps see less noise: outlines are learnt there and kept."""
VALIDATION_SIGMA = 0.3
TRAINING_WEIGHTS = {"asymmetry": 1.0, "border": 1.5, "edge": 1.0, "skin_tone": 0.5, COLOURS: 0.5}


def stated_between(lesions: Sequence[Between]) -> Stated:
    """What is true of lesions between two siblings, whose axis has a share of both values."""
    stated = stated_of([lesion.truth for lesion in lesions])
    for place, lesion in enumerate(lesions):
        stated.shares[lesion.axis][place] = torch.tensor(lesion.shares)
    return stated


def train_classifier(config: StarterConfig, run: RunFolder, data: FlowData) -> NoisyClassifier:
    """Train, or take up, the classifier; returns its moving average in evaluation mode.

    A batch is half families of siblings, which share noise and sigma, and half lesions between two
    siblings: without these it would be content as soon as a lesion has left the wrong value.
    """
    device = data.device
    torch.manual_seed(config.seed + 4)
    model = NoisyClassifier(config.classifier_width, IMAGE_SIZE).to(device)
    average = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.05, fused=True)
    identity = {
        "seed": config.seed,
        "phantoms": [config.phantoms, config.between_phantoms],
        "width": config.classifier_width,
        "steps": config.classifier_steps,
        "batch": config.classifier_batch,
    }
    modules: dict[str, nn.Module] = {"model": model, "average": average}
    optimizers: dict[str, torch.optim.Optimizer] = {"optimizer": optimizer}
    first = load_checkpoint(
        run.classifier, identity=identity, modules=modules, optimizers=optimizers
    )
    truths = _joined(stated_of(data.training_truths), stated_between(data.between_truths)).to(
        device
    )
    for step in range(first, config.classifier_steps):
        rate = learning_rate_factor(step, config.classifier_steps, warmup=WARMUP)
        for group in optimizer.param_groups:
            group["lr"] = config.classifier_learning_rate * rate
        drawn = _draw(config, data, step)
        with mixed_precision(device):
            logits = model(drawn.noisy, drawn.sigmas)
        found = surprises(logits, truths[drawn.places])
        loss = torch.stack([TRAINING_WEIGHTS[name] * one.mean() for name, one in found.items()])
        optimizer.zero_grad(set_to_none=True)
        loss.sum().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        follow(average, model, min(0.995, (1 + step) / (10 + step)))
        done = step + 1
        if done % config.checkpoint_every == 0 or done == config.classifier_steps:
            save_checkpoint(
                run.classifier, step=done, identity=identity, modules=modules, optimizers=optimizers
            )
            log_event(run.log, "classifier", step=done, **_validate(config, average, data))
    return average.requires_grad_(requires_grad=False).eval()


@dataclass(frozen=True)
class _Drawn:
    """Noisy latents (B, 16, 16, 16) at sigmas (B,), and where their phantoms stand among all: first
    siblings, then those between."""

    noisy: Tensor
    sigmas: Tensor
    places: Tensor


def _draw(config: StarterConfig, data: FlowData, step: int) -> _Drawn:
    device, rng = data.device, caption_generator(config.seed, STREAM, step)
    count = config.classifier_batch // 2 // SIBLINGS
    singles = config.classifier_batch - count * SIBLINGS
    families = torch.from_numpy(rng.integers(len(data.training_truths) // SIBLINGS, size=count))
    views = torch.from_numpy(rng.integers(len(data.training), size=count))
    picked = (families[:, None] * SIBLINGS + torch.arange(SIBLINGS)).flatten().to(device)
    between = torch.from_numpy(rng.integers(len(data.between_truths), size=singles)).to(device)
    siblings = data.training[views.repeat_interleave(SIBLINGS).to(device), picked]
    clean = torch.cat([siblings, data.between[between]]).float()
    generator = seeded(device, config.seed * 1_000_081 + step)
    sigmas = torch.rand(count + singles, generator=generator, device=device)
    noise = torch.randn((count + singles, *clean.shape[1:]), generator=generator, device=device)
    early = step < FIRST_SHARE * config.classifier_steps
    sigmas = _for_siblings(sigmas, count) * (FIRST_HIGHEST_SIGMA if early else TRAINED_SIGMA)
    noisy = torch.lerp(clean, _for_siblings(noise, count), sigmas[:, None, None, None])
    noisy = noisy.contiguous(memory_format=torch.channels_last)
    return _Drawn(noisy, sigmas, torch.cat([picked, len(data.training_truths) + between]))


def _for_siblings(values: Tensor, count: int) -> Tensor:
    """The first `count` values once for every sibling, then the others as they are."""
    return torch.cat([values[:count].repeat_interleave(SIBLINGS, dim=0), values[count:]])


def _joined(one: Stated, other: Stated) -> Stated:
    shares = {kind: torch.cat([share, other.shares[kind]]) for kind, share in one.shares.items()}
    return Stated(
        shares,
        torch.cat([one.colours, other.colours]),
        torch.cat([one.coloured, other.coloured]),
    )


@torch.no_grad()
def _validate(config: StarterConfig, model: NoisyClassifier, data: FlowData) -> dict[str, float]:
    """Accuracy by attribute on validation phantoms at one sigma with fixed noise."""
    clean = data.validation.float()
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(config.seed))
    noisy = torch.lerp(clean, noise.to(clean.device), VALIDATION_SIGMA)
    logits = model(noisy, noisy.new_full((len(noisy),), VALIDATION_SIGMA))
    stated = stated_of(data.validation_truths).to(data.device)
    right = {
        kind: logits[kind].argmax(dim=1) == share.argmax(dim=1)
        for kind, share in stated.shares.items()
    }
    right[COLOURS] = (logits[COLOURS] > 0) == (stated.colours > 0)
    return {f"{name}_accuracy": float(one.float().mean()) for name, one in right.items()}
