"""From pixels of any size to the working frame on which every index is measured."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from backend.errors import DermaFluxError

SMALLEST_SIDE = 32
LARGEST_SIDE = 4096
WORKING_SIDE = 128
_LONGEST_RATIO = 3
_DARK_FIELD = 14.0


class MeasureError(DermaFluxError):
    """The pixels handed to the meter are not an image that it can read."""


@dataclass(frozen=True)
class Frame:
    """An image at working size: sRGB in 0..1, CIELAB (D65), and where skin can be seen at all."""

    rgb: NDArray[np.float32]
    lab: NDArray[np.float32]
    field: NDArray[np.bool_]


def check_image(image: NDArray[np.uint8]) -> None:
    """Refuse anything but (H, W, 3) uint8 with sides of 32 to 4096; raises MeasureError."""
    if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3:
        shape = getattr(image, "shape", type(image).__name__)
        raise MeasureError(
            f"The meter reads colour images of shape (height, width, 3), not {shape}: "
            "convert the image to RGB first."
        )
    if image.dtype != np.uint8:
        raise MeasureError(
            f"The meter reads 8-bit images (uint8), not {image.dtype}: scale the pixels to 0..255."
        )
    height, width = image.shape[:2]
    if min(height, width) < SMALLEST_SIDE or max(height, width) > LARGEST_SIDE:
        raise MeasureError(
            f"The meter reads images of {SMALLEST_SIDE} to {LARGEST_SIDE} pixels a side, "
            f"not {width} x {height}: resize the image first."
        )


def to_lab(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """CIELAB of sRGB in 0..1, shape kept."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB), dtype=np.float32)


def to_working_size(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The image with a short side of WORKING_SIDE, sRGB in 0..1; very long images shrink more."""
    height, width = image.shape[:2]
    scale = min(
        WORKING_SIDE / min(height, width), _LONGEST_RATIO * WORKING_SIDE / max(height, width)
    )
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = cv2.resize(image, size, interpolation=method).astype(np.float32) / 255
    return np.clip(resized, 0, 1)


def field_of_view(lab: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where the optics let light through: all but dark areas that hold a corner of the image.

    A black dermoscope frame fills corners; a lesion that dark hardly ever does.
    """
    dark = lab[..., 0] < min(_DARK_FIELD, 0.35 * float(np.median(lab[..., 0])))
    labels, _ = ndimage.label(dark)
    corners = {int(labels[y, x]) for y in (0, -1) for x in (0, -1)} - {0}
    if not corners:
        return np.ones(dark.shape, dtype=bool)
    outside = ndimage.binary_dilation(np.isin(labels, list(corners)), iterations=2)
    return np.asarray(~outside, dtype=bool)


def depth_inside(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Distance in pixels (H, W) from every pixel of a mask to the nearest one outside it."""
    return np.asarray(
        cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    )


def mask_to_size(membership: NDArray[np.float32], height: int, width: int) -> NDArray[np.bool_]:
    """Bring a soft mask, positive inside, from working size to the image's own size."""
    if membership.shape != (height, width):
        membership = cv2.resize(membership, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(membership > 0, dtype=bool)
