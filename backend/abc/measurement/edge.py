"""How the pigment ends: the B of Stolz' rule looks for an abrupt cut-off in eight segments.

Stolz et al., Eur J Dermatol 1994;4:521-527. In every segment the profile of the distance from
skin colour, taken along the distance to the outline, is read for its width and slope.
"""

import numpy as np
from numpy.typing import NDArray

from backend.abc.measurement.frame import depth_inside

SEGMENTS = 8
_REACH = 12
_ABRUPT_WIDTH = 4.0


def edge_indices(
    membership: NDArray[np.float32], distance: NDArray[np.float32], centroid: complex
) -> dict[str, float]:
    """Widths in working pixels, slopes per pixel as a share of the step from skin to lesion."""
    mask = membership > 0
    signed = np.where(mask, depth_inside(mask) - 0.5, 0.5 - depth_inside(~mask))
    near = np.abs(signed) <= _REACH
    y, x = np.nonzero(near)
    angle = np.mod(np.angle((x - centroid.real) + 1j * (y - centroid.imag)), 2 * np.pi)
    segment = (angle / (2 * np.pi) * SEGMENTS).astype(int) % SEGMENTS
    step = np.floor(signed[near]).astype(int) + _REACH
    profiles = _profiles(segment, step, distance[near])
    widths, slopes = zip(*(_width_and_slope(profile) for profile in profiles), strict=True)
    whole = _profiles(np.zeros_like(segment), step, distance[near])[0]
    whole_width, whole_slope = _width_and_slope(whole)
    return {
        "edge_width": float(np.median(widths)),
        "edge_width_least": float(np.min(widths)),
        "edge_width_most": float(np.max(widths)),
        "edge_sharpness": float(np.median(slopes)),
        "edge_sharpness_least": float(np.min(slopes)),
        "edge_sharpness_most": float(np.max(slopes)),
        "edge_abrupt_segments": float(np.sum(np.array(widths) < _ABRUPT_WIDTH)),
        "edge_width_whole": whole_width,
        "edge_sharpness_whole": whole_slope,
        "edge_step": float(whole.max() - whole.min()),
    }


def _profiles(
    segment: NDArray[np.int64], step: NDArray[np.int64], values: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Mean distance from skin, (SEGMENTS or fewer, 2 * _REACH + 1), outermost first."""
    length = 2 * _REACH + 1
    rows = int(segment.max()) + 1 if segment.size else 1
    slot = segment * length + step
    total = np.bincount(slot, weights=values, minlength=rows * length)
    count = np.bincount(slot, minlength=rows * length)
    profiles = np.zeros((rows, length))
    for row in range(rows):
        here = slice(row * length, (row + 1) * length)
        seen = np.flatnonzero(count[here])
        if seen.size:
            means = total[here][seen] / count[here][seen]
            profiles[row] = np.interp(np.arange(length), seen, means)
    return profiles


def _width_and_slope(profile: NDArray[np.float64]) -> tuple[float, float]:
    """Pixels between 20 % and 80 % of the step, and the steepest rise within two pixels."""
    low = float(np.mean(profile[:4]))
    high = float(np.quantile(profile[_REACH:], 0.8))
    step = high - low
    if step < 0.5:
        return float(_REACH), 0.0
    share = (profile - low) / step
    rise = np.maximum.accumulate(share[2:])
    above_low = int(np.argmax(rise > 0.2)) if np.any(rise > 0.2) else len(rise)
    above_high = int(np.argmax(rise > 0.8)) if np.any(rise > 0.8) else len(rise)
    start = _crossing(rise, above_low, 0.2)
    end = _crossing(rise, above_high, 0.8)
    return end - start, float(np.max(share[2:] - share[:-2]) / 2)


def _crossing(rise: NDArray[np.float64], index: int, level: float) -> float:
    if index <= 0 or index >= len(rise):
        return float(index)
    before, after = rise[index - 1], rise[index]
    return float(index - 1 + (level - before) / max(after - before, 1e-9))
