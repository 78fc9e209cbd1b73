"""What noisy latents show, told by a small network: it steers the flow and is never released.

Trained on phantoms at every noise level, as for classifier guidance (Dhariwal & Nichol, Diffusion
Models Beat GANs on Image Synthesis, NeurIPS 2021): a network that only knows clean latents is soon
pleased by patterns that nobody sees. The meter that scores adherence has no part in it.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backend.abc.attributes import Asymmetry, Border, Colour, Edge, LesionAttributes, SkinTone
from training.starter.captions import caption_generator
from training.starter.checkpoints import load_checkpoint, save_checkpoint
from training.starter.config import IMAGE_SIZE, LATENT_CHANNELS, RunFolder, StarterConfig
from training.starter.corpus import SIBLINGS, Between
from training.starter.flow import FlowData, seeded
from training.starter.loop import WARMUP, follow, learning_rate_factor
from training.starter.precision import mixed_precision
from training.starter.progress import log_event

STREAM = 41
LEVELS = 16
"""Frequencies that tell the noise level."""
HIGHEST_SIGMA = 0.97
FIRST_SHARE, FIRST_HIGHEST_SIGMA = 0.35, 0.7
"""The first steps see less noise: outlines are learnt there and kept."""
KINDS: Mapping[str, type[Enum]] = {
    "asymmetry": Asymmetry,
    "border": Border,
    "edge": Edge,
    "skin_tone": SkinTone,
}
COLOURS = "colours"
VALIDATION_SIGMA = 0.3
TRAINING_WEIGHTS = {"asymmetry": 1.0, "border": 1.5, "edge": 1.0, "skin_tone": 0.5, COLOURS: 0.5}


@dataclass(frozen=True)
class Stated:
    """Attributes as numbers: the share of each value by kind (B, values), none where it is left
    open; colours (B, 6) and whether they are stated (B,)."""

    shares: Mapping[str, Tensor]
    colours: Tensor
    coloured: Tensor

    def to(self, device: torch.device) -> "Stated":
        """The same on a device."""
        shares = {kind: share.to(device) for kind, share in self.shares.items()}
        return Stated(shares, self.colours.to(device), self.coloured.to(device))

    def __getitem__(self, picked: Tensor) -> "Stated":
        shares = {kind: share[picked] for kind, share in self.shares.items()}
        return Stated(shares, self.colours[picked], self.coloured[picked])


class NoisyClassifier(nn.Module):
    """Logits by attribute for latents (B, 16, 16, 16), scaled as in training, at sigmas (B,)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        told = width
        self.level = nn.Sequential(
            nn.Linear(2 * LEVELS, told), nn.SiLU(), nn.Linear(told, told), nn.SiLU()
        )
        self.first = nn.Conv2d(LATENT_CHANNELS, width, 3, padding=1)
        widths = (width, width, width, 2 * width, 2 * width, 3 * width, 3 * width)
        self.blocks = nn.ModuleList(
            _Block(widths[i], widths[i + 1], told, halved=i in (2, 4)) for i in range(6)
        )
        self.norm = nn.GroupNorm(8, widths[-1])
        side = IMAGE_SIZE // 8 // 4
        self.hidden = nn.Linear(widths[-1] * side**2, 4 * width)
        self.outputs = {kind: len(values) for kind, values in KINDS.items()}
        self.outputs[COLOURS] = len(Colour)
        self.head = nn.Linear(4 * width, sum(self.outputs.values()))

    def forward(self, latents: Tensor, sigmas: Tensor) -> dict[str, Tensor]:
        frequencies = 3 * torch.linspace(0, 4.5, LEVELS, device=sigmas.device).exp()
        phases = sigmas[:, None] * frequencies
        told = self.level(torch.cat([phases.sin(), phases.cos()], dim=1))
        hidden = self.first(latents)
        for block in self.blocks:
            hidden = block(hidden, told)
        seen = F.silu(self.hidden(F.silu(self.norm(hidden)).flatten(1)))
        parts = self.head(seen).float().split(list(self.outputs.values()), dim=1)
        return dict(zip(self.outputs, parts, strict=True))


class _Block(nn.Module):
    """A residual block that is told the noise level; `halved` halves each side first."""

    def __init__(self, channels: int, width: int, told: int, *, halved: bool) -> None:
        super().__init__()
        self.halved = halved
        self.norm1 = nn.GroupNorm(8, channels)
        self.conv1 = nn.Conv2d(channels, width, 3, stride=2 if halved else 1, padding=1)
        self.norm2 = nn.GroupNorm(8, width)
        self.told = nn.Linear(told, 2 * width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.past = nn.Identity() if channels == width else nn.Conv2d(channels, width, 1)
        for parameter in self.conv2.parameters():
            nn.init.zeros_(parameter)

    def forward(self, hidden: Tensor, told: Tensor) -> Tensor:
        change = self.conv1(F.silu(self.norm1(hidden)))
        scale, shift = self.told(told)[:, :, None, None].chunk(2, dim=1)
        change = self.conv2(F.silu(self.norm2(change) * (1 + scale) + shift))
        past: Tensor = self.past(F.avg_pool2d(hidden, 2) if self.halved else hidden)
        return past + change


def stated_of(lesions: Sequence[LesionAttributes]) -> Stated:
    """What is stated of each lesion; nothing is where an attribute is left open."""
    shares = {
        kind: torch.tensor(
            [[float(value == getattr(lesion, kind)) for value in values] for lesion in lesions]
        )
        for kind, values in KINDS.items()
    }
    colours = [[float(colour in lesion.colours) for colour in Colour] for lesion in lesions]
    coloured = [float(bool(lesion.colours)) for lesion in lesions]
    return Stated(shares, torch.tensor(colours), torch.tensor(coloured))


def stated_between(lesions: Sequence[Between]) -> Stated:
    """What is true of lesions between two siblings, whose axis has a share of both values."""
    stated = stated_of([lesion.truth for lesion in lesions])
    for place, lesion in enumerate(lesions):
        stated.shares[lesion.axis][place] = torch.tensor(lesion.shares)
    return stated


def surprises(logits: Mapping[str, Tensor], stated: Stated) -> dict[str, Tensor]:
    """Minus the log-probability (B,) of what is stated, by attribute; zero where it is open."""
    found = {
        kind: -(share * logits[kind].log_softmax(dim=1)).sum(dim=1)
        for kind, share in stated.shares.items()
    }
    each = F.binary_cross_entropy_with_logits(logits[COLOURS], stated.colours, reduction="none")
    return {**found, COLOURS: each.sum(dim=1) * stated.coloured}


def train_classifier(config: StarterConfig, run: RunFolder, data: FlowData) -> NoisyClassifier:
    """Train, or take up, the classifier; returns its moving average in evaluation mode.

    A batch is half families of siblings, which share noise and sigma, and half lesions between two
    siblings: without these it would be content as soon as a lesion has left the wrong value.
    """
    device = data.device
    torch.manual_seed(config.seed + 4)
    model = NoisyClassifier(config.classifier_width).to(device)
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
    sigmas = _for_siblings(sigmas, count) * (FIRST_HIGHEST_SIGMA if early else HIGHEST_SIGMA)
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
