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
AXES = 24
"""Axes that are looked at over half a turn, the principal ones among them."""
FARTHEST = 1.3
"""The longest radius looked at; the frame reaches from -1 to 1."""
BORDER_ORDERS = ((5, 14), (5, 8), (8, 11), (11, 24))
"""Orders of the outline, end excluded: those of the phantoms' borders, then these in parts."""
SMALLEST_DEVIATION = 0.01
"""What the segmenter's pixels add to the deviation of a smooth outline, and more."""
SHARPNESS = 2.0
KINDS = ("border", "asymmetry", "layout", "colours", "edge", "skin", "wholeness")
PRESENT, ABSENT = 0.13, 0.02
"""Shares of the lesion that a stated colour has at least, and any other one at most."""
TRACE = 0.01
"""Added to a share before its logarithm: what is wholly missing still pulls, and ten times so."""
QUANTILES = (0.2, 0.8)
EDGE_QUANTILES = (0.4, 0.6)
"""Narrower, since samples stop at the near end of their band and there are only two edges."""
FREE_SHIFT = 0.12
"""How far a centre may move, in half widths of the frame, before the lesion lies otherwise."""
LYING_ORDERS, ALIKE = (2, 3), (0.8, 0.0)
"""Orders of the outline whose phases say along which axis a lesion lies and where its heavier end
is, and the cosine of the phase from which it still lies alike."""
FAINT = 0.03
"""An order of such an amplitude, in mean radii, has hardly a phase."""


@dataclass(frozen=True)
class Shapes:
    """What was measured of N lesions.

    `irregularity` (N, 4) natural logs of the radial deviation by `BORDER_ORDERS`; `mismatch`
    (N, 3) of the area about the better and the worse principal axis, and the least about any axis;
    `offset` (N, 2) of the colours' centres off the principal axes, in mean radii; `shares` (N, 6)
    of the colours; `sharpness` (N,) natural log of the steepness of the boundary over the contrast
    it bridges; `skin` (N, 3) mean RGB of the skin in [-1, 1]; `scatter` (N,) how much lesion begins
    again further out on a ray from the centre: 0 in one piece; `lie` (N, 3) complex, where the
    centre is in the frame and the `LYING_ORDERS` of the outline, in mean radii.
    """

    irregularity: Tensor
    mismatch: Tensor
    offset: Tensor
    shares: Tensor
    sharpness: Tensor
    skin: Tensor
    scatter: Tensor
    lie: Tensor


def shapes_of(logits: Tensor, pixels: Tensor) -> Shapes:
    """Shapes of logits (N, 7, S, S) of skin and colours, and pictures (N, 3, 2S, 2S) in [-1, 1]."""
    colours = logits[:, 1:].softmax(dim=1)
    lesion = torch.sigmoid(SHARPNESS * (logits[:, 1:].logsumexp(dim=1) - logits[:, 0]))
    side = lesion.shape[-1]
    ticks = (torch.arange(side) + 0.5) * 2 / side - 1
    row, column = torch.meshgrid(ticks, ticks, indexing="ij")
    area = lesion.sum(dim=(1, 2)).clamp(min=1.0)
    centre = torch.stack([_mean(lesion, column, area), _mean(lesion, row, area)], dim=1)
    radii, scatter = _radii(lesion, centre)
    low = _orders(radii, 0, BORDER_ORDERS[0][0])
    relative = radii / low.clamp(min=0.05)
    deviations = [_orders(relative, *orders).square().mean(dim=1) for orders in BORDER_ORDERS]
    deviation = torch.stack(deviations, dim=1).add(1e-8).sqrt()
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
        torch.log(deviation + SMALLEST_DEVIATION),
        mismatch,
        offset / (area / math.pi).sqrt()[:, None] * side / 2,
        shares,
        *_edge_and_skin(lesion, F.avg_pool2d(pixels, 2)),
        scatter,
        _lie(radii, centre),
    )


@dataclass(frozen=True)
class Bands:
    """Where the middle of the phantoms lies: (2, ...) bounds by attribute value."""

    irregularity: dict[Border, Tensor]
    mismatch: dict[Asymmetry, Tensor]
    offset: dict[Asymmetry, Tensor]
    sharpness: dict[Edge, Tensor]
    skin: dict[SkinTone, Tensor]
    scatter: Tensor


def bands_of(shapes: Shapes, truths: Sequence[LesionAttributes]) -> Bands:
    """The central three fifths of what phantoms of known truth measure; of edges one fifth."""
    levels, near = torch.tensor(QUANTILES), torch.tensor(EDGE_QUANTILES)
    borders = {b: torch.tensor([t.border is b for t in truths]) for b in Border}
    asymmetries = {a: torch.tensor([t.asymmetry is a for t in truths]) for a in Asymmetry}
    edges = {e: torch.tensor([t.edge is e for t in truths]) for e in Edge}
    tones = {tone: torch.tensor([t.skin_tone is tone for t in truths]) for tone in SkinTone}
    several = torch.tensor([len(truth.colours) > 1 for truth in truths])
    return Bands(
        {
            b: torch.quantile(shapes.irregularity[rows], levels, dim=0)
            for b, rows in borders.items()
        },
        {
            a: torch.quantile(shapes.mismatch[rows], levels, dim=0)
            for a, rows in asymmetries.items()
        },
        {
            a: torch.quantile(shapes.offset[rows & several], levels, dim=0)
            for a, rows in asymmetries.items()
        },
        {e: torch.quantile(shapes.sharpness[rows], near) for e, rows in edges.items()},
        {tone: torch.quantile(shapes.skin[rows], levels, dim=0) for tone, rows in tones.items()},
        torch.quantile(shapes.scatter, levels),
    )


