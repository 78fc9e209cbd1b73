"""Pictures made stranger than phantoms are, for the autoencoder alone.

A LoRA learns photographs in the autoencoder's latents. One that has seen drawn skin only washes out
what it never saw: other hues, pores, glare, the grain of a sensor. Here colours are mixed anew,
fine structure of every scale is laid over, and two pictures are joined along ragged edges.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

MIXING, GAIN, BIAS, GAMMA = 0.2, 0.3, 0.25, 0.4
"""Spreads of the colour change: between channels, of contrast, of brightness, of log gamma."""
COLOURED, TEXTURED, JOINED, GRAINED = 0.6, 0.5, 0.2, 0.7
"""Shares of the pictures that are changed so."""
LARGEST_TEXTURE = 0.3
SLOPES = (-0.1, 1.4)
"""Natural logarithms of what each halving of the scale takes from the noise."""
COARSEST = 4
GRAIN = (0.008, 0.034)
"""Least and greatest deviation of the grain; 0.008 is one of 255 levels."""
UNEVEN = 0.3
"""How much the grain differs within a picture."""
COLOUR_NOISE = 0.35
"""Deviation of a channel's own grain beside that which all channels share."""


def widened(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Changed pictures (N, 3, S, S) in [-1, 1]; some of them stay as they are."""
    pixels = _joined(pixels, generator)
    pixels = _coloured(pixels, generator)
    pixels = _textured(pixels, generator)
    return _grained(pixels, generator).clamp(-1, 1)


def _joined(pixels: Tensor, generator: torch.Generator) -> Tensor:
    field = _noise(pixels, generator, channels=1)
    mask = torch.sigmoid(12 * field) * _chosen(pixels, JOINED, generator)
    return torch.lerp(pixels, pixels.roll(1, dims=0), mask)


def _coloured(pixels: Tensor, generator: torch.Generator) -> Tensor:
    count = len(pixels)
    light = ((pixels + 1) / 2).clamp(min=1e-3)
    light = light.pow(torch.exp(GAMMA * _normal((count, 1, 1, 1), generator)))
    mixing = torch.eye(3, device=pixels.device) + MIXING * _normal((count, 3, 3), generator)
    mixed = torch.einsum("nij,njhw->nihw", mixing, light * 2 - 1)
    gain = torch.exp(GAIN * _normal((count, 1, 1, 1), generator))
    changed = gain * mixed + BIAS * _normal((count, 3, 1, 1), generator)
    return torch.lerp(pixels, changed, _chosen(pixels, COLOURED, generator))


def _textured(pixels: Tensor, generator: torch.Generator) -> Tensor:
    grey = _noise(pixels, generator, channels=1)
    coloured = _noise(pixels, generator, channels=3)
    share = _uniform((len(pixels), 1, 1, 1), generator)
    strength = LARGEST_TEXTURE * _uniform((len(pixels), 1, 1, 1), generator).square()
    texture = torch.lerp(grey, coloured, 0.5 * share)
    return pixels + strength * texture * _chosen(pixels, TEXTURED, generator)


def _grained(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """With noise between that of each pixel alone and that which a lens and a JPEG leave of it."""
    count, _, height, width = pixels.shape
    shared = _normal((count, 1, height, width), generator)
    noise = shared + COLOUR_NOISE * _normal((count, 3, height, width), generator)
    soft = F.avg_pool2d(noise, 3, stride=1, padding=1, count_include_pad=False)
    noise = torch.lerp(noise, 3 * soft, _uniform((count, 1, 1, 1), generator))
    noise = noise / noise.std(dim=(1, 2, 3), keepdim=True)
    low, high = GRAIN
    strength = low + (high - low) * _uniform((count, 1, 1, 1), generator)
    uneven = (1 + UNEVEN * _noise(pixels, generator, channels=1)).clamp(min=0.3)
    return pixels + strength * noise * uneven * _chosen(pixels, GRAINED, generator)


def _noise(pixels: Tensor, generator: torch.Generator, *, channels: int) -> Tensor:
    """Noise (N, C, S, S) of unit deviation whose fineness differs from picture to picture."""
    count, _, height, width = pixels.shape
    steep = SLOPES[1] - SLOPES[0]
    slope = SLOPES[0] + steep * _uniform((count, 1, 1, 1), generator)
    total = pixels.new_zeros(count, channels, height, width)
    side, octave = COARSEST, 0
    while side <= height:
        field = _normal((count, channels, side, side), generator)
        if side < height:
            field = F.interpolate(field, (height, width), mode="bilinear", align_corners=False)
        total = total + torch.exp(-slope * octave) * field
        side, octave = 2 * side, octave + 1
    return total / total.std(dim=(1, 2, 3), keepdim=True).clamp(min=1e-6)


def _chosen(pixels: Tensor, share: float, generator: torch.Generator) -> Tensor:
    return (_uniform((len(pixels), 1, 1, 1), generator) < share).to(pixels.dtype)


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, device=generator.device)


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device)
