"""The autoencoder (8x, 16 channels) and the latents of the corpus."""

import functools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from training.starter.checkpoints import load_checkpoint, save_checkpoint
from training.starter.config import IMAGE_SIZE, LATENT_CHANNELS, RunFolder, StarterConfig
from training.starter.corpus import BETWEEN, load_images, shards
from training.starter.loop import WARMUP, learning_rate_factor
from training.starter.precision import CPU, mixed_precision
from training.starter.progress import log_event
from training.starter.widening import widened

STREAM = 11
VIEWS: tuple[tuple[int, ...], ...] = ((), (3,), (2,), (2, 3))
"""Axes of (N, 3, H, W) that each view is mirrored along; captions never speak of left or right."""
ENCODED_AT_ONCE = 240
HINT_SCALE = 2.0
"""What the mean colour of a block is multiplied by, so that its channels spread as others do."""
BLOCK, BLOCK_STEP, BLOCKS = 8, 2, 12
"""Sides of a block, of the step to the next and, in blocks, of the window over which the energy of
a frequency is averaged."""
FAINTEST_ENERGY = 1e-5
"""Below which no energy is seen."""


def make_autoencoder(config: StarterConfig) -> AutoencoderKL:
    """An untrained autoencoder in the layout of FLUX.1's: no quant convolutions, no attention."""
    torch.manual_seed(config.seed + 1)
    model = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(config.vae_channels),
        up_block_types=("UpDecoderBlock2D",) * len(config.vae_channels),
        block_out_channels=config.vae_channels,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        use_quant_conv=False,
        use_post_quant_conv=False,
        mid_block_add_attention=False,
        sample_size=IMAGE_SIZE,
    )
    return model.to(memory_format=torch.channels_last)


def train_autoencoder(
    config: StarterConfig, run: RunFolder, device: torch.device = CPU
) -> AutoencoderKL:
    """Train, or take up, the autoencoder; returns it frozen, its learning rate annealed."""
    model = make_autoencoder(config).to(device)
    stage = _Stage(
        name="autoencoder",
        folder=run.autoencoder,
        steps=config.vae_steps,
        learning_rate=config.vae_learning_rate,
        grain_weight=config.grain_weight,
        parts=model,
    )
    return _train(config, run, model, stage)


def train_decoder(config: StarterConfig, run: RunFolder, model: AutoencoderKL) -> AutoencoderKL:
    """Train, or take up, the decoder alone to show the grain that latents stand for.

    L1 asks for the middle of all that a pixel could be, which is smooth; here the grain weighs
    more. Latents stay what they are, and so does a flow that was trained on them.
    """
    model.requires_grad_(requires_grad=False)
    model.decoder.requires_grad_(requires_grad=True)
    stage = _Stage(
        name="decoder",
        folder=run.decoder,
        steps=config.decoder_steps,
        learning_rate=config.decoder_learning_rate,
        grain_weight=config.decoder_grain_weight,
        parts=model.decoder,
    )
    return _train(config, run, model, stage)


@dataclass(frozen=True)
class _Stage:
    """Which parts of the autoencoder are trained, how long and how."""

    name: str
    folder: Path
    steps: int
    learning_rate: float
    grain_weight: float
    parts: nn.Module


