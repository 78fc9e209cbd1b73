"""CIE L*a*b* to sRGB (IEC 61966-2-1, D65 white, 2 degree observer)."""

import numpy as np

from backend.phantom.fields import Field

_WHITE = np.array([0.95047, 1.0, 1.08883])
_XYZ_TO_LINEAR = np.array(
    [
        [3.2404542, -1.5371385, -0.4985314],
        [-0.9692660, 1.8760108, 0.0415560],
        [0.0556434, -0.2040259, 1.0572252],
    ]
)


def lab_to_srgb(lab: Field) -> Field:
    """L*a*b* (..., 3) to sRGB in [0, 1], colours beyond the gamut clipped."""
    luminance = (lab[..., 0] + 16) / 116
    f = np.stack([luminance + lab[..., 1] / 500, luminance, luminance - lab[..., 2] / 200], -1)
    xyz = np.where(f > 6 / 29, f * f * f, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * _WHITE
    linear = np.clip(xyz @ _XYZ_TO_LINEAR.T, 0.0, 1.0)
    return np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
