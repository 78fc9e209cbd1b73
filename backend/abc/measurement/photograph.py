"""Asymmetry and colours on real skin, read as an expert reads dermoscopy.

The decisions fitted on phantoms hold for pictures of their kind. Camera casts, thin pigment and
mixed colours of photographs lie outside; there the white of the camera is taken from the skin
around the lesion (von Kries, 1902), and the six colours of the ABCD rule are told by fixed bounds
in CIELAB. `photograph_weight` says, 0..1, how far a picture is a photograph in this sense.
"""

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.abc.attributes import Colour
from backend.abc.measurement.colour import lesion_pixels
from backend.abc.measurement.frame import Frame, depth_inside, to_lab
from backend.abc.measurement.segmentation import Segmentation

BALANCED_SKIN = (72.0, 13.0, 15.0)
"""CIELAB that skin of a fair to medium tone gets, as most dermoscopes show it."""
_LIGHTEST_SKIN, _DARKEST_SKIN = 95.0, 60.0

# Share of the lesion from which an expert names a colour, and how gradually that sets in.
_NAMED_FROM: Mapping[Colour, tuple[float, float]] = {
    Colour.WHITE: (0.06, 0.02),
    Colour.RED: (0.12, 0.04),
    Colour.LIGHT_BROWN: (0.18, 0.06),
    Colour.DARK_BROWN: (0.07, 0.025),
    Colour.BLUE_GRAY: (0.035, 0.012),
    Colour.BLACK: (0.016, 0.006),
}
_DARK_BROWN_BELOW, _LIGHT_BROWN_BELOW = 43.0, 68.0
# Mean mismatch of the pair of axes from which one, and from which both are called asymmetric.
_ONE_AXIS_FROM, _TWO_AXES_FROM, _AXES_SCALE = 1.8, 2.2, 0.15
_MISFIT, _MISFIT_SCALE = 3.5, 0.12
_GRAIN, _GRAIN_SCALE = 0.34, 0.025
_CAST, _CAST_SCALE = 5.0, 1.0
_KNOWN_REDNESS, _KNOWN_YELLOWNESS = (9.0, 25.0), (4.0, 21.0)


def photograph_indices(frame: Frame, lesion: Segmentation) -> dict[str, float]:
    """Share of each colour on balanced skin, and how the picture differs from a phantom.

    Grain: standard deviation of fine lightness on the skin; cast: CIELAB units that the skin lies
    beyond any that the calibration saw.
    """
    _, judged, skin = lesion_pixels(frame.lab, lesion.skin, lesion.mask)
    around = frame.field & (depth_inside(~lesion.mask) > 3)
    fine = frame.lab[..., 0] - cv2.GaussianBlur(frame.lab[..., 0], (0, 0), 1.0)
    indices = {
        "photo_grain": float(fine[around].std()) if around.any() else 0.0,
        "photo_cast": _cast(skin),
    }
    balanced = to_lab(balance(frame.rgb[judged][:, None], skin))[:, 0]
    for colour, share in zip(Colour, _shares(balanced), strict=True):
        indices[f"photo_{colour}"] = share
    return indices


def balance(rgb: NDArray[np.float32], skin: NDArray[np.float64]) -> NDArray[np.float32]:
    """The image (H, W, 3), sRGB in 0..1, with gains that bring skin (3,) to BALANCED_SKIN.

    Dark skin stays dark: its lightness is raised no more than that of skin at L* 60.
    """
    lightness, redness, yellowness = BALANCED_SKIN
    lightness *= skin[0] / np.clip(skin[0], _DARKEST_SKIN, _LIGHTEST_SKIN)
    wanted = np.array([[(lightness, redness, yellowness), tuple(skin)]], dtype=np.float32)
    target, seen = _linear(cv2.cvtColor(wanted, cv2.COLOR_LAB2RGB))[0]
    gains = target / np.maximum(seen, 2e-3)
    return np.clip(_encoded(_linear(rgb) * gains), 0, 1).astype(np.float32)


def photograph_weight(indices: Mapping[str, float]) -> float:
    """How much the reading of photographs counts, 0..1; the rest is that of phantoms."""
    unlike = _logistic((indices["palette_misfit"] - _MISFIT) / _MISFIT_SCALE)
    grainy = _logistic((indices["photo_grain"] - _GRAIN) / _GRAIN_SCALE)
    cast = _logistic((indices["photo_cast"] - _CAST) / _CAST_SCALE)
    return float(unlike * max(grainy, cast))


def named_colours(indices: Mapping[str, float]) -> NDArray[np.float64]:
    """Probability (6,) that an expert names each colour."""
    return np.array(
        [
            _logistic((indices[f"photo_{colour}"] - least) / scale)
            for colour, (least, scale) in _NAMED_FROM.items()
        ]
    )


def dominance(indices: Mapping[str, float]) -> NDArray[np.float64]:
    """Share (6,) of each colour among those seen."""
    shares = np.array([indices[f"photo_{colour}"] for colour in Colour]) + 1e-6
    return np.asarray(shares / shares.sum())


def axes_of_asymmetry(indices: Mapping[str, float]) -> NDArray[np.float64]:
    """Probability (3,) of no, one and two axes across which shape and colour differ."""
    mismatch = (indices["axis_asymmetry_lower"] + indices["axis_asymmetry_upper"]) / 2
    one = _logistic((mismatch - _ONE_AXIS_FROM) / _AXES_SCALE)
    two = _logistic((mismatch - _TWO_AXES_FROM) / _AXES_SCALE)
    return np.array([1 - one, one - two, two])


def _shares(lab: NDArray[np.float32]) -> NDArray[np.float64]:
    """Share (6,) of balanced pixels (N, 3) of each colour; skin's own colour is none of them."""
    lightness, redness, yellowness = lab.T.astype(np.float64)
    chroma = np.hypot(redness, yellowness)
    hue = np.degrees(np.arctan2(yellowness, redness))
    tests = {
        Colour.BLACK: (lightness < 18) & (chroma < 26),
        Colour.BLUE_GRAY: (lightness > 20) & (lightness < 58) & (yellowness < 14) & (redness < 26),
        Colour.RED: (lightness > 30) & (lightness < 66) & (hue < 22) & (redness > 28),
        Colour.WHITE: (lightness > 77) & (chroma < 16),
        Colour.DARK_BROWN: lightness < _DARK_BROWN_BELOW,
        Colour.LIGHT_BROWN: lightness < _LIGHT_BROWN_BELOW,
    }
    free = np.ones(len(lightness), dtype=bool)
    shares = {}
    for colour, test in tests.items():
        shares[colour] = float((free & test).mean())
        free &= ~test
    return np.array([shares[colour] for colour in Colour])


def _cast(skin: NDArray[np.float64]) -> float:
    beyond = [
        max(low - value, value - high, 0.0)
        for value, (low, high) in zip(skin[1:], (_KNOWN_REDNESS, _KNOWN_YELLOWNESS), strict=True)
    ]
    return float(np.hypot(*beyond))


def _linear(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear light of sRGB (IEC 61966-2-1)."""
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** np.float32(2.4))


def _encoded(linear: NDArray[np.float32]) -> NDArray[np.float32]:
    curved = 1.055 * np.maximum(linear, 0) ** np.float32(1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, linear * 12.92, curved)


def _logistic(value: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(value, -50, 50))))