def _train(
    config: StarterConfig, run: RunFolder, model: AutoencoderKL, stage: _Stage
) -> AutoencoderKL:
    device = model.device
    optimizer = torch.optim.AdamW(
        stage.parts.parameters(), lr=stage.learning_rate, betas=(0.9, 0.99), weight_decay=0.0
    )
    identity = {
        "seed": config.seed,
        "channels": config.vae_channels,
        "steps": stage.steps,
        "kl_weight": config.kl_weight,
        "batch": config.vae_batch,
        "weights": [stage.grain_weight, config.hint_weight],
    }
    modules: dict[str, nn.Module] = {"model": model}
    optimizers = {"optimizer": optimizer}
    step = load_checkpoint(stage.folder, identity=identity, modules=modules, optimizers=optimizers)
    images = _images(run, device) if step < stage.steps else torch.empty(0)
    while step < stage.steps:
        for group in optimizer.param_groups:
            group["lr"] = stage.learning_rate * learning_rate_factor(
                step, stage.steps, warmup=min(WARMUP, stage.steps // 10)
            )
        pixels = _crops(images, config, step, stage.steps)
        with mixed_precision(device):
            posterior = model.encode(pixels).latent_dist
            output = model.decode(posterior.sample()).sample.float()
        information = posterior.kl().float().mean() / _latent_size(pixels)
        loss = (
            _reconstruction_loss(output, pixels)
            + stage.grain_weight * grain_loss(output, pixels)
            + config.hint_weight * hint_loss(posterior.mean.float(), pixels)
            + config.kl_weight * information
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(stage.parts.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % config.checkpoint_every == 0 or step == stage.steps:
            save_checkpoint(
                stage.folder, step=step, identity=identity, modules=modules, optimizers=optimizers
            )
            psnr = validation_psnr(model, run)
            log_event(run.log, stage.name, step=step, loss=float(loss.detach()), psnr_db=psnr)
    return model.requires_grad_(requires_grad=False).eval()


@torch.no_grad()
def validation_psnr(model: AutoencoderKL, run: RunFolder, count: int = 64) -> float:
    """Peak signal-to-noise ratio in dB of reconstructed validation phantoms."""
    images = load_images(next(shards(run, "validation")))
    pixels = to_pixels(images[:count]).to(model.device)
    output = model.decode(model.encode(pixels).latent_dist.mode()).sample.clamp(-1, 1)
    error = ((output - pixels) / 2).square().mean(dim=(1, 2, 3))
    return float((-10 * torch.log10(error)).mean())


@torch.no_grad()
def cache_latents(run: RunFolder, model: AutoencoderKL) -> dict[str, Tensor]:
    """Mean latents of every phantom in every view, with their overall mean and scale.

    Returns `training` (V, N, 16, 16, 16), `validation` and `between` (1, M, 16, 16, 16) in bf16,
    and the scalars `shift` and `scale` of `(z - shift) * scale`, which makes them zero-mean with
    unit variance.
    """
    if run.latents.exists():
        return load_file(run.latents)
    training = _encode_split(model, run, "training", VIEWS)
    validation = _encode_split(model, run, "validation", VIEWS[:1])
    between = _encode_split(model, run, BETWEEN, VIEWS[:1])
    values = training[0].float()
    tensors = {
        "training": training,
        "validation": validation,
        BETWEEN: between,
        "shift": values.mean(),
        "scale": 1.0 / values.std(),
    }
    aside = run.latents.with_suffix(".aside")
    save_file(tensors, aside)
    aside.replace(run.latents)
    log_event(
        run.log,
        "latents",
        phantoms=training.shape[1],
        views=training.shape[0],
        shift=float(tensors["shift"]),
        scale=float(tensors["scale"]),
    )
    return tensors


def to_pixels(images: NDArray[np.uint8] | Tensor) -> Tensor:
    """(N, H, W, 3) sRGB bytes to (N, 3, H, W) in [-1, 1]."""
    whole = images if isinstance(images, Tensor) else torch.from_numpy(np.array(images))
    pixels = whole.permute(0, 3, 1, 2).float()
    return (pixels / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def _encode_split(
    model: AutoencoderKL, run: RunFolder, split: str, views: tuple[tuple[int, ...], ...]
) -> Tensor:
    latents: list[list[Tensor]] = [[] for _ in views]
    for path in shards(run, split):
        images = torch.from_numpy(np.array(load_images(path)))
        for part in images.split(ENCODED_AT_ONCE):
            pixels = to_pixels(part.to(model.device))
            for axes, kept in zip(views, latents, strict=True):
                with mixed_precision(model.device):
                    kept.append(model.encode(pixels.flip(axes)).latent_dist.mode().bfloat16().cpu())
    return torch.stack([torch.cat(kept) for kept in latents]).contiguous()


def _images(run: RunFolder, device: torch.device) -> Tensor:
    """Every training phantom (N, H, W, 3) in bytes, where the crops are cut."""
    paths = list(shards(run, "training"))
    return torch.cat([torch.from_numpy(np.array(load_images(path))).to(device) for path in paths])


def _crops(images: Tensor, config: StarterConfig, step: int, steps: int) -> Tensor:
    """Random crops; towards the end whole images, so that normalisation sees their statistics."""
    rng = np.random.default_rng([config.seed, STREAM, step])
    whole = step >= steps * (1 - config.vae_whole_share)
    crop = IMAGE_SIZE if whole else config.vae_crop
    count = max(2, config.vae_batch // 4) if whole else config.vae_batch
    picked = rng.integers(len(images), size=count)
    tops, lefts = rng.integers(IMAGE_SIZE - crop + 1, size=(2, count))
    batch = torch.stack(
        [
            torch.rot90(images[i, y : y + crop, x : x + crop], int(k))
            for i, y, x, k in zip(picked, tops, lefts, rng.integers(4, size=count), strict=True)
        ]
    )
    generator = torch.Generator(images.device).manual_seed(config.seed * 1_000_039 + step)
    return widened(to_pixels(batch), generator)


def _reconstruction_loss(output: Tensor, target: Tensor) -> Tensor:
    """L1 of the pixels and of their differences at three scales, which keeps fine structure."""
    loss = F.l1_loss(output, target)
    for _ in range(3):
        for axis in (2, 3):
            loss = loss + 0.5 * F.l1_loss(output.diff(dim=axis), target.diff(dim=axis))
        output, target = F.avg_pool2d(output, 2), F.avg_pool2d(target, 2)
    return loss


def grain_loss(output: Tensor, target: Tensor) -> Tensor:
    """L1 of the local log energy of every frequency: what is too fine to be repeated pixel by pixel
    shall at least be as strong as it was, and as rough."""
    return F.l1_loss(_log_energies(output), _log_energies(target))


def _log_energies(pixels: Tensor) -> Tensor:
    """Log energies of the cosines of 8 x 8 blocks, the mean left out, each over a window of blocks:
    of brightness and of how red and blue stand off it."""
    brightness = pixels.mean(dim=1, keepdim=True)
    planes = torch.cat([brightness, pixels[:, :1] - brightness, pixels[:, 2:] - brightness], dim=1)
    found = F.conv2d(planes.flatten(0, 1)[:, None], _cosines(pixels.device), stride=BLOCK_STEP)
    window = min(BLOCKS, found.shape[-1])
    energies = F.avg_pool2d(found.square(), window, max(1, window // 3))
    return 0.5 * torch.log(energies + FAINTEST_ENERGY)


@functools.cache
def _cosines(device: torch.device) -> Tensor:
    """(63, 1, 8, 8): the orthonormal two-dimensional cosines of a block without the constant."""
    order = torch.arange(BLOCK, device=device)
    waves = torch.cos(math.pi * (order + 0.5) * order[:, None] / BLOCK) * math.sqrt(2 / BLOCK)
    waves[0] /= math.sqrt(2)
    both = torch.einsum("ij,kl->ikjl", waves, waves)
    return both.reshape(BLOCK**2, 1, BLOCK, BLOCK)[1:]


def hint_loss(latents: Tensor, pixels: Tensor) -> Tensor:
    """L1 of the first three channels as the mean colour of each block. Without this hint, hues
    that phantoms do not have are never learnt: no channel begins to carry them."""
    colours = F.avg_pool2d(pixels, pixels.shape[-1] // latents.shape[-1])
    return F.l1_loss(latents[:, :3], HINT_SCALE * colours)


def _latent_size(pixels: Tensor) -> float:
    return LATENT_CHANNELS * (pixels.shape[2] // 8) * (pixels.shape[3] // 8)
