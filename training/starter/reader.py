"""A reader of asymmetry, border, edge and colours from noisy latents, to steer the flow with.

Small flows learn outlines last: their share of the squared error is tiny. A classifier that knows
the noise level sees them plainly, and its gradient tells the flow what a caption asks for (Dhariwal
& Nichol, Diffusion Models Beat GANs, NeurIPS 2021, section 4). Only the distillation uses it.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backend.abc.attributes import Asymmetry, Border, Colour, Edge, LesionAttributes
from training.starter.captions import caption_generator
from training.starter.checkpoints import load_checkpoint, save_checkpoint
from training.starter.config import LATENT_CHANNELS, RunFolder, StarterConfig
from training.starter.corpus import SIBLINGS
from training.starter.flow import FlowData
from training.starter.progress import log_event

STREAM = 41
SIGMA_FEATURES = 32
CHECKED_SIGMAS = (0.2, 0.5, 0.8)
_CLASSES: dict[str, list[object]] = {
    "asymmetry": list(Asymmetry),
    "border": list(Border),
    "edge": list(Edge),
}
IGNORED = -100


class AttributeReader(nn.Module):
    """Logits of A, B, edge and each colour for latents (B, 16, H, W) at sigmas (B,)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(LATENT_CHANNELS, width, 3, padding=1)
        self.fine = nn.ModuleList(_Block(width) for _ in range(3))
        self.down = nn.Conv2d(width, 2 * width, 2, stride=2)
        self.coarse = nn.ModuleList(_Block(2 * width) for _ in range(3))
        self.classes = nn.ModuleDict(
            {name: nn.Linear(2 * width, len(values)) for name, values in _CLASSES.items()}
        )
        self.colours = nn.Linear(2 * width, len(Colour))

    def forward(self, latents: Tensor, sigmas: Tensor) -> dict[str, Tensor]:
        noise = _sigma_features(sigmas)
        hidden = self.stem(latents)
        for block in self.fine:
            hidden = block(hidden, noise)
        hidden = self.down(hidden)
        for block in self.coarse:
            hidden = block(hidden, noise)
        pooled = F.silu(hidden).mean(dim=(2, 3))
        logits = {name: head(pooled) for name, head in self.classes.items()}
        return logits | {"colours": self.colours(pooled)}


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.inner = nn.Conv2d(width, width, 3, padding=1)
        self.noise = nn.Linear(SIGMA_FEATURES, width)
        self.outer_norm = nn.GroupNorm(8, width)
        self.outer = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, hidden: Tensor, noise: Tensor) -> Tensor:
        inner = self.inner(F.silu(self.norm(hidden))) + self.noise(noise)[:, :, None, None]
        changed: Tensor = self.outer(F.silu(self.outer_norm(inner)))
        return hidden + changed


