"""The autoencoder (8x, 16 channels) and the latents of the corpus."""

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from training.starter.checkpoints import load_checkpoint, save_checkpoint
from training.starter.config import IMAGE_SIZE, LATENT_CHANNELS, RunFolder, StarterConfig
from training.starter.corpus import load_shard, shards
from training.starter.loop import WARMUP, learning_rate_factor
from training.starter.precision import CPU, mixed_precision
from training.starter.progress import log_event
from training.starter.widening import widened

STREAM = 11
VIEWS: tuple[tuple[int, ...], ...] = ((), (3,), (2,), (2, 3))
"""Axes of (N, 3, H, W) that each view is mirrored along; captions never speak of left or right."""
ENCODED_AT_ONCE = 240


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
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.vae_learning_rate, betas=(0.9, 0.99), weight_decay=0.0
    )
    identity = {
        "seed": config.seed,
        "channels": config.vae_channels,
        "steps": config.vae_steps,
        "kl_weight": config.kl_weight,
        "batch": config.vae_batch,
    }
    modules: dict[str, nn.Module] = {"model": model}
    optimizers = {"optimizer": optimizer}
    step = load_checkpoint(
        run.autoencoder, identity=identity, modules=modules, optimizers=optimizers
    )
    images = _images(run, device) if step < config.vae_steps else torch.empty(0)
    while step < config.vae_steps:
        for group in optimizer.param_groups:
            group["lr"] = config.vae_learning_rate * learning_rate_factor(
                step, config.vae_steps, warmup=WARMUP
            )
        pixels = _crops(images, config, step)
        with mixed_precision(device):
            posterior = model.encode(pixels).latent_dist
            output = model.decode(posterior.sample()).sample
        reconstruction = _reconstruction_loss(output.float(), pixels)
        information = posterior.kl().float().mean() / _latent_size(pixels)
        loss = reconstruction + config.kl_weight * information
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % config.checkpoint_every == 0 or step == config.vae_steps:
            save_checkpoint(
                run.autoencoder,
                step=step,
                identity=identity,
                modules=modules,
                optimizers=optimizers,
            )
            psnr = validation_psnr(model, run)
            log_event(run.log, "autoencoder", step=step, loss=float(loss.detach()), psnr_db=psnr)
    return model.requires_grad_(requires_grad=False).eval()


@torch.no_grad()
def validation_psnr(model: AutoencoderKL, run: RunFolder, count: int = 64) -> float:
    """Peak signal-to-noise ratio in dB of reconstructed validation phantoms."""
    images, _ = load_shard(next(shards(run, "validation")))
    pixels = to_pixels(images[:count]).to(model.device)
    output = model.decode(model.encode(pixels).latent_dist.mode()).sample.clamp(-1, 1)
    error = ((output - pixels) / 2).square().mean(dim=(1, 2, 3))
    return float((-10 * torch.log10(error)).mean())


@torch.no_grad()
def cache_latents(run: RunFolder, model: AutoencoderKL) -> dict[str, Tensor]:
    """Mean latents of every phantom in every view, with their overall mean and scale.

    Returns `training` (V, N, 16, 16, 16), `validation` (1, M, 16, 16, 16) in bf16, and the scalars
    `shift` and `scale` of `(z - shift) * scale`, which makes them zero-mean with unit variance.
    """
    if run.latents.exists():
        return load_file(run.latents)
    training = _encode_split(model, run, "training", VIEWS)
    validation = _encode_split(model, run, "validation", VIEWS[:1])
    values = training[0].float()
    tensors = {
        "training": training,
        "validation": validation,
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
        images = torch.from_numpy(np.array(load_shard(path)[0]))
        for part in images.split(ENCODED_AT_ONCE):
            pixels = to_pixels(part.to(model.device))
            for axes, kept in zip(views, latents, strict=True):
                with mixed_precision(model.device):
                    kept.append(model.encode(pixels.flip(axes)).latent_dist.mode().bfloat16().cpu())
    return torch.stack([torch.cat(kept) for kept in latents]).contiguous()


def _images(run: RunFolder, device: torch.device) -> Tensor:
    """Every training phantom (N, H, W, 3) in bytes, where the crops are cut."""
    paths = list(shards(run, "training"))
    return torch.cat([torch.from_numpy(np.array(load_shard(path)[0])).to(device) for path in paths])


def _crops(images: Tensor, config: StarterConfig, step: int) -> Tensor:
    """Random crops; towards the end whole images, so that normalisation sees their statistics."""
    rng = np.random.default_rng([config.seed, STREAM, step])
    whole = step >= config.vae_steps * (1 - config.vae_whole_share)
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


def _latent_size(pixels: Tensor) -> float:
    return LATENT_CHANNELS * (pixels.shape[2] // 8) * (pixels.shape[3] // 8)
