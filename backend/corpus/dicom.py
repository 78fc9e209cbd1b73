"""Pixels out of a DICOM file, and nothing else: whoever it names is never looked at."""

import io
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.images import (
    MAX_FILE_BYTES,
    MAX_PIXELS,
    MAX_SIDE,
    ImageError,
    ImageTooLargeError,
    Pixels,
)

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

PREAMBLE = 128
MAGIC = b"DICM"
META_LENGTH = slice(140, 144)
DEFLATED = b"1.2.840.10008.1.2.1.99"
"""The transfer syntax of files that are compressed as a whole."""


def is_dicom(data: bytes) -> bool:
    """Whether the bytes are a DICOM file, whatever its name says."""
    return data[PREAMBLE : PREAMBLE + len(MAGIC)] == MAGIC


def read_dicom(data: bytes, name: str) -> Pixels:
    """The first frame (H, W, 3) of a DICOM file; compressed ones as far as Pillow decodes them.

    Raises:
        ImageError: it holds no picture, a damaged one, or one beyond the limits.
    """
    import pydicom
    from pydicom.pixels import pixel_array

    if _unpacks_too_far(data):
        raise ImageTooLargeError(f"{name} unpacks to more than is read: scale it down first.")
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
        return _to_rgb(pixel_array(dataset, index=0), dataset)
    except Exception as error:
        raise ImageError(
            f"{name} is a DICOM file whose picture cannot be decoded: convert it to PNG."
        ) from error


def _unpacks_too_far(data: bytes) -> bool:
    """Whether a file that is deflated as a whole holds more than is read of any file.

    Its file meta information stands before that, and begins with its own length (PS3.10, 7.1).
    """
    length = int.from_bytes(data[META_LENGTH], "little")
    if DEFLATED not in data[: META_LENGTH.stop + length]:
        return False
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflate.decompress(data[META_LENGTH.stop + length :], MAX_FILE_BYTES)
    except zlib.error:  # who reads the file will say that it is damaged
        return False
    return bool(inflate.unconsumed_tail)


def _to_rgb(pixels: "np.ndarray[Any, Any]", dataset: "Dataset") -> Pixels:
    from pydicom.pixels import apply_color_lut, apply_voi_lut

    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, dataset)
        return _eight_bits(pixels, 8 * pixels.itemsize)
    if pixels.ndim == 3:
        return _eight_bits(pixels[..., :3], dataset.BitsStored)
    values = apply_voi_lut(pixels, dataset).astype(np.float64)
    low, high = values.min(), values.max()
    scaled = (values - low) * (255.0 / (high - low) if high > low else 0.0)
    inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
    grey = (255.0 - scaled if inverted else scaled).round().astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _eight_bits(pixels: "np.ndarray[Any, Any]", bits: int) -> Pixels:
    """The first 8 of the bits in which a channel is stored."""
    return np.ascontiguousarray(pixels >> max(0, bits - 8), dtype=np.uint8)