def train_reader(config: StarterConfig, run: RunFolder, data: FlowData) -> AttributeReader:
    """Train, or take up, the reader on noisy latents of the training phantoms."""
    torch.manual_seed(config.seed + 4)
    reader = AttributeReader(config.reader_width).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(reader.parameters(), lr=1e-3, weight_decay=0.05, fused=True)
    identity = {
        "seed": config.seed,
        "width": config.reader_width,
        "steps": config.reader_steps,
        "phantoms": config.phantoms,
    }
    modules: dict[str, nn.Module] = {"model": reader}
    optimizers: dict[str, torch.optim.Optimizer] = {"optimizer": optimizer}
    step = load_checkpoint(run.reader, identity=identity, modules=modules, optimizers=optimizers)
    while step < config.reader_steps:
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * _one_cycle(step, config.reader_steps)
        rng = caption_generator(config.seed, STREAM, step)
        count = config.reader_batch // SIBLINGS
        families = rng.integers(len(data.training_truths) // SIBLINGS, size=count)
        picked = [int(first) * SIBLINGS + place for first in families for place in range(SIBLINGS)]
        truths = [data.training_truths[index] for index in picked]
        clean = _turned(data.training[torch.tensor(picked)], rng)
        sigmas = torch.from_numpy(rng.uniform(0.0, 0.95, count)).float()
        sigmas = sigmas.repeat_interleave(SIBLINGS)
        generator = torch.Generator().manual_seed(step)
        noise = torch.randn((count, *clean.shape[1:]), generator=generator)
        noise = noise.repeat_interleave(SIBLINGS, dim=0)
        noisy = torch.lerp(clean, noise, sigmas[:, None, None, None])
        loss = -log_likelihood(_read(reader, noisy, sigmas), truths).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % config.checkpoint_every == 0 or step == config.reader_steps:
            save_checkpoint(
                run.reader, step=step, identity=identity, modules=modules, optimizers=optimizers
            )
            log_event(
                run.log, "reader", step=step, loss=float(loss.detach()), **_accuracy(reader, data)
            )
    return reader.requires_grad_(requires_grad=False).eval()


def log_likelihood(logits: dict[str, Tensor], wanted: list[LesionAttributes]) -> Tensor:
    """Log probability (B,) of what is wanted; what a lesion leaves open counts nothing."""
    total = torch.zeros(len(wanted))
    for name, values in _CLASSES.items():
        said = [getattr(attributes, name) for attributes in wanted]
        target = torch.tensor([IGNORED if v is None else values.index(v) for v in said])
        total = total - F.cross_entropy(
            logits[name].float(), target, ignore_index=IGNORED, reduction="none"
        )
    colours = torch.tensor([[float(c in a.colours) for c in Colour] for a in wanted])
    stated = torch.tensor([float(bool(a.colours)) for a in wanted])
    missed = F.binary_cross_entropy_with_logits(
        logits["colours"].float(), colours, reduction="none"
    )
    return total - missed.sum(1) * stated


def steering(
    reader: AttributeReader, latents: Tensor, sigmas: Tensor, wanted: list[LesionAttributes]
) -> Tensor:
    """The change of velocity (B, 16, H, W) that makes what is wanted more likely.

    `v - s sigma / (1 - sigma) grad log p(wanted | x_sigma)` with s = 1: with `noise = x_sigma +
    (1 - sigma) v` it is the classifier-guided score written as a velocity.
    """
    with torch.enable_grad():
        noisy = latents.detach().requires_grad_()
        total = log_likelihood(_read(reader, noisy, sigmas), wanted).sum()
        (gradient,) = torch.autograd.grad(total, noisy)
    odds = (sigmas / (1 - sigmas).clamp(min=0.05))[:, None, None, None]
    return -odds * gradient


def _read(reader: AttributeReader, latents: Tensor, sigmas: Tensor) -> dict[str, Tensor]:
    with torch.autocast("cpu", torch.bfloat16):
        logits: dict[str, Tensor] = reader(latents, sigmas)
    return logits


def _turned(latents: Tensor, rng: np.random.Generator) -> Tensor:
    """The batch mirrored, or not, along each axis: A, B, colours and edge stay what they are."""
    axes = [axis for axis in (2, 3) if rng.random() < 0.5]
    return torch.flip(latents, axes) if axes else latents


def _sigma_features(sigmas: Tensor) -> Tensor:
    frequencies = torch.exp(torch.linspace(0, math.log(100), SIGMA_FEATURES // 2))
    angles = sigmas[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _one_cycle(step: int, steps: int, warmup: int = 50) -> float:
    return min(1.0, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * step / steps))


@torch.no_grad()
def _accuracy(reader: AttributeReader, data: FlowData) -> dict[str, float]:
    """Share of asymmetry and border read rightly on validation phantoms at fixed noise levels."""
    found = {}
    for sigma in CHECKED_SIGMAS:
        noise = torch.randn(data.validation.shape, generator=torch.Generator().manual_seed(0))
        sigmas = torch.full((len(noise),), sigma)
        noisy = torch.lerp(data.validation, noise, sigma)
        logits = _read(reader, noisy, sigmas)
        for name in ("asymmetry", "border"):
            places = [_CLASSES[name].index(getattr(t, name)) for t in data.validation_truths]
            right = logits[name].argmax(1) == torch.tensor(places)
            found[f"{name}_at_{sigma}"] = float(right.float().mean())
    return found
