"""Seeded random fields over the unit square, the same at every raster size.

Everything is float64 and interpolated by sparse spline bases, in one fixed order of summation, so
that rounding to eight bits gives the same pixels on every machine and no BLAS thread is woken.
"""

import hashlib
from functools import lru_cache

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack

Field = NDArray[np.float64]

# Standard deviation of white noise under a separable cubic B-spline: (151 / 315) per axis.
_SPLINE_DEVIATION = 151 / 315
_SUBSAMPLES = 3


def stream(seed: int, purpose: str) -> Generator:
    """A generator of its own for one purpose, so that adding a draw elsewhere changes nothing."""
    digest = hashlib.sha256(purpose.encode()).digest()
    return Generator(PCG64(SeedSequence([seed, int.from_bytes(digest[:8], "big")])))


@lru_cache(maxsize=16)
def pixel_grid(size: int) -> tuple[Field, Field]:
    """Columns and rows of the pixel centres in unit coordinates, both (size, size), read-only."""
    centres = (np.arange(size) + 0.5) / size
    columns, rows = np.meshgrid(centres, centres)
    columns.setflags(write=False)
    rows.setflags(write=False)
    return columns, rows


@lru_cache(maxsize=128)
def spline_basis(size: int, cells: int) -> csr_array:
    """Cubic B-spline weights (size, cells + 3), averaged over each pixel."""
    samples = (np.arange(size * _SUBSAMPLES) + 0.5) / (size * _SUBSAMPLES) * cells
    cell = np.minimum(samples.astype(np.int64), cells - 1)
    t = samples - cell
    weights = (
        (1 - t) ** 3 / 6,
        (3 * t**3 - 6 * t**2 + 4) / 6,
        (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
        t**3 / 6,
    )
    basis = np.zeros((size * _SUBSAMPLES, cells + 3))
    rows = np.arange(size * _SUBSAMPLES)
    for offset, weight in enumerate(weights):
        basis[rows, cell + offset] = weight
    return csr_array(basis.reshape(size, _SUBSAMPLES, cells + 3).mean(axis=1))


def noise(rng: Generator, size: int, cells: int) -> Field:
    """Smooth noise (size, size) of zero mean and unit deviation with `cells` knots per side."""
    return fractal(rng, size, (cells,))


def fractal(rng: Generator, size: int, cells: tuple[int, ...]) -> Field:
    """Octaves of noise, each at 0.6 of the one before, scaled to unit deviation."""
    gains = 0.6 ** np.arange(len(cells))
    gains = gains / (np.sqrt(np.sum(gains**2)) * _SPLINE_DEVIATION)
    half_way = [
        gain * (spline_basis(size, count) @ rng.standard_normal((count + 3, count + 3))).T
        for gain, count in zip(gains, cells, strict=True)
    ]
    # The transposes keep rows contiguous; fields of independent knots are none the worse for it.
    field: Field = _octave_basis(size, cells) @ np.concatenate(half_way)
    return field


@lru_cache(maxsize=128)
def _octave_basis(size: int, cells: tuple[int, ...]) -> csr_array:
    """The bases of all octaves side by side, (size, knots of all)."""
    return csr_array(hstack([spline_basis(size, count) for count in cells]))


def smoothstep(low: float, high: float, values: Field) -> Field:
    """0 below `low`, 1 above `high`, a cubic between."""
    t = np.clip((values - low) / (high - low), 0.0, 1.0)
    smooth: Field = t * t * (3.0 - 2.0 * t)
    return smooth


def cellular(rng: Generator, columns: Field, rows: Field, cells: int) -> tuple[Field, Field, Field]:
    """Worley noise: distances to the nearest and second nearest point and the nearest one's lot.

    `columns` and `rows` (H, W) are unit coordinates; distances are in cells; the lot is uniform
    in [0, 1) for each point (Worley, SIGGRAPH 1996).
    """
    points = 0.5 + 0.8 * (rng.random((2, cells + 4, cells + 4)) - 0.5)
    lots = rng.random((cells + 4, cells + 4))
    across, down = columns * cells, rows * cells
    left = np.clip(np.floor(across).astype(np.int64), -1, cells)
    top = np.clip(np.floor(down).astype(np.int64), -1, cells)
    first = np.full(columns.shape, 9.0)
    second = np.full(columns.shape, 9.0)
    nearest = np.zeros(columns.shape, dtype=np.int64)
    stride = cells + 4
    fraction_x, fraction_y = across - left, down - top
    flat_x, flat_y = points[0].ravel(), points[1].ravel()
    base = (top + 1) * stride + left + 1
    for dy in (0, 1, 2):
        for dx in (0, 1, 2):
            index = base + (dy * stride + dx)
            away_x = flat_x.take(index) + (dx - 1) - fraction_x
            away_y = flat_y.take(index) + (dy - 1) - fraction_y
            squared = away_x * away_x + away_y * away_y
            np.copyto(nearest, index, where=squared < first)
            np.minimum(second, np.maximum(first, squared), out=second)
            np.minimum(first, squared, out=first)
    return np.sqrt(first), np.sqrt(second), lots.ravel().take(nearest)
