"""Asymmetry, border and colours of segmented pictures as differentiable numbers.

The definitions are those of the phantoms' outlines: mirrored-area mismatch about the principal axes
of the low orders, and the relative radial deviation of the high orders.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from backend.abc.attributes import Asymmetry, Border, Colour, Edge, LesionAttributes, SkinTone

ANGLES, RADII = 96, 48
FARTHEST = 1.3
"""The longest radius looked at; the frame reaches from -1 to 1."""
LOWEST_BORDER_ORDER, HIGHEST_BORDER_ORDER = 5, 13
SHARPNESS = 2.0
KINDS = ("border", "asymmetry", "layout", "colours", "edge", "skin")
PRESENT, ABSENT = 0.13, 0.02
"""Shares of the lesion that a stated colour has at least, and any other one at most."""
QUANTILES = (0.2, 0.8)


@dataclass(frozen=True)
class Shapes:
    """What was measured of N lesions.

    `irregularity` (N,) natural log of the radial deviation; `mismatch` (N, 2) of the area about the
    better and the worse axis; `offset` (N, 2) of the colours' centres off the same axes, in mean
    radii; `shares` (N, 6) of the colours; `sharpness` (N,) natural log of the steepness of the
    boundary over the contrast it bridges; `skin` (N, 3) mean RGB of the skin in [-1, 1].
    """

    irregularity: Tensor
    mismatch: Tensor
    offset: Tensor
    shares: Tensor
    sharpness: Tensor
    skin: Tensor


def shapes_of(logits: Tensor, pixels: Tensor) -> Shapes:
    """Shapes of logits (N, 7, S, S) of skin and colours, and pictures (N, 3, 2S, 2S) in [-1, 1]."""
    colours = logits[:, 1:].softmax(dim=1)
    lesion = torch.sigmoid(SHARPNESS * (logits[:, 1:].logsumexp(dim=1) - logits[:, 0]))
    side = lesion.shape[-1]
    ticks = (torch.arange(side) + 0.5) * 2 / side - 1
    row, column = torch.meshgrid(ticks, ticks, indexing="ij")
    area = lesion.sum(dim=(1, 2)).clamp(min=1.0)
    centre = torch.stack([_mean(lesion, column, area), _mean(lesion, row, area)], dim=1)
    radii = _radii(lesion, centre)
    low = _orders(radii, 0, LOWEST_BORDER_ORDER)
    high = _orders(radii / low.clamp(min=0.05), LOWEST_BORDER_ORDER, HIGHEST_BORDER_ORDER + 1)
    deviation = high.square().mean(dim=1).add(1e-8).sqrt()
    mismatch, turn = _mirrored(low)
    held = colours * lesion[:, None]
    amounts = held.sum(dim=(2, 3))
    columns = (held * column).sum(dim=(2, 3)) / amounts.clamp(min=1e-3) - centre[:, :1]
    rows = (held * row).sum(dim=(2, 3)) / amounts.clamp(min=1e-3) - centre[:, 1:]
    shares = amounts / area[:, None]
    across = (rows * turn.cos()[:, None] - columns * turn.sin()[:, None]).abs()
    along = (columns * turn.cos()[:, None] + rows * turn.sin()[:, None]).abs()
    offset = torch.stack([(shares * across).sum(1), (shares * along).sum(1)], dim=1)
    return Shapes(
        torch.log(deviation + 0.004),
        mismatch,
        offset / (area / math.pi).sqrt()[:, None] * side / 2,
        shares,
        *_edge_and_skin(lesion, F.avg_pool2d(pixels, 2)),
    )


@dataclass(frozen=True)
class Bands:
    """Where the middle of the phantoms lies: (2, ...) bounds by attribute value."""

    irregularity: dict[Border, Tensor]
    mismatch: dict[Asymmetry, Tensor]
    offset: dict[Asymmetry, Tensor]
    sharpness: dict[Edge, Tensor]
    skin: dict[SkinTone, Tensor]


def bands_of(shapes: Shapes, truths: Sequence[LesionAttributes]) -> Bands:
    """The central three fifths of what phantoms of known truth measure."""
    levels = torch.tensor(QUANTILES)
    borders = {b: torch.tensor([t.border is b for t in truths]) for b in Border}
    asymmetries = {a: torch.tensor([t.asymmetry is a for t in truths]) for a in Asymmetry}
    edges = {e: torch.tensor([t.edge is e for t in truths]) for e in Edge}
    tones = {tone: torch.tensor([t.skin_tone is tone for t in truths]) for tone in SkinTone}
    several = torch.tensor([len(truth.colours) > 1 for truth in truths])
    return Bands(
        {b: torch.quantile(shapes.irregularity[rows], levels) for b, rows in borders.items()},
        {
            a: torch.quantile(shapes.mismatch[rows], levels, dim=0)
            for a, rows in asymmetries.items()
        },
        {
            a: torch.quantile(shapes.offset[rows & several], levels, dim=0)
            for a, rows in asymmetries.items()
        },
        {e: torch.quantile(shapes.sharpness[rows], levels) for e, rows in edges.items()},
        {tone: torch.quantile(shapes.skin[rows], levels, dim=0) for tone, rows in tones.items()},
    )


def departures(
    shapes: Shapes, stated: Sequence[LesionAttributes], bands: Bands
) -> dict[str, Tensor]:
    """How far each lesion (N,) is outside the bands of what is stated of it; 0 if unstated."""
    each = [_departures_of_one(shapes, index, one, bands) for index, one in enumerate(stated)]
    return {name: torch.stack([one[name] for one in each]) for name in KINDS}


def _departures_of_one(
    shapes: Shapes, index: int, stated: LesionAttributes, bands: Bands
) -> dict[str, Tensor]:
    found = dict.fromkeys(KINDS, torch.zeros(()))
    if stated.border is not None:
        found["border"] = _outside(shapes.irregularity[index], bands.irregularity[stated.border])
    if stated.asymmetry is not None:
        found["asymmetry"] = _outside(shapes.mismatch[index], bands.mismatch[stated.asymmetry])
        if len(stated.colours) > 1:
            found["layout"] = _outside(shapes.offset[index], bands.offset[stated.asymmetry])
    if stated.colours:
        found["colours"] = _colour_departure(shapes.shares[index], stated)
    if stated.edge is not None:
        found["edge"] = _outside(shapes.sharpness[index], bands.sharpness[stated.edge])
    if stated.skin_tone is not None:
        found["skin"] = _outside(shapes.skin[index], bands.skin[stated.skin_tone])
    return found


def _edge_and_skin(lesion: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Log of steepness over contrast (N,) on the boundary of lesions (N, S, S), and skin (N, 3)."""
    held = lesion[:, None]
    inside = (pixels * held).sum(dim=(2, 3)) / held.sum(dim=(2, 3)).clamp(min=1.0)
    skin = (pixels * (1 - held)).sum(dim=(2, 3)) / (1 - held).sum(dim=(2, 3)).clamp(min=1.0)
    contrast = (inside - skin).square().sum(dim=1).add(1e-4).sqrt()
    right = (pixels[:, :, 1:-1, 2:] - pixels[:, :, 1:-1, :-2]) / 2
    down = (pixels[:, :, 2:, 1:-1] - pixels[:, :, :-2, 1:-1]) / 2
    steep = (right.square() + down.square()).sum(dim=1).add(1e-6).sqrt()
    boundary = (lesion * (1 - lesion))[:, 1:-1, 1:-1]
    mean = (steep * boundary).sum(dim=(1, 2)) / boundary.sum(dim=(1, 2)).clamp(min=1e-2)
    return torch.log(mean / contrast + 1e-3), skin


