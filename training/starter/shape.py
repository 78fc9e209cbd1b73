"""Asymmetry, border and colours of segmented pictures as differentiable numbers.

The definitions are those of the phantoms' outlines: mirrored-area mismatch about the principal axes
of the low orders, and the relative radial deviation of the high orders.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

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
PRESENT, ABSENT = 0.13, 0.02
"""Shares of the lesion that a stated colour has at least, and any other one at most."""
RINGS = 6
RING_REACH = (0.15, 0.9)
"""How far out colours are compared with their mirror images, in radii of the outline there."""
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

    `irregularity` (N, 4) natural logs of the radial deviation by `BORDER_ORDERS`; `mismatch` (N, 3)
    of the area about the better and the worse principal axis, and the least about any axis;
    `offset` (N, 2) of the colours' centres off the principal axes, in mean radii; `fold` (N, 2)
    mean difference of RGB from its mirror image about the better and the worse principal axis;
    `shares` (N, 6) of the colours; `sharpness` (N,) natural log of the steepness of the boundary
    over the contrast it bridges; `skin` (N, 3) mean RGB of the skin in [-1, 1]; `scatter` (N,) how
    much lesion begins again further out on a ray from the centre: 0 in one piece; `lie` (N, 3)
    complex, where the centre is in the frame and the `LYING_ORDERS` of the outline, in mean radii.
    """

    irregularity: Tensor
    mismatch: Tensor
    offset: Tensor
    fold: Tensor
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
    ticks = (torch.arange(side, device=lesion.device) + 0.5) * 2 / side - 1
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
    halved = F.avg_pool2d(pixels, 2)
    return Shapes(
        torch.log(deviation + SMALLEST_DEVIATION),
        mismatch,
        offset / (area / math.pi).sqrt()[:, None] * side / 2,
        _folded(halved, centre.detach(), radii.detach(), turn.detach()),
        shares,
        *_edge_and_skin(lesion, halved),
        scatter,
        _lie(radii, centre),
    )


