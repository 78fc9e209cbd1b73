"""How irregular an outline runs: indices of the B of the ABCD rule.

Compactness P^2 / (4 pi A) and solidity as in Celebi et al. (Comput Med Imaging Graph 2007;31:
362-373); divider dimension (Mandelbrot, Science 1967;156:636-638), used on melanoma by Claridge et
al. (J Biomed Eng 1992;14:229-234); irregularity as the residual of the outline beyond the low
orders of its Fourier description.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from backend.abc.measurement.outline import (
    LOW_ORDERS,
    POINTS,
    Outline,
    centroid_of,
    hull_area,
    orders,
    perimeter_of,
    polar_radii,
    signed_area,
)

_BANDS = ((2, 3), (3, 5), (5, 8), (8, 12), (12, 18), (18, 28), (28, 48))
_ROUND_BANDS = ((3, 5), (5, 7), (7, 10), (10, 14), (14, 20), (20, 30), (30, 48))
_SMOOTHINGS = (6, 9, 12, 18)
_DIVIDERS = (1, 2, 4, 8, 16)


def border_indices(outline: Outline) -> dict[str, float]:
    """Numbers without unit that grow with irregularity; solidity alone falls."""
    residual, radial = _residuals(outline)
    perimeter = perimeter_of(outline.points)
    smooth_area = max(signed_area(outline.smooth), 1.0)
    indices = {
        "compactness": perimeter**2 / (4 * np.pi * outline.area),
        "smooth_compactness": perimeter_of(outline.smooth) ** 2 / (4 * np.pi * smooth_area),
        "solidity": outline.area / max(hull_area(outline.points), 1.0),
        "smooth_solidity": smooth_area / max(hull_area(outline.smooth), 1.0),
        "border_irregularity": float(np.sqrt(np.mean(residual**2))),
        "border_deepest_notch": float(-np.quantile(residual, 0.02)),
        "border_highest_lobe": float(np.quantile(residual, 0.98)),
        "border_skewness": _skewness(residual),
        "border_unevenness": _unevenness(residual),
        "radial_irregularity": float(np.sqrt(np.mean(radial**2))),
        "excess_length": perimeter / max(perimeter_of(outline.smooth), 1.0),
        "fractal_dimension": _divider_dimension(outline.points),
    }
    indices.update(_round_indices(outline))
    for highest in _SMOOTHINGS:
        indices[f"bending_{highest}"] = _bending(outline, highest)
        indices[f"concavities_{highest}"] = _concavities(outline, highest)
    magnitude = np.abs(outline.spectrum) ** 2
    order = np.abs(orders() - 1)
    for low, high in _BANDS:
        band = magnitude[(order >= low) & (order < high)].sum()
        indices[f"outline_energy_{low}_{high - 1}"] = float(np.sqrt(band))
    return indices


def _round_indices(outline: Outline) -> dict[str, float]:
    """Radial irregularity after an affine map that makes the second moments those of a disc.

    An elongated smooth outline has high orders of its own; without its elongation it has few.
    """
    spokes = polar_radii(_without_elongation(outline.points), POINTS)
    spectrum = np.fft.fft(np.log(np.maximum(spokes, 1e-3))) / POINTS
    energy = 2 * np.abs(spectrum[: POINTS // 2]) ** 2
    indices = {"round_irregularity": float(np.sqrt(energy[LOW_ORDERS:48].sum()))}
    for low, high in _ROUND_BANDS:
        indices[f"round_energy_{low}_{high - 1}"] = float(np.sqrt(energy[low:high].sum()))
    return indices


def _without_elongation(points: NDArray[np.complex128]) -> NDArray[np.complex128]:
    radii = polar_radii(points, POINTS)
    spokes = radii * np.exp(1j * np.linspace(0, 2 * np.pi, POINTS, endpoint=False))
    weight = radii**2 / (radii**2).sum()
    vectors = np.stack([spokes.real, spokes.imag])
    values, directions = np.linalg.eigh((vectors * weight) @ vectors.T / 2)
    whiten = directions @ np.diag(1 / np.sqrt(np.maximum(values, 1e-6))) @ directions.T / 2
    centred = points - centroid_of(points)
    turned = whiten @ np.stack([centred.real, centred.imag])
    return np.asarray(turned[0] + 1j * turned[1])


def _residuals(outline: Outline) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance of the outline from its smooth part, outwards positive, in units of the radius.

    The first along the normal of the smooth curve, the second along rays from the centroid,
    where orders below LOW_ORDERS of the radius are taken away.
    """
    tangent = np.roll(outline.smooth, -1) - np.roll(outline.smooth, 1)
    normal = -1j * tangent / np.maximum(np.abs(tangent), 1e-9)
    offset = outline.points - outline.smooth
    residual = (offset * np.conj(normal)).real / outline.radius
    radii = polar_radii(outline.points, POINTS)
    spectrum = np.fft.fft(radii)
    high = np.fft.ifft(np.where(np.abs(orders()) < LOW_ORDERS, 0, spectrum)).real
    return residual, high / outline.radius


def _skewness(residual: NDArray[np.float64]) -> float:
    """Notches or lobes: below zero where the outline is cut in, above where it bulges."""
    centred = residual - residual.mean()
    scale = np.sqrt(np.mean(centred**2))
    return float(np.mean(centred**3) / max(scale**3, 1e-9)) if scale > 1e-6 else 0.0


def _unevenness(residual: NDArray[np.float64]) -> float:
    """Spread of the local irregularity along the outline: zero where it is the same all round."""
    local = np.sqrt(ndimage.uniform_filter1d(residual**2, POINTS // 8, mode="wrap"))
    return float(local.std())


def _divider_dimension(points: NDArray[np.complex128]) -> float:
    """Slope of the length of the outline against the step that measures it, plus one."""
    steps = np.array(_DIVIDERS)
    lengths = [perimeter_of(points[::step]) for step in steps]
    slope = np.polyfit(np.log(steps), np.log(np.maximum(lengths, 1e-6)), 1)[0]
    return float(1 - slope)


def _bending(outline: Outline, highest: int) -> float:
    """Total turning of the outline up to an order, in full turns beyond that of a convex curve."""
    return float(np.abs(_turning(outline, highest)).sum() / (2 * np.pi) - 1)


def _concavities(outline: Outline, highest: int) -> float:
    """How many times the outline up to an order turns back on itself."""
    inward = _turning(outline, highest) < 0
    return float(np.count_nonzero(inward & ~np.roll(inward, 1)))


def _turning(outline: Outline, highest: int) -> NDArray[np.float64]:
    """Change of direction at every point in radians, orders above `highest` left out."""
    kept = np.where(np.abs(orders()) <= highest, outline.spectrum, 0)
    tangent = np.fft.ifft(1j * orders() * kept)
    return np.asarray(np.angle(np.roll(tangent, -1) * np.conj(tangent)))
