"""The outline of a lesion: low orders carry asymmetry, high orders carry the border.

Asymmetry is measured as the share of the area that does not meet its mirror image about an axis
through the centroid (Stoecker et al., Comput Med Imaging Graph 16:191, 1992). Border irregularity
is the relative radial deviation of harmonics 5 and above.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from backend.abc.attributes import Asymmetry, Border
from backend.phantom.fields import Field, pixel_grid

ANGLES = 720
LOWEST_BORDER_HARMONIC, HIGHEST_BORDER_HARMONIC = 5, 13
# Relative radial deviation (root mean square) of each kind of border.
IRREGULARITY: Mapping[Border, tuple[float, float]] = MappingProxyType(
    {
        Border.REGULAR: (0.002, 0.010),
        Border.SLIGHTLY_IRREGULAR: (0.040, 0.048),
        Border.IRREGULAR: (0.090, 0.104),
    }
)
# Bounds of the mirrored-area mismatch about the two principal axes.
MATCHING = 0.06
MISMATCHED = (0.24, 0.52)
# No axis at any angle may come nearer to symmetry than this in a lesion asymmetric in both.
NO_HIDDEN_AXIS = 0.18
# Less elongated shapes have no principal axes that a measurement could find again.
LEAST_ELONGATION = 0.14
_AXES = 60


@dataclass(frozen=True)
class Outline:
    """Radii about the centroid at `ANGLES` equal steps, in the frame of the principal axes.

    `smooth` is the outline without its border irregularity; both are scaled so that the largest
    extent of `radii` is one.
    """

    radii: Field
    smooth: Field


@dataclass(frozen=True)
class Placement:
    """Where the outline lies in the unit frame: centre, largest extent, turn in radians."""

    column: float
    row: float
    extent: float
    turn: float


@dataclass(frozen=True)
class LesionFrame:
    """The lesion's own coordinates at every pixel, each (size, size).

    `along` and `across` follow the principal axes in units of the mean radius, `relative` is the
    radius over the outline's (1 on the outline) and `distance` is the signed distance to it in
    unit coordinates, negative inside.
    """

    along: Field
    across: Field
    relative: Field
    distance: Field
    angle: Field
    mean_radius: float

    @property
    def inside(self) -> NDArray[np.bool_]:
        """The lesion's mask."""
        return np.asarray(self.distance < 0)


def draw_outline(rng: Generator, asymmetry: Asymmetry, border: Border) -> Outline:
    """An organic outline that shows this asymmetry and this border with a margin."""
    smooth = _low_orders(rng, asymmetry)
    return _of_extent_one(smooth * (1 + _high_orders(rng, border)), smooth)


def between(one: Outline, other: Outline, share: float) -> Outline:
    """The outline `share` of the way from one to another, radius by radius."""
    radii = (1 - share) * one.radii + share * other.radii
    return _of_extent_one(radii, (1 - share) * one.smooth + share * other.smooth)