@dataclass(frozen=True)
class Stated:
    """What is stated of N lesions: places in the enums (N,), -1 if unstated; colours (N, 6)."""

    border: Tensor
    asymmetry: Tensor
    edge: Tensor
    skin: Tensor
    colours: Tensor

    def to(self, device: torch.device) -> "Stated":
        """The same on a device."""
        return Stated(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def stated_of(lesions: Sequence[LesionAttributes]) -> Stated:
    """Attributes as numbers."""
    return Stated(
        border=_places_in(Border, [lesion.border for lesion in lesions]),
        asymmetry=_places_in(Asymmetry, [lesion.asymmetry for lesion in lesions]),
        edge=_places_in(Edge, [lesion.edge for lesion in lesions]),
        skin=_places_in(SkinTone, [lesion.skin_tone for lesion in lesions]),
        colours=torch.tensor([[c in lesion.colours for c in Colour] for lesion in lesions]),
    )


@dataclass(frozen=True)
class Bands:
    """Where the middle of the phantoms lies: bounds (K, 2, ...) in the order of each enum's K."""

    irregularity: Tensor
    mismatch: Tensor
    offset: Tensor
    fold: Tensor
    sharpness: Tensor
    skin: Tensor
    scatter: Tensor


def bands_of(shapes: Shapes, truths: Stated) -> Bands:
    """The central three fifths of what phantoms of known truth measure; of edges one fifth."""
    several = truths.colours.sum(dim=1) > 1
    everywhere = torch.ones_like(several)

    def bands(
        values: Tensor,
        places: Tensor,
        kinds: type[Enum],
        quantiles: tuple[float, float] = QUANTILES,
        among: Tensor = everywhere,
    ) -> Tensor:
        levels = values.new_tensor(quantiles)
        rows = [values[(places == kind) & among] for kind in range(len(kinds))]
        return torch.stack([torch.quantile(row, levels, dim=0) for row in rows])

    return Bands(
        irregularity=bands(shapes.irregularity, truths.border, Border),
        mismatch=bands(shapes.mismatch, truths.asymmetry, Asymmetry),
        offset=bands(shapes.offset, truths.asymmetry, Asymmetry, among=several),
        fold=bands(shapes.fold, truths.asymmetry, Asymmetry, among=several),
        sharpness=bands(shapes.sharpness, truths.edge, Edge, EDGE_QUANTILES),
        skin=bands(shapes.skin, truths.skin, SkinTone),
        scatter=torch.quantile(shapes.scatter, shapes.scatter.new_tensor(QUANTILES)),
    )


def departures(shapes: Shapes, stated: Stated, bands: Bands) -> dict[str, Tensor]:
    """How far each lesion (N,) is outside the bands of what is stated of it; 0 if unstated."""
    several = stated.colours.sum(dim=1) > 1
    return {
        "border": _outside(shapes.irregularity, bands.irregularity, stated.border),
        "asymmetry": _outside(shapes.mismatch, bands.mismatch, stated.asymmetry),
        "layout": _outside(shapes.offset, bands.offset, stated.asymmetry) * several,
        "fold": _outside(shapes.fold, bands.fold, stated.asymmetry) * several,
        "colours": _colour_departure(shapes.shares, stated.colours),
        "edge": _outside(shapes.sharpness[:, None], bands.sharpness[..., None], stated.edge),
        "skin": _outside(shapes.skin, bands.skin, stated.skin),
        "wholeness": F.relu(shapes.scatter - bands.scatter[1]),
    }


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


def _colour_departure(shares: Tensor, shown: Tensor) -> Tensor:
    """(N,) of shares (N, 6) where `shown` (N, 6); 0 where no colour is stated."""
    missing = F.relu(math.log(PRESENT + TRACE) - torch.log(shares + TRACE)) * shown
    surplus = F.relu(shares - ABSENT) * ~shown
    return (missing.sum(dim=1) + surplus.sum(dim=1) / PRESENT) * shown.any(dim=1)


def _outside(values: Tensor, bands: Tensor, places: Tensor) -> Tensor:
    """How far values (N, K) are outside the bands (M, 2, K) of their places (N,), summed: (N,)."""
    low, high = bands[places.clamp(min=0)].unbind(dim=1)
    return (F.relu(low - values) + F.relu(values - high)).sum(dim=1) * (places >= 0)


def _places_in(kinds: type[Enum], values: Sequence[Enum | None]) -> Tensor:
    order = list(kinds)
    return torch.tensor([-1 if value is None else order.index(value) for value in values])


def _mean(weights: Tensor, values: Tensor, total: Tensor) -> Tensor:
    return (weights * values).sum(dim=(1, 2)) / total


def _radii(lesion: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    """Radii (N, ANGLES) of the area in every direction from the centre (N, 2), and the mean rise
    (N,) of the lesion outwards."""
    angles = _angles(lesion.device)
    steps = (torch.arange(RADII, device=lesion.device) + 0.5) * FARTHEST / RADII
    rays = torch.stack([angles.cos(), angles.sin()], dim=-1)[:, None] * steps[None, :, None]
    grid = centre[:, None, None] + rays[None]
    seen = F.grid_sample(lesion[:, None], grid, align_corners=False)[:, 0]
    radii = (2 * (seen * steps).sum(dim=2) * FARTHEST / RADII).add(1e-6).sqrt()
    return radii, F.relu(seen.diff(dim=2)).sum(dim=2).mean(dim=1)


def _angles(device: torch.device) -> Tensor:
    return torch.arange(ANGLES, device=device) * (2 * math.pi / ANGLES)


def _lie(radii: Tensor, centre: Tensor) -> Tensor:
    spectrum = torch.fft.rfft(radii / radii.mean(dim=1, keepdim=True)) * 2 / ANGLES
    orders = spectrum[:, list(LYING_ORDERS)]
    return torch.cat([torch.complex(centre[:, :1], centre[:, 1:]), orders], dim=1)


def _orders(radii: Tensor, first: int, end: int) -> Tensor:
    spectrum = torch.fft.rfft(radii)
    order = torch.arange(spectrum.shape[1], device=radii.device)
    return torch.fft.irfft(spectrum * ((order >= first) & (order < end)), radii.shape[1])


def _mirrored(radii: Tensor) -> tuple[Tensor, Tensor]:
    """Mismatched shares (N, 3) about the better and the worse principal axis and the least about
    any axis, and the turn (N,) of the better one in radians."""
    squared = radii.square()
    angles = _angles(radii.device)
    fourth = squared.square().detach()
    turn = (
        torch.atan2((fourth * (2 * angles).sin()).sum(1), (fourth * (2 * angles).cos()).sum(1)) / 2
    )
    every = torch.arange(AXES, device=radii.device) * (math.pi / AXES) + turn[:, None]
    around = _mismatch(squared, every)
    first, second = around[:, 0], around[:, AXES // 2]
    swapped = (second < first).detach()
    better = torch.where(swapped, second, first)
    worse = torch.where(swapped, first, second)
    mismatch = torch.stack([better, worse, around.amin(dim=1)], dim=1)
    return mismatch, torch.where(swapped, turn + math.pi / 2, turn)


def _folded(pixels: Tensor, centre: Tensor, radii: Tensor, turn: Tensor) -> Tensor:
    """Mean difference (N, 2) of colours (N, 3, S, S) from their mirror images about the axis at
    `turn` and the one across it; the outline is taken as it is."""
    angles = _angles(pixels.device) + turn[:, None]
    place = (angles / (2 * math.pi) * ANGLES) % ANGLES
    low = place.long() % ANGLES
    part = place - place.floor()
    reach = torch.lerp(radii.gather(1, low), radii.gather(1, (low + 1) % ANGLES), part)
    steps = torch.linspace(*RING_REACH, RINGS, device=pixels.device)
    rays = torch.stack([angles.cos(), angles.sin()], dim=-1) * reach[..., None]
    grid = centre[:, None, None] + rays[:, :, None] * steps[:, None]
    seen = F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    along = seen.flip(2).roll(1, dims=2)
    across = along.roll(ANGLES // 2, dims=2)
    weight = steps / steps.sum()
    apart = [(seen - other).square().mean(dim=1).add(1e-6).sqrt() for other in (along, across)]
    return torch.stack([(one * weight).sum(dim=2).mean(dim=1) for one in apart], dim=1)


def _mismatch(squared: Tensor, axes: Tensor) -> Tensor:
    """Share of the area (N, A) that differs from its mirror image about axes (N, A) in radians."""
    spectrum = torch.fft.rfft(squared)[:, None]
    orders = torch.arange(spectrum.shape[-1], device=squared.device)
    phase = torch.polar(squared.new_ones(()), -2 * orders * axes[..., None])
    mirrored = torch.fft.irfft(spectrum.conj() * phase, ANGLES)
    return (squared[:, None] - mirrored).abs().sum(dim=2) / squared.sum(dim=1, keepdim=True)
