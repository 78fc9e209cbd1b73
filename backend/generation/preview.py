"""A look at the image in the making, nearly free: latents to RGB by one linear map."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.images import Pixels

if TYPE_CHECKING:
    import torch

_SAMPLES = 24
_SAMPLE_SIDE = 64


@dataclass(frozen=True)
class LatentPreview:
    """The least-squares map from a model's latents to the colours of the pixels beneath them.

    weight: (latent channels + 1, 3), its last row the constant; gives RGB in -1..1.
    """

    weight: "torch.Tensor"

    def project(self, latents: "torch.Tensor") -> Pixels:
        """Latents (C, h, w) as the autoencoder's transformer sees them to RGB (h, w, 3)."""
        values = latents.detach().to("cpu", dtype=self.weight.dtype).permute(1, 2, 0)
        rgb = values @ self.weight[:-1] + self.weight[-1]
        scaled = ((rgb + 1) * 127.5).round().clamp(0, 255)
        return np.asarray(scaled.byte().numpy())


def fit_preview(vae: Any) -> LatentPreview:
    """Regress colours on latents over smooth random images that the autoencoder encodes."""
    import torch
    from torch.nn.functional import avg_pool2d

    images = _smooth_images()
    with torch.no_grad():
        encoded = vae.encode(images.to(vae.device, vae.dtype)).latent_dist.mode()
        latents = (encoded - (vae.config.shift_factor or 0)) * vae.config.scaling_factor
    factor = _SAMPLE_SIDE // latents.shape[-1]
    features = latents.float().cpu().permute(0, 2, 3, 1).flatten(0, 2)
    features = torch.cat([features, torch.ones(len(features), 1)], dim=1)
    colours = avg_pool2d(images, factor).permute(0, 2, 3, 1).flatten(0, 2)
    return LatentPreview(torch.linalg.lstsq(features, colours, driver="gelsd").solution)


def estimate_clean(
    previous: "torch.Tensor", latents: "torch.Tensor", sigma_before: float, sigma: float
) -> "torch.Tensor":
    """The image that the current velocity points to, from two successive latents.

    On the paths x_sigma = (1 - sigma) x_0 + sigma noise and x_sigma = x_0 + sigma noise the
    velocity is dx/dsigma, and x_0 = x_sigma - sigma dx/dsigma.
    """
    velocity = (latents - previous) / (sigma - sigma_before)
    return latents - sigma * velocity


def unpack_latents(packed: "torch.Tensor", height: int, width: int) -> "torch.Tensor":
    """Latents of an image of height x width to (C, h, w): packed (1, h/2 * w/2, 4 C), or not."""
    if packed.ndim == 4:
        return packed[0]
    rows, columns = height // 16, width // 16
    channels = packed.shape[-1] // 4
    blocks = packed[0].view(rows, columns, channels, 2, 2)
    return blocks.permute(2, 0, 3, 1, 4).reshape(channels, 2 * rows, 2 * columns)


def _smooth_images() -> "torch.Tensor":
    """Random colour fields (B, 3, H, W) in -1..1: what a fit of colours needs, and no texture."""
    import torch
    from torch.nn.functional import interpolate

    generator = torch.Generator("cpu").manual_seed(0)
    coarse = torch.rand(_SAMPLES, 3, 4, 4, generator=generator) * 2 - 1
    size = (_SAMPLE_SIDE, _SAMPLE_SIDE)
    return interpolate(coarse, size=size, mode="bilinear", align_corners=False)
