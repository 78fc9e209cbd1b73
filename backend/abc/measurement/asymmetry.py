"""Mirror symmetry of shape and of colour: indices of the A of the ABCD rule.

The lesion is folded along two perpendicular axes; the area that does not overlap, over the whole
area, is the asymmetry index (Stoecker, Li and Moss, Comput Med Imaging Graph 1992;16:191-197).
Axes are the principal ones, and also the pair that gives the least asymmetry, as Stolz et al.
(Eur J Dermatol 1994;4:521-527) ask for.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.abc.measurement.outline import Outline, centroid_of, polar_radii

ANGLES = 120
_RINGS = 8
_PAIRS = ANGLES // 2
# Mismatch of shape (share of area) and of colour (Delta E) that count the same on one axis.
_SHAPE_STEP, _COLOUR_STEP = 0.2, 8.0


def principal_angle(points: NDArray[np.complex128]) -> float:
    """Direction of the long axis of the area in a closed polygon, in radians from x towards y."""
    radii = polar_radii(points, ANGLES)
    angles = np.linspace(0, 2 * np.pi, ANGLES, endpoint=False)
    return float(0.5 * np.angle(np.sum(radii**4 * np.exp(2j * angles))))


def asymmetry_indices(outline: Outline, lab: NDArray[np.float32]) -> dict[str, float]:
    """Shape (share of area, 0..1), colour (mean Delta E over the folded halves) and position.

    `axis_asymmetry` weighs both on the pair of axes that together mirror best.

    lab: (H, W, 3) the lesion at working size, relative to the skin around it.
    """
    radii = polar_radii(outline.smooth, ANGLES)
    rough = polar_radii(outline.points, ANGLES)
    shape = _fold_radii(radii)
    rough_shape = _fold_radii(rough)
    colour, dispersion = _fold_colours(lab, outline.centroid, radii)
    major = round(np.degrees(principal_angle(outline.smooth)) / (180 / _PAIRS)) % _PAIRS
    best = int(np.argmin(shape + np.roll(shape, _PAIRS // 2)))
    indices = {
        "asymmetry_index_major": float(shape[major]),
        "asymmetry_index_minor": float(shape[(major + _PAIRS // 2) % _PAIRS]),
        "rough_asymmetry_major": float(rough_shape[major]),
        "rough_asymmetry_minor": float(rough_shape[(major + _PAIRS // 2) % _PAIRS]),
        "elongation": _elongation(outline.smooth),
    }
    for name, curve in (("shape", shape), ("colour", colour)):
        pair = sorted((float(curve[best]), float(curve[(best + _PAIRS // 2) % _PAIRS])))
        own = curve + np.roll(curve, _PAIRS // 2)
        low = int(np.argmin(own))
        own_pair = sorted((float(curve[low]), float(curve[(low + _PAIRS // 2) % _PAIRS])))
        indices[f"{name}_asymmetry_lower"] = pair[0]
        indices[f"{name}_asymmetry_upper"] = pair[1]
        indices[f"{name}_asymmetry_own_lower"] = own_pair[0]
        indices[f"{name}_asymmetry_own_upper"] = own_pair[1]
        indices[f"{name}_asymmetry_least"] = float(curve.min())
        indices[f"{name}_asymmetry_most"] = float(curve.max())
        indices[f"{name}_asymmetry_mean"] = float(curve.mean())
    both = rough_shape / _SHAPE_STEP + colour / _COLOUR_STEP
    place = int(np.argmin(both + np.roll(both, _PAIRS // 2)))
    lower, upper = sorted((float(both[place]), float(both[(place + _PAIRS // 2) % _PAIRS])))
    indices |= {"axis_asymmetry_lower": lower, "axis_asymmetry_upper": upper}
    indices["colour_dispersion"] = dispersion
    indices["colour_offset"] = _colour_offset(lab, outline)
    return indices


def _mirrored(axis: int) -> NDArray[np.int64]:
    """Indices of angles after a reflection about axis number `axis` of the _PAIRS axes.

    Axis k lies at k * pi / _PAIRS; angle number j lies at j * 2 pi / ANGLES.
    """
    return np.mod(2 * axis - np.arange(ANGLES), ANGLES)


def _fold_radii(radii: NDArray[np.float64]) -> NDArray[np.float64]:
    """Asymmetry index for each of the _PAIRS axes: XOR area over area of the whole lesion."""
    sector = radii**2
    folded = np.stack([sector[_mirrored(axis)] for axis in range(_PAIRS)])
    return np.asarray(np.abs(folded - sector).sum(axis=1) / sector.sum())


def _fold_colours(
    lab: NDArray[np.float32], centre: complex, radii: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Mean Delta E between the halves for each axis, and the lesion's own mean Delta E."""
    polar = _unrolled(lab, centre, radii)
    weight = np.sqrt(np.linspace(0.15, 0.9, _RINGS) / 0.9)[:, None] * np.ones(ANGLES)
    weight /= weight.sum()
    mirrored = np.stack([_mirrored(axis) for axis in range(_PAIRS)])
    difference = np.linalg.norm(polar[:, None] - polar[:, mirrored], axis=3)
    folded = np.einsum("rpa,ra->p", difference, weight)
    mean = (polar * weight[..., None]).sum(axis=(0, 1))
    dispersion = float((np.linalg.norm(polar - mean, axis=2) * weight).sum())
    return np.asarray(folded), dispersion


def _unrolled(
    lab: NDArray[np.float32], centre: complex, radii: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Colours (_RINGS, ANGLES, 3) at fractions 0.15 to 0.9 of the way to the outline."""
    angle = np.linspace(0, 2 * np.pi, ANGLES, endpoint=False)
    reach = np.linspace(0.15, 0.9, _RINGS)[:, None] * radii[None, :]
    position = centre + reach * np.exp(1j * angle)
    return np.asarray(
        cv2.remap(
            cv2.GaussianBlur(lab, (0, 0), 2.0),
            position.real.astype(np.float32),
            position.imag.astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )


def _elongation(points: NDArray[np.complex128]) -> float:
    """Short over long extent along the principal axes, 0..1."""
    turned = (points - centroid_of(points)) * np.exp(-1j * principal_angle(points))
    extent = (float(np.ptp(turned.real)), float(np.ptp(turned.imag)))
    return min(extent) / max(*extent, 1e-6)


def _colour_offset(lab: NDArray[np.float32], outline: Outline) -> float:
    """How far the centre of colour lies from the centre of the shape, in radii."""
    height, width = lab.shape[:2]
    filled = np.zeros((height, width), dtype=np.uint8)
    polygon = np.stack([outline.smooth.real, outline.smooth.imag], axis=1).round().astype(np.int32)
    cv2.fillPoly(filled, [polygon], 1)
    weight = np.linalg.norm(lab, axis=2) * filled
    total = float(weight.sum())
    if total <= 0:
        return 0.0
    y, x = np.indices((height, width))
    centre = complex((weight * x).sum() / total, (weight * y).sum() / total)
    return float(abs(centre - outline.centroid) / outline.radius)