def _colour_departure(shares: Tensor, stated: LesionAttributes) -> Tensor:
    shown = torch.tensor([colour in stated.colours for colour in Colour])
    missing = F.relu(PRESENT - shares) * shown
    surplus = F.relu(shares - ABSENT) * ~shown
    return (missing + surplus).sum() / PRESENT


def _outside(value: Tensor, band: Tensor) -> Tensor:
    """How far a value () or values (K,) are outside their band (2,) or (2, K), summed."""
    return (F.relu(band[0] - value) + F.relu(value - band[1])).sum()


def _mean(weights: Tensor, values: Tensor, total: Tensor) -> Tensor:
    return (weights * values).sum(dim=(1, 2)) / total


def _radii(lesion: Tensor, centre: Tensor) -> Tensor:
    """Radii (N, ANGLES) of the area in every direction from the centre (N, 2)."""
    angles = torch.arange(ANGLES) * (2 * math.pi / ANGLES)
    steps = (torch.arange(RADII) + 0.5) * FARTHEST / RADII
    rays = torch.stack([angles.cos(), angles.sin()], dim=-1)[:, None] * steps[None, :, None]
    grid = centre[:, None, None] + rays[None]
    seen = F.grid_sample(lesion[:, None], grid, align_corners=False)[:, 0]
    return (2 * (seen * steps).sum(dim=2) * FARTHEST / RADII).add(1e-6).sqrt()


def _orders(radii: Tensor, first: int, end: int) -> Tensor:
    spectrum = torch.fft.rfft(radii)
    order = torch.arange(spectrum.shape[1])
    return torch.fft.irfft(spectrum * ((order >= first) & (order < end)), radii.shape[1])


def _mirrored(radii: Tensor) -> tuple[Tensor, Tensor]:
    """Mismatched shares (N, 2) about the better and the worse principal axis, and the turn (N,) of
    the better one in radians."""
    squared = radii.square()
    angles = torch.arange(ANGLES) * (2 * math.pi / ANGLES)
    fourth = squared.square().detach()
    turn = (
        torch.atan2((fourth * (2 * angles).sin()).sum(1), (fourth * (2 * angles).cos()).sum(1)) / 2
    )
    spectrum = torch.fft.rfft(squared)
    order = torch.arange(spectrum.shape[1])
    both = []
    for axis in (turn, turn + math.pi / 2):
        phase = torch.polar(torch.ones(()), -2 * order * axis[:, None])
        mirrored = torch.fft.irfft(spectrum.conj() * phase, ANGLES)
        both.append((squared - mirrored).abs().sum(1) / squared.sum(1))
    first, second = both
    swapped = (second < first).detach()
    better = torch.where(swapped, second, first)
    worse = torch.where(swapped, first, second)
    return torch.stack([better, worse], dim=1), torch.where(swapped, turn + math.pi / 2, turn)
