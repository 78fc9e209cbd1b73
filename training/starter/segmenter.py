"""Which pixels show skin and which a colour, told from pictures of phantoms.

It is no part of the release and never judges it; that is the meter's, which segments otherwise.
"""

from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from backend.abc.attributes import Colour, LesionAttributes
from backend.abc.sampling import sample_split
from backend.phantom import render
from training.starter.autoencoder import to_pixels
from training.starter.captions import caption_generator
from training.starter.checkpoints import load_checkpoint, save_checkpoint, saved_step
from training.starter.config import IMAGE_SIZE, RunFolder, StarterConfig
from training.starter.loop import learning_rate_factor
from training.starter.precision import CPU, mixed_precision
from training.starter.progress import log_event

STREAM = 41
FIRST_SEED = 4_000_000_000
CLASSES = 1 + len(Colour)
"""Skin, then the colours in the order of `Colour`."""


class Segmenter(nn.Module):
    """Logits (N, 7, 64, 64) of skin and colours for pictures (N, 3, 128, 128) in [-1, 1]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.halved = _stage(3, width, stride=2)
        self.quarter = _stage(width, 2 * width, stride=2)
        self.eighth = _stage(2 * width, 2 * width, stride=2)
        self.sixteenth = _stage(2 * width, 2 * width, stride=2)
        self.from_sixteenth = _stage(4 * width, 2 * width)
        self.from_eighth = _stage(4 * width, 2 * width)
        self.from_quarter = _stage(3 * width, width)
        self.head = nn.Conv2d(width, CLASSES, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        halved = self.halved(pixels)
        quarter = self.quarter(halved)
        eighth = self.eighth(quarter)
        hidden = self.sixteenth(eighth)
        for stage, finer in (
            (self.from_sixteenth, eighth),
            (self.from_eighth, quarter),
            (self.from_quarter, halved),
        ):
            grown = F.interpolate(hidden, scale_factor=2, mode="bilinear", align_corners=False)
            hidden = stage(torch.cat([grown, finer], dim=1))
        logits: Tensor = self.head(hidden)
        return logits


class Drawings:
    """Phantoms with their exact colour maps: pictures, maps (N, 128, 128) of classes, truths."""

    def __init__(self, count: int, *, first_seed: int, processes: int) -> None:
        seeds = range(first_seed, first_seed + count)
        with ProcessPoolExecutor(processes) as pool:
            drawn = list(pool.map(_draw, seeds, chunksize=50))
        self.images: NDArray[np.uint8] = np.stack([image for image, _, _ in drawn])
        self.maps: NDArray[np.uint8] = np.stack([classes for _, classes, _ in drawn])
        self.truths: list[LesionAttributes] = [truth for _, _, truth in drawn]

    def batch(self, picked: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Pictures (N, 3, 128, 128) in [-1, 1] and class shares (N, 7, 64, 64)."""
        classes = torch.from_numpy(self.maps[picked]).long()
        shares = F.one_hot(classes, CLASSES).permute(0, 3, 1, 2).float()
        return to_pixels(self.images[picked]), F.avg_pool2d(shares, 2)


def train_segmenter(
    config: StarterConfig, run: RunFolder, drawings: Drawings, device: torch.device = CPU
) -> Segmenter:
    """Train, or take up, the segmenter on pictures that are mirrored, blurred and noisy.

    Raises ValueError when the checkpoint is of another run.
    """
    torch.manual_seed(config.seed + 4)
    model = Segmenter(config.segmenter_width).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01, fused=True)
    identity = {
        "seed": config.seed,
        "phantoms": config.segmenter_phantoms,
        "width": config.segmenter_width,
        "steps": config.segmenter_steps,
    }
    modules: dict[str, nn.Module] = {"model": model}
    optimizers: dict[str, torch.optim.Optimizer] = {"optimizer": optimizer}
    step = load_checkpoint(run.segmenter, identity=identity, modules=modules, optimizers=optimizers)
    while step < config.segmenter_steps:
        for group in optimizer.param_groups:
            group["lr"] = config.segmenter_learning_rate * learning_rate_factor(
                step, config.segmenter_steps, warmup=config.segmenter_steps // 10
            )
        rng = caption_generator(config.seed, STREAM, step)
        picked = rng.integers(len(drawings.images), size=config.segmenter_batch)
        pixels, shares = (part.to(device) for part in drawings.batch(picked))
        axes = [axis for axis in (2, 3) if rng.random() < 0.5]
        pixels, shares = pixels.flip(axes), shares.flip(axes)
        torch.manual_seed(config.seed + step)
        with mixed_precision(device):
            logits = model(worsened(pixels))
        loss = F.cross_entropy(logits.float(), shares)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        step += 1
        if step % config.checkpoint_every == 0 or step == config.segmenter_steps:
            save_checkpoint(
                run.segmenter, step=step, identity=identity, modules=modules, optimizers=optimizers
            )
            log_event(run.log, "segmenter", step=step, loss=float(loss.detach()))
    return model.requires_grad_(requires_grad=False).eval()


def drawings_needed(config: StarterConfig, run: RunFolder, *, afterwards: int) -> int:
    """How many phantoms to draw: all to train on, the first `afterwards` once that is done."""
    trained = saved_step(run.segmenter) >= config.segmenter_steps
    return min(afterwards, config.segmenter_phantoms) if trained else config.segmenter_phantoms


def worsened(pixels: Tensor) -> Tensor:
    """Half of the pictures blurred, and all of them noisy by up to a tenth of the range."""
    blurred = F.avg_pool2d(pixels, 3, stride=1, padding=1, count_include_pad=False)
    half = (torch.rand(len(pixels), 1, 1, 1, device=pixels.device) < 0.5).float()
    strength = 0.2 * torch.rand(len(pixels), 1, 1, 1, device=pixels.device)
    noise = strength * torch.randn(pixels.shape, device=pixels.device)
    return torch.lerp(pixels, blurred, half) + noise


def _draw(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], LesionAttributes]:
    asked = sample_split(np.random.default_rng(seed), held_out=False)
    phantom = render(asked, size=IMAGE_SIZE, seed=seed)
    order = list(Colour)
    places = np.array([1 + order.index(c) for c in phantom.truth.colours], np.uint8)
    classes = np.where(phantom.mask, places[phantom.colour_map], 0).astype(np.uint8)
    return phantom.image, classes, phantom.truth


def _stage(channels: int, width: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, stride=stride, padding=1),
        nn.GroupNorm(8, width),
        nn.SiLU(),
        nn.Conv2d(width, width, 3, padding=1),
        nn.GroupNorm(8, width),
        nn.SiLU(),
    )