def mirror_mismatch(radii: Field) -> tuple[float, float, float]:
    """Mismatched share of the area about the principal axes (smaller, larger) and the least at all.

    `radii` (ANGLES,) must be taken about the centroid.
    """
    squared = radii**2
    mismatch = np.abs(squared - squared[_reflections()]).sum(axis=1) / squared.sum()
    moment = np.sum(radii**4 * np.exp(2j * _angles()))
    principal = int(np.rint(np.angle(moment) / 2 / np.pi * _AXES)) % _AXES
    pair = mismatch[principal], mismatch[(principal + _AXES // 2) % _AXES]
    return float(min(pair)), float(max(pair)), float(mismatch.min())


def lesion_frame(outline: Outline, placement: Placement, size: int) -> LesionFrame:
    """The lesion's coordinates on a raster of `size` pixels."""
    columns, rows = pixel_grid(size)
    right, down = columns - placement.column, rows - placement.row
    cosine, sine = np.cos(placement.turn), np.sin(placement.turn)
    along, across = right * cosine + down * sine, down * cosine - right * sine
    radius = np.hypot(along, across)
    angle = np.arctan2(across, along)
    table = outline.radii * placement.extent
    step = 2 * np.pi / ANGLES
    slope = (np.roll(table, -1) - np.roll(table, 1)) / (2 * step)
    edge = np.interp(angle, _angles(), table, period=2 * np.pi)
    steepness = np.interp(angle, _angles(), slope / table, period=2 * np.pi)
    mean_radius = float(np.sqrt(np.mean(table**2)))
    return LesionFrame(
        along=along / mean_radius,
        across=across / mean_radius,
        relative=radius / edge,
        distance=(radius - edge) / np.sqrt(1 + steepness**2),
        angle=angle,
        mean_radius=mean_radius,
    )


def bounding_reach(outline: Outline, turn: float) -> tuple[float, float, float, float]:
    """How far the outline of extent one reaches left, right, up and down of its centroid."""
    angles = _angles() + turn
    columns, rows = outline.radii * np.cos(angles), outline.radii * np.sin(angles)
    return -columns.min(), columns.max(), -rows.min(), rows.max()


def _of_extent_one(radii: Field, smooth: Field) -> Outline:
    extent = _largest_extent(radii)
    return Outline(radii / extent, smooth / extent)


@lru_cache(maxsize=1)
def _angles() -> Field:
    angles = np.arange(ANGLES, dtype=np.float64) * (2 * np.pi / ANGLES)
    angles.setflags(write=False)
    return angles


@lru_cache(maxsize=1)
def _reflections() -> NDArray[np.int64]:
    """For each axis the index of the mirrored angle, (axes, ANGLES)."""
    twice = np.arange(_AXES) * (ANGLES // _AXES)
    table = (twice[:, None] - np.arange(ANGLES)[None, :]) % ANGLES
    table.setflags(write=False)
    return table


def _low_orders(rng: Generator, asymmetry: Asymmetry) -> Field:
    while True:
        curve = _about_centroid(_low_order_draw(rng, asymmetry))
        if curve is None:
            continue
        radii = _orders(curve, 0, LOWEST_BORDER_HARMONIC)
        if _shows(radii, asymmetry):
            return radii


def _low_order_draw(rng: Generator, asymmetry: Asymmetry) -> Field:
    """A candidate: an ellipse whose radius is modulated by orders 1 to 4."""
    angles = _angles()
    signs = rng.choice((-1.0, 1.0), 4)
    strength = rng.uniform(0.6, 1.0, 4)
    if asymmetry is Asymmetry.SYMMETRIC:
        aspect, orders, phases = rng.uniform(1.0, 1.42), np.array([0, 0, 0, 0.02]), np.zeros(4)
    elif asymmetry is Asymmetry.ONE_AXIS:
        aspect, orders = rng.uniform(1.12, 1.45), np.array([0.2, 0.04, 0.15, 0.02])
        signs[2], phases = -signs[0], np.zeros(4)
    else:
        aspect, orders = rng.uniform(1.25, 1.7), np.array([0.2, 0.2, 0.25, 0.09])
        phases = rng.uniform(0, 2 * np.pi, 4)
        phases[2] = rng.uniform(0.25, 0.75) * np.pi / 2
    ellipse = 1 / np.hypot(np.cos(angles) / aspect, np.sin(angles))
    waves = np.cos(np.arange(1, 5)[:, None] * angles - phases[:, None])
    wander = np.cos(np.arange(2, 5)[:, None] * angles - rng.uniform(0, 2 * np.pi, (3, 1)))
    return ellipse * (1 + (orders * signs * strength) @ waves + rng.normal(0, 0.004, 3) @ wander)


def _about_centroid(radii: Field) -> Field | None:
    """The same closed curve in polar form about its centroid; None if that is not single-valued."""
    if radii.min() < 0.3 * radii.max():
        return None
    points = radii * np.exp(1j * _angles())
    weights = radii**2
    centroid = 2 / 3 * np.sum(weights * points) / np.sum(weights)
    moved = points - centroid
    turned = np.unwrap(np.angle(moved))
    if np.any(np.diff(turned) <= 0):
        return None
    return np.interp(_angles(), turned, np.abs(moved), period=2 * np.pi)


def _shows(radii: Field, asymmetry: Asymmetry) -> bool:
    smaller, larger, least = mirror_mismatch(radii)
    low, high = MISMATCHED
    if asymmetry is Asymmetry.SYMMETRIC:
        return larger < MATCHING
    if _elongation(radii) < LEAST_ELONGATION:
        return False
    if asymmetry is Asymmetry.ONE_AXIS:
        return smaller < MATCHING and low < larger < high
    return low < smaller and larger < high and least > NO_HIDDEN_AXIS


def _elongation(radii: Field) -> float:
    """(I1 - I2) / (I1 + I2) of the principal second moments: 0 where the axes are undefined."""
    fourth = radii**4
    return float(np.abs(np.sum(fourth * np.exp(2j * _angles()))) / np.sum(fourth))


def _high_orders(rng: Generator, border: Border) -> Field:
    """Relative radial deviation without the orders that carry asymmetry, (ANGLES,)."""
    if border is Border.IRREGULAR:
        raw = _scallops(rng, 6, 9) if rng.random() < 0.5 else _notches(rng, 6, 9)
        raw = _unit(raw) + 1.1 * _unit(_waves(rng, 5, 11))
    elif border is Border.SLIGHTLY_IRREGULAR:
        raw = _unit(_waves(rng, 5, 8)) + 0.7 * _unit(_notches(rng, 4, 6))
    else:
        raw = _waves(rng, 5, 9)
    deviation = _orders(raw, LOWEST_BORDER_HARMONIC, HIGHEST_BORDER_HARMONIC + 1)
    return _unit(deviation) * rng.uniform(*IRREGULARITY[border])


def _orders(radii: Field, first: int, end: int) -> Field:
    """The part of a periodic function with harmonics from `first` up to, not including, `end`."""
    spectrum = np.fft.rfft(radii)
    spectrum[:first] = 0
    spectrum[end:] = 0
    return np.fft.irfft(spectrum, ANGLES)


def _waves(rng: Generator, lowest: int, highest: int) -> Field:
    orders = np.arange(lowest, highest + 1)
    gains = rng.uniform(0.4, 1.0, orders.size) / orders
    phases = rng.uniform(0, 2 * np.pi, (orders.size, 1))
    return np.asarray(gains @ np.cos(orders[:, None] * _angles() - phases))


def _notches(rng: Generator, fewest: int, most: int) -> Field:
    """Rounded bites out of the border, spread round the whole circumference."""
    count = int(rng.integers(fewest, most + 1))
    spacing = 2 * np.pi / count
    places = (np.arange(count) + rng.uniform(-0.36, 0.36, count)) * spacing
    widths = rng.uniform(0.14, 0.3, count) * spacing
    depths = rng.uniform(0.4, 1.2, count)
    away = np.angle(np.exp(1j * (_angles()[None, :] - places[:, None])))
    return np.asarray(-depths @ np.exp(-0.5 * (away / widths[:, None]) ** 2))


def _scallops(rng: Generator, fewest: int, most: int) -> Field:
    """Rounded lobes of uneven width and height that meet in clefts."""
    count = int(rng.integers(fewest, most + 1))
    warp = 0.9 * np.sin(3 * _angles() + rng.uniform(0, 2 * np.pi))
    warp = warp + 0.6 * np.sin(5 * _angles() + rng.uniform(0, 2 * np.pi))
    phase = count * _angles() + rng.uniform(0, 2 * np.pi) + warp
    height = 1 + 0.4 * np.sin(2 * _angles() + rng.uniform(0, 2 * np.pi))
    return np.asarray(height * np.abs(np.sin(phase / 2)) ** 0.8)


def _unit(deviation: Field) -> Field:
    return (deviation - deviation.mean()) / deviation.std()


def _largest_extent(radii: Field) -> float:
    points = radii * np.exp(1j * _angles())
    turned = (points[None, :] * np.exp(-1j * _angles()[: ANGLES // 2 : 6, None])).real
    return float((turned.max(axis=1) - turned.min(axis=1)).max())
