"""The network that tells asymmetry, border, edge, skin tone and colours from noisy latents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backend.abc.attributes import Asymmetry, Border, Colour, Edge, LesionAttributes, SkinTone

LATENT_CHANNELS = 16
DOWNSAMPLED = 8
LEVELS = 16
"""Frequencies that tell the noise level."""
KINDS: Mapping[str, type[Enum]] = {
    "asymmetry": Asymmetry,
    "border": Border,
    "edge": Edge,
    "skin_tone": SkinTone,
}
COLOURS = "colours"


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
    """Logits by attribute for latents (B, 16, S, S), scaled as in training, at sigmas (B,).

    `width` is that of its first level, a multiple of 8; S is `image_size` / 8.
    """

    def __init__(self, width: int, image_size: int) -> None:
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
        side = image_size // DOWNSAMPLED // 4
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


def surprises(logits: Mapping[str, Tensor], stated: Stated) -> dict[str, Tensor]:
    """Minus the log-probability (B,) of what is stated, by attribute; zero where it is open."""
    found = {
        kind: -(share * logits[kind].log_softmax(dim=1)).sum(dim=1)
        for kind, share in stated.shares.items()
    }
    each = F.binary_cross_entropy_with_logits(logits[COLOURS], stated.colours, reduction="none")
    return {**found, COLOURS: each.sum(dim=1) * stated.coloured}
