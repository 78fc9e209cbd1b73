"""Digital hair removal after DullRazor (Lee et al., Comput Biol Med 1997;27:533-543).

Hair is dark, thin and long: it shows in a morphological black-hat but survives a closing along
its own line. It is painted over from its surroundings (Telea, J Graph Tools 2004;9:23-34).
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_LINE_LENGTH = 9
_CONTRAST = 0.045
_SHORTEST = 11
_SLENDERNESS = 3.0
_CROWD_SIDE = 15
_CROWDED = 0.26


def hair_mask(rgb: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels (H, W) of lone, long and thin structures darker than what lies beside them."""
    grey = np.ascontiguousarray(rgb.mean(axis=2))
    across = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, np.ones((5, 5), np.uint8))
    closed = [cv2.morphologyEx(grey, cv2.MORPH_CLOSE, line) for line in _lines()]
    along = np.min(closed, axis=0) - grey
    return _long_and_thin(_lone((across > _CONTRAST) & (along < 0.5 * across)))


def remove_hair(rgb: NDArray[np.float32], hair: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The image with hair painted over; the very same array where there is none."""
    if not hair.any():
        return rgb
    grown = ndimage.binary_dilation(hair).astype(np.uint8)
    painted = cv2.inpaint((rgb * 255).round().astype(np.uint8), grown, 2, cv2.INPAINT_TELEA)
    return np.where(grown[..., None] > 0, painted.astype(np.float32) / 255, rgb)


def _lines() -> list[NDArray[np.uint8]]:
    centre = _LINE_LENGTH // 2
    lines = []
    for degrees in range(0, 180, 15):
        kernel = np.zeros((_LINE_LENGTH, _LINE_LENGTH), dtype=np.uint8)
        dx = round(centre * np.cos(np.radians(degrees)))
        dy = round(centre * np.sin(np.radians(degrees)))
        cv2.line(kernel, (centre - dx, centre - dy), (centre + dx, centre + dy), 1)
        lines.append(kernel)
    return lines


def _lone(lines: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without ridges, network and streaks: lines that run side by side are not hair."""
    crowd = cv2.blur(lines.astype(np.float32), (_CROWD_SIDE, _CROWD_SIDE))
    return np.asarray(lines & (crowd < _CROWDED), dtype=bool)


def _long_and_thin(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    keep = np.zeros(count + 1, dtype=bool)
    for index, box in enumerate(ndimage.find_objects(labels), start=1):
        height, width = box[0].stop - box[0].start, box[1].stop - box[1].start
        length = float(np.hypot(height, width))
        area = int(np.count_nonzero(labels[box] == index))
        keep[index] = length >= _SHORTEST and length * length / area >= _SLENDERNESS
    return np.asarray(keep[labels], dtype=bool)