def departures(
    shapes: Shapes, stated: Sequence[LesionAttributes], bands: Bands
) -> dict[str, Tensor]:
    """How far each lesion (N,) is outside the bands of what is stated of it; 0 if unstated."""
    each = [_departures_of_one(shapes, index, one, bands) for index, one in enumerate(stated)]
    return {name: torch.stack([one[name] for one in each]) for name in KINDS}


def turned(shapes: Shapes, before: Shapes) -> Tensor:
    """How much each lesion (N,) lies otherwise than the same one did `before`: 0 within bounds."""
    now, then = shapes.lie, before.lie
    found = F.relu((now[:, 0] - then[:, 0]).abs() - FREE_SHIFT)
    for place, alike in enumerate(ALIKE, start=1):
        here, there = now[:, place], then[:, place]
        length = (here.real.square() + here.imag.square() + FAINT**2).sqrt()
        cosine = (here * there.conj()).real / length / there.abs().clamp(min=1e-6)
        clear = there.abs() / (there.abs() + FAINT)
        found = found + clear * F.relu(alike - cosine)
    return found


def _departures_of_one(
    shapes: Shapes, index: int, stated: LesionAttributes, bands: Bands
) -> dict[str, Tensor]:
    found = dict.fromkeys(KINDS, torch.zeros(()))
    found["wholeness"] = F.relu(shapes.scatter[index] - bands.scatter[1])
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
    missing = F.relu(math.log(PRESENT + TRACE) - torch.log(shares + TRACE)) * shown
    surplus = F.relu(shares - ABSENT) * ~shown
    return missing.sum() + surplus.sum() / PRESENT


def _outside(value: Tensor, band: Tensor) -> Tensor:
    """How far a value () or values (K,) are outside their band (2,) or (2, K), summed."""
    return (F.relu(band[0] - value) + F.relu(value - band[1])).sum()


def _mean(weights: Tensor, values: Tensor, total: Tensor) -> Tensor:
    return (weights * values).sum(dim=(1, 2)) / total


def _radii(lesion: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    """Radii (N, ANGLES) of the area in every direction from the centre (N, 2), and the mean rise
    (N,) of the lesion outwards."""
    angles = torch.arange(ANGLES) * (2 * math.pi / ANGLES)
    steps = (torch.arange(RADII) + 0.5) * FARTHEST / RADII
    rays = torch.stack([angles.cos(), angles.sin()], dim=-1)[:, None] * steps[None, :, None]
    grid = centre[:, None, None] + rays[None]
    seen = F.grid_sample(lesion[:, None], grid, align_corners=False)[:, 0]
    radii = (2 * (seen * steps).sum(dim=2) * FARTHEST / RADII).add(1e-6).sqrt()
    return radii, F.relu(seen.diff(dim=2)).sum(dim=2).mean(dim=1)


def _lie(radii: Tensor, centre: Tensor) -> Tensor:
    spectrum = torch.fft.rfft(radii / radii.mean(dim=1, keepdim=True)) * 2 / ANGLES
    orders = spectrum[:, list(LYING_ORDERS)]
    return torch.cat([torch.complex(centre[:, :1], centre[:, 1:]), orders], dim=1)


def _orders(radii: Tensor, first: int, end: int) -> Tensor:
    spectrum = torch.fft.rfft(radii)
    order = torch.arange(spectrum.shape[1])
    return torch.fft.irfft(spectrum * ((order >= first) & (order < end)), radii.shape[1])


def _mirrored(radii: Tensor) -> tuple[Tensor, Tensor]:
    """Mismatched shares (N, 3) about the better and the worse principal axis and the least about
    any axis, and the turn (N,) of the better one in radians."""
    squared = radii.square()
    angles = torch.arange(ANGLES) * (2 * math.pi / ANGLES)
    fourth = squared.square().detach()
    turn = (
        torch.atan2((fourth * (2 * angles).sin()).sum(1), (fourth * (2 * angles).cos()).sum(1)) / 2
    )
    every = torch.arange(AXES) * (math.pi / AXES) + turn[:, None]
    around = _mismatch(squared, every)
    first, second = around[:, 0], around[:, AXES // 2]
    swapped = (second < first).detach()
    better = torch.where(swapped, second, first)
    worse = torch.where(swapped, first, second)
    mismatch = torch.stack([better, worse, around.amin(dim=1)], dim=1)
    return mismatch, torch.where(swapped, turn + math.pi / 2, turn)


def _mismatch(squared: Tensor, axes: Tensor) -> Tensor:
    """Share of the area (N, A) that differs from its mirror image about axes (N, A) in radians."""
    spectrum = torch.fft.rfft(squared)[:, None]
    phase = torch.polar(torch.ones(()), -2 * torch.arange(spectrum.shape[-1]) * axes[..., None])
    mirrored = torch.fft.irfft(spectrum.conj() * phase, ANGLES)
    return (squared[:, None] - mirrored).abs().sum(dim=2) / squared.sum(dim=1, keepdim=True)
