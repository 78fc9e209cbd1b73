"""Pixels out of a DICOM file, and nothing else: whoever it names is never looked at."""

import io
from typing import Any

import numpy as np

from backend.images import MAX_PIXELS, MAX_SIDE, ImageError, ImageTooLargeError, Pixels

PREAMBLE = 128
MAGIC = b"DICM"


def is_dicom(data: bytes) -> bool:
    """Whether the bytes are a DICOM file, whatever its name says."""
    return data[PREAMBLE : PREAMBLE + len(MAGIC)] == MAGIC


def read_dicom(data: bytes, name: str) -> Pixels:
    """The first frame (H, W, 3) of a DICOM file; compressed ones as far as Pillow decodes them.

    Raises:
        ImageError: it holds no picture, a damaged one, or one beyond the limits.
    """
    import pydicom
    from pydicom.pixels import apply_voi_lut, pixel_array

    try:
        dataset = pydicom.dcmread(io.BytesIO(data))
        rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    except Exception as error:
        raise ImageError(f"{name} is a damaged DICOM file: get a fresh copy.") from error
    if "PixelData" not in dataset or rows * columns == 0:
        raise ImageError(f"{name} is a DICOM file without a picture.")
    if rows * columns > MAX_PIXELS or max(rows, columns) > MAX_SIDE:
        raise ImageTooLargeError(f"{name} is too large: scale it down first.")
    try:
        pixels = pixel_array(dataset, index=0)
        if dataset.SamplesPerPixel == 1:
            pixels = apply_voi_lut(pixels, dataset)
        return _to_rgb(pixels, inverted=dataset.PhotometricInterpretation == "MONOCHROME1")
    except Exception as error:
        raise ImageError(
            f"{name} is a DICOM file whose picture cannot be decoded: convert it to PNG."
        ) from error


def _to_rgb(pixels: "np.ndarray[Any, Any]", *, inverted: bool) -> Pixels:
    if pixels.ndim == 3:
        return np.ascontiguousarray(pixels[..., :3], dtype=np.uint8)
    values = pixels.astype(np.float64)
    low, high = values.min(), values.max()
    scaled = (values - low) * (255.0 / (high - low) if high > low else 0.0)
    grey = (255.0 - scaled if inverted else scaled).round().astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)
