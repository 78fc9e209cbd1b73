"""An image with what was measured drawn in, large enough to be looked at."""

from dataclasses import replace

import numpy as np
from PIL import Image

from backend.abc.measure import Measurement, overlay
from backend.images import Pixels

DRAWN_SIDE = 768
"""Small images are enlarged first, so that the outline is a line and not a row of blocks."""


def draw_outline(pixels: Pixels, measured: Measurement) -> Pixels:
    """The image (H, W, 3), enlarged where it is small, with what was measured drawn in."""
    height, width = pixels.shape[:2]
    scale = max(1, DRAWN_SIDE // max(height, width))
    size = (width * scale, height * scale)
    large = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
    mask = Image.fromarray(measured.mask.astype(np.uint8) * 255)
    smooth = np.asarray(mask.resize(size, Image.Resampling.BICUBIC)) > 127
    return overlay(large, replace(measured, mask=smooth))
