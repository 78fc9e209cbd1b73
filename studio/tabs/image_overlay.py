"""The measured outline drawn on an image, made the first time it is asked for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from backend.abc.measure import measure, overlay
from backend.files import write_file
from backend.generation.gallery import ImageView, outline_file
from backend.generation.provenance import encode_preview
from backend.images import Pixels, read_image

DRAWN_SIDE = 768
"""Small images are enlarged first, so that the outline is a line and not a row of blocks."""


def overlay_file(image: ImageView) -> Path:
    """The PNG with the outline, marked synthetic, beside the thumbnail.

    Raises ImageError or MeasureError where the image cannot be read or measured.
    """
    path = outline_file(image.thumbnail)
    if not path.is_file():
        write_file(path, encode_preview(_drawn(read_image(image.path))))
    return path


def _drawn(pixels: Pixels) -> Pixels:
    measured = measure(pixels)
    height, width = pixels.shape[:2]
    scale = max(1, DRAWN_SIDE // max(height, width))
    size = (width * scale, height * scale)
    large = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
    mask = Image.fromarray(measured.mask.astype(np.uint8) * 255)
    smooth = np.asarray(mask.resize(size, Image.Resampling.BICUBIC)) > 127
    return overlay(large, replace(measured, mask=smooth))
