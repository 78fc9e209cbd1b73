"""What is minimised: the velocity of a rectified flow for FLUX, the noise for Stable Diffusion.

FLUX: `x_sigma = (1 - sigma) x_0 + sigma noise`, target `noise - x_0`, sigma logit-normal and then
shifted by the number of image tokens (Esser et al. 2024, sections 3.1 and 5.3.2). Stable Diffusion:
`x_t = sqrt(a) x_0 + sqrt(1 - a) noise`, target the noise (Ho et al. 2020, equation 14), or the
velocity `sqrt(a) noise - sqrt(1 - a) x_0` where the scheduler says so (Salimans & Ho 2022).
Noise, mix and target are fp32 whatever the base computes in.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from backend.finetuning.errors import FinetuningError
from backend.generation.lora.layouts import Family
from training.lora.base import Base, Compute, shifts_of
from training.lora.order import Draw

VALIDATION_LEVELS = tuple((step + 0.5) / 8 for step in range(8))
"""The middles of eight equal parts of the way from data to noise."""


@dataclass(frozen=True)
class Text:
    """Encoded captions: T5 (B, T, D) and pooled CLIP (B, P); Stable Diffusion has CLIP (B, 77, D)
    and nothing pooled."""

    states: Tensor
    pooled: Tensor | None


Denoise = Callable[[Tensor, Tensor, Text], Tensor]
"""Noisy latents (B, C, h, w), noise levels (B,) and text to what the model predicts, fp32."""


class Objective(Protocol):
    """One family's path from data to noise, and what its denoiser predicts on it."""

    def scaled(self, latents: Tensor) -> Tensor:
        """What the autoencoder gave, as the denoiser sees it."""

    def levels(self, draws: Sequence[Draw], tokens: int) -> Tensor:
        """Noise levels (B,) of a batch whose images have so many tokens. Of an image that is learnt
        above some noise alone they are even from there to pure noise."""

    def validation_level(self, level: float) -> float:
        """The noise level at a share of the way from data to noise."""

    def mixed(self, clean: Tensor, noise: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
        """What the denoiser sees and what it is to say, both (B, C, h, w)."""

    def denoise(self, model: Any, noisy: Tensor, levels: Tensor, text: Text) -> Tensor:
        """What the denoiser says (B, C, h, w), in fp32."""


def _above(one: Draw) -> float:
    """Evenly drawn from its lowest noise level up to 1."""
    return one.lowest + (1 - one.lowest) * one.uniform


def losses(
    objective: Objective, denoise: Denoise, clean: Tensor, noise: Tensor, levels: Tensor, text: Text
) -> Tensor:
    """Mean squared error (B,) of what the denoiser says; every tensor fp32 but inside it.

    clean: scaled latents (B, C, h, w).
    """
    noisy, target = objective.mixed(clean, noise, levels)
    predicted = denoise(noisy, levels, text)
    return (predicted - target).square().flatten(1).mean(dim=1)


@dataclass(frozen=True)
class FluxObjective:
    """The rectified flow. `base_shift` and its like as in the scheduler's configuration;
    `guidance` None where the model has no embedding for it."""

    scaling_factor: float
    shift_factor: float
    dynamic: bool
    constant_shift: float
    base_shift: float
    max_shift: float
    base_tokens: float
    max_tokens: float
    guidance: float | None
    compute: Compute

    def scaled(self, latents: Tensor) -> Tensor:
        """(z - shift) scale."""
        return (latents - self.shift_factor) * self.scaling_factor

    def shift(self, tokens: int) -> float:
        """By how much sigmas are shifted: e^mu, mu linear in the number of image tokens."""
        if not self.dynamic:
            return self.constant_shift
        slope = (self.max_shift - self.base_shift) / (self.max_tokens - self.base_tokens)
        return math.exp(self.base_shift + slope * (tokens - self.base_tokens))

    def levels(self, draws: Sequence[Draw], tokens: int) -> Tensor:
        """Sigmas in 0..1: logit-normal, then shifted."""
        sigmas = torch.sigmoid(torch.tensor([one.normal for one in draws], dtype=torch.float32))
        shift = self.shift(tokens)
        everywhere = shift * sigmas / (1 + (shift - 1) * sigmas)
        above = torch.tensor([_above(one) for one in draws], dtype=torch.float32)
        return torch.where(torch.tensor([one.lowest > 0 for one in draws]), above, everywhere)

    def validation_level(self, level: float) -> float:
        """Sigma itself, without a shift."""
        return level

    def mixed(self, clean: Tensor, noise: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
        """x_sigma and noise - x_0."""
        sigmas = levels[:, None, None, None]
        return (1 - sigmas) * clean + sigmas * noise, noise - clean

    def denoise(self, model: Any, noisy: Tensor, levels: Tensor, text: Text) -> Tensor:
        """The velocity; the model itself sees packed latents (B, h/2 w/2, 4 C)."""
        batch, _, height, width = noisy.shape
        device = noisy.device
        guidance = None
        if self.guidance is not None:
            guidance = torch.full((batch,), self.guidance, device=device)
        packed = model(
            hidden_states=pack(noisy).to(self.compute.weights),
            timestep=levels,
            guidance=guidance,
            pooled_projections=text.pooled,
            encoder_hidden_states=text.states,
            txt_ids=torch.zeros(text.states.shape[1], 3, device=device),
            img_ids=image_ids(height // 2, width // 2, device),
            return_dict=False,
        )[0]
        return unpack(packed.float(), height, width)


@dataclass(frozen=True)
class DiffusionObjective:
    """Noise or velocity prediction over discrete timesteps; `visible` is a_t (T,), fp32."""

    scaling_factor: float
    visible: Tensor
    predicts: str
    compute: Compute

    def scaled(self, latents: Tensor) -> Tensor:
        """z scale."""
        return latents * self.scaling_factor

    def levels(self, draws: Sequence[Draw], tokens: int) -> Tensor:  # noqa: ARG002 - FLUX's alone
        """Timesteps, evenly drawn."""
        steps = len(self.visible)
        return torch.tensor([min(steps - 1, int(_above(one) * steps)) for one in draws])

    def validation_level(self, level: float) -> float:
        """The timestep at that share of all."""
        return float(round(level * (len(self.visible) - 1)))

    def mixed(self, clean: Tensor, noise: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
        """x_t and the noise, or the velocity."""
        visible = self.visible.to(clean.device)[levels.long()][:, None, None, None]
        signal, spread = visible.sqrt(), (1 - visible).sqrt()
        noisy = signal * clean + spread * noise
        target = noise if self.predicts == "epsilon" else signal * noise - spread * clean
        return noisy, target

    def denoise(self, model: Any, noisy: Tensor, levels: Tensor, text: Text) -> Tensor:
        """What the U-Net says."""
        predicted: Tensor = model(
            noisy.to(self.compute.weights),
            levels.long(),
            encoder_hidden_states=text.states,
            return_dict=False,
        )[0]
        return predicted.float()


def make_objective(base: Base, guidance: float) -> Objective:
    """The objective of a base; raises FinetuningError for one that predicts something else."""
    vae, scheduler = base.vae.config, base.pipeline.scheduler.config
    if base.entry.family is Family.FLUX:
        shifts = shifts_of(base.pipeline)
        embedded = bool(base.denoiser.config.guidance_embeds)
        return FluxObjective(
            scaling_factor=float(vae.scaling_factor),
            shift_factor=float(vae.shift_factor or 0.0),
            dynamic=bool(shifts["dynamic"]),
            constant_shift=shifts["shift"],
            base_shift=shifts["base_shift"],
            max_shift=shifts["max_shift"],
            base_tokens=shifts["base_image_seq_len"],
            max_tokens=shifts["max_image_seq_len"],
            guidance=guidance if embedded else None,
            compute=base.compute,
        )
    predicts = scheduler.get("prediction_type", "epsilon")
    if predicts not in ("epsilon", "v_prediction"):
        raise FinetuningError(
            f"The base {base.entry.name} predicts '{predicts}', which is not trained here: choose "
            "one that predicts noise."
        )
    return DiffusionObjective(
        scaling_factor=float(vae.scaling_factor),
        visible=visible_shares(scheduler).to(base.compute.device),
        predicts=predicts,
        compute=base.compute,
    )


def visible_shares(scheduler: Any) -> Tensor:
    """a_t (T,) of a scheduler's configuration, in fp32.

    Raises:
        FinetuningError: its betas follow a rule that is not known here.
    """
    start, end = float(scheduler["beta_start"]), float(scheduler["beta_end"])
    steps = int(scheduler["num_train_timesteps"])
    rule = scheduler.get("beta_schedule", "linear")
    if scheduler.get("trained_betas") is not None:
        betas = np.asarray(scheduler["trained_betas"], dtype=np.float64)
    elif rule == "scaled_linear":
        betas = np.linspace(start**0.5, end**0.5, steps) ** 2
    elif rule == "linear":
        betas = np.linspace(start, end, steps)
    else:
        raise FinetuningError(
            f"The scheduler of the base has the noise schedule '{rule}', which is not known here: "
            "use 'linear' or 'scaled_linear'."
        )
    return torch.from_numpy(np.cumprod(1 - betas)).float()


def pack(latents: Tensor) -> Tensor:
    """(B, C, h, w) to (B, h/2 w/2, 4 C): patches of 2 x 2, channel first as in diffusers."""
    batch, channels, height, width = latents.shape
    patches = latents.view(batch, channels, height // 2, 2, width // 2, 2)
    return patches.permute(0, 2, 4, 1, 3, 5).reshape(
        batch, (height // 2) * (width // 2), channels * 4
    )


def unpack(packed: Tensor, height: int, width: int) -> Tensor:
    """(B, h/2 w/2, 4 C) to (B, C, h, w)."""
    batch, _, numbers = packed.shape
    patches = packed.view(batch, height // 2, width // 2, numbers // 4, 2, 2)
    return patches.permute(0, 3, 1, 4, 2, 5).reshape(batch, numbers // 4, height, width)


def image_ids(rows: int, columns: int, device: torch.device) -> Tensor:
    """Where each patch is (rows columns, 3): zero, row, column."""
    ids = torch.zeros(rows, columns, 3, device=device)
    ids[..., 1] = torch.arange(rows, device=device)[:, None]
    ids[..., 2] = torch.arange(columns, device=device)[None]
    return ids.reshape(rows * columns, 3)
