"""The skin around a lesion: its colour as a smooth surface, and its tone by the ITA.

Individual typology angle: ITA = atan((L* - 50) / b*) * 180 / pi (Chardon, Cretois and Hourseau,
Int J Cosmet Sci 1991;13:191-208).
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from backend.abc.measurement.frame import depth_inside

_FIT_ROUNDS = 3
_RIDGE = 1e-3
_EVERY = 3


def ita_degrees(lightness: float, blue_yellow: float) -> float:
    """The individual typology angle in degrees, -90 (dark) to 90 (light)."""
    return float(np.degrees(np.arctan2(lightness - 50.0, max(blue_yellow, 1e-6))))


def skin_surface(
    lab: NDArray[np.float32], skin: NDArray[np.bool_], *, curved: bool = True
) -> NDArray[np.float32]:
    """Skin colour (H, W, 3) under uneven light, fitted to the skin pixels and carried everywhere.

    A low-order polynomial by trimmed least squares, so that what is not skin after all (ruler,
    bubble, a neighbouring mole) has no say.
    """
    basis = _basis(lab.shape[0], lab.shape[1])[..., : 7 if curved else 3]
    rows = basis[skin][::_EVERY]
    values = lab[skin][::_EVERY].astype(np.float64)
    weights = np.ones(len(rows))
    coefficients: NDArray[np.float64] = np.zeros((basis.shape[2], 3))
    for _ in range(_FIT_ROUNDS):
        weighted = rows * weights[:, None]
        normal = rows.T @ weighted + _RIDGE * len(rows) * np.diag(_penalty(basis.shape[2]))
        coefficients = np.asarray(np.linalg.solve(normal, weighted.T @ values), dtype=np.float64)
        residual = np.linalg.norm(values - rows @ coefficients, axis=1)
        scale = max(1.0, 2.0 * float(np.median(residual)))
        weights = 1.0 / (1.0 + (residual / scale) ** 4)
    return np.asarray(basis @ coefficients, dtype=np.float32)


@lru_cache(maxsize=8)
def _basis(height: int, width: int) -> NDArray[np.float64]:
    """Seven terms (H, W, 7): the constant, the slopes, then the curvature."""
    side = max(height, width)
    y, x = np.meshgrid(
        np.linspace(-height / side, height / side, height),
        np.linspace(-width / side, width / side, width),
        indexing="ij",
    )
    radius = x * x + y * y
    terms = (np.ones_like(x), x, y, x * x, x * y, y * y, radius * radius)
    basis = np.stack(terms, axis=2)
    basis.setflags(write=False)
    return basis


def _penalty(terms: int) -> NDArray[np.float64]:
    """No shrinkage of the mean, little of the slopes, more of the curvature."""
    return np.array([0.0, 0.3, 0.3, 1.0, 1.0, 1.0, 2.0][:terms])


def skin_indices(
    lab: NDArray[np.float32], mask: NDArray[np.bool_], field: NDArray[np.bool_]
) -> dict[str, float]:
    """The ITA and CIELAB of perilesional skin; the brighter part speaks, shadows do not.

    Falls back to whatever lies in the field where the lesion leaves hardly any skin.
    """
    away = field & (depth_inside(~mask) > 5)
    pixels = lab[away if away.sum() >= 50 else field & ~mask]
    if not len(pixels):
        pixels = lab[mask]
    low, middle, high = np.quantile(pixels, (0.25, 0.5, 0.75), axis=0)
    return {
        "ita_degrees": ita_degrees(float(middle[0]), float(middle[2])),
        "ita_bright": ita_degrees(float(high[0]), float(middle[2])),
        "ita_dim": ita_degrees(float(low[0]), float(middle[2])),
        "surround_lightness": float(middle[0]),
        "surround_lightness_high": float(high[0]),
        "surround_redness": float(middle[1]),
        "surround_yellowness": float(middle[2]),
        "surround_chroma": float(np.hypot(middle[1], middle[2])),
    }
