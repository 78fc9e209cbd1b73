"""A compact descriptor of an image, on which every symmetry of the square acts by signs alone.

The low frequencies of the discrete cosine transform of a thumbnail, of its brightness and of two
opponent colours, after each channel has been brought to mean 0 and deviation 1: a gain and an
offset of a channel leave no trace. A flip changes the sign of the odd frequencies and a transpose
swaps the two axes, so the eight views of an image are read off one transform. Frequencies are
weighted upwards because the lowest say only that there is a blob on plain skin.
"""

from typing import cast

import numpy as np
from numpy.typing import NDArray

Thumbnails = NDArray[np.uint8]
"""(N, THUMBNAIL_SIDE, THUMBNAIL_SIDE, 3) sRGB."""
Spectra = NDArray[np.float32]
"""(N, 3, FREQUENCIES, FREQUENCIES): brightness, red - blue, (red + blue) / 2 - green."""

THUMBNAIL_SIDE = 32
FREQUENCIES = 8
COLOUR_FREQUENCIES = 4
COLOUR_WEIGHT = 0.7
FREQUENCY_EXPONENT = 0.5
DEVIATION_FLOOR = 2.0
"""In grey levels: what is flatter is noise of the codec."""
SYMMETRIES = (
    "as it is",
    "flipped upside down",
    "mirrored",
    "rotated by 180 degrees",
    "mirrored along the diagonal",
    "rotated by 90 degrees clockwise",
    "rotated by 90 degrees anticlockwise",
    "mirrored along the other diagonal",
)
"""By number: bit 0 reverses the rows, bit 1 the columns, bit 2 then swaps the two."""
_INVERSES = (0, 1, 2, 3, 4, 6, 5, 7)


def inverse_of(symmetry: int) -> int:
    """The symmetry that undoes this one."""
    return _INVERSES[symmetry]


def turned(pixels: NDArray[np.uint8], symmetry: int) -> NDArray[np.uint8]:
    """An image (H, W, ...) under one of the SYMMETRIES."""
    if symmetry & 1:
        pixels = pixels[::-1]
    if symmetry & 2:
        pixels = pixels[:, ::-1]
    if symmetry & 4:
        pixels = np.swapaxes(pixels, 0, 1)
    return np.ascontiguousarray(pixels)


def standardised(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Images (N, H, W, 3) with each channel of each at mean 0 and deviation 1."""
    values = images.astype(np.float32)
    values -= values.mean(axis=(1, 2), keepdims=True)
    values /= np.maximum(values.std(axis=(1, 2), keepdims=True), DEVIATION_FLOOR)
    return values


def spectra_of(thumbnails: Thumbnails) -> Spectra:
    """The weighted low frequencies of thumbnails."""
    values = standardised(thumbnails)
    red, green, blue = values[..., 0], values[..., 1], values[..., 2]
    planes = np.stack(((red + green + blue) / 3, red - blue, (red + blue) / 2 - green), axis=1)
    basis = _cosines()
    return cast("Spectra", (basis @ planes @ basis.T) * _weights())


def signatures_of(spectra: Spectra, symmetry: int = 0) -> NDArray[np.float32]:
    """Vectors (N, D) of length 1 of the images under a symmetry; their product is a similarity."""
    signs = np.where(np.arange(FREQUENCIES) % 2, -1.0, 1.0).astype(np.float32)
    if symmetry & 1:
        spectra = spectra * signs[:, None]
    if symmetry & 2:
        spectra = spectra * signs
    if symmetry & 4:
        spectra = np.swapaxes(spectra, -1, -2)
    vectors = spectra[:, _weights() > 0]
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.ascontiguousarray(vectors / np.maximum(lengths, 1e-6), dtype=np.float32)


def _cosines() -> NDArray[np.float32]:
    """The first rows of the DCT-II, (FREQUENCIES, THUMBNAIL_SIDE)."""
    frequency = np.arange(FREQUENCIES)[:, None]
    place = 2 * np.arange(THUMBNAIL_SIDE)[None] + 1
    cosines = np.cos(np.pi * place * frequency / (2 * THUMBNAIL_SIDE))
    return cast("NDArray[np.float32]", (cosines / THUMBNAIL_SIDE).astype(np.float32))


def _weights() -> NDArray[np.float32]:
    """(3, FREQUENCIES, FREQUENCIES), symmetric in the two frequencies; 0 where not used."""
    rows, columns = np.indices((FREQUENCIES, FREQUENCIES))
    weights = np.hypot(rows, columns) ** FREQUENCY_EXPONENT
    weights[(rows + columns > FREQUENCIES) | (rows + columns == 0)] = 0
    colour = weights * COLOUR_WEIGHT
    colour[(rows >= COLOUR_FREQUENCIES) | (columns >= COLOUR_FREQUENCIES)] = 0
    return np.stack((weights, colour, colour)).astype(np.float32)
