"""The standard copy of an image: one scale, RGB, sRGB, no metadata, and a thumbnail of it."""

import hashlib
import io
from dataclasses import dataclass

from PIL import Image, ImageOps

from backend.corpus.exclusions import Reason
from backend.corpus.recipe import THUMBNAIL_SIDE, Encoding, Fit, Minimum, Recipe
from backend.errors import DermaFluxError
from backend.images import ImageError, ImageTooLargeError, image_hash, open_image

JPEG_QUALITY = 95
THUMBNAIL_QUALITY = 85
SMALLEST = 8
"""px; anything smaller shows no lesion."""


class TooSmallError(ImageError):
    """An image is below the smallest size that is asked for."""


@dataclass(frozen=True)
class StandardCopy:
    """What was made of an image: two encoded files, and facts about the original.

    `thumbnail` is empty where the copy itself is small enough.
    """

    width: int
    height: int
    pixel_hash: str
    copy: bytes
    thumbnail: bytes


def standard_copy(data: bytes, name: str, recipe: Recipe) -> StandardCopy:
    """Decode every pixel of a picture and bring it to the scale of a recipe.

    Raises:
        ImageError: it cannot be read.
        TooSmallError: it is below the minimum.
    """
    original = _decode(data, name)
    width, height = original.size
    _require_size(width, height, len(data), name, recipe)
    image = _fitted(original, recipe)
    thumbnail = b""
    if recipe.has_thumbnail:
        small = image.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX)
        thumbnail = _encoded(small, "JPEG", quality=THUMBNAIL_QUALITY)
    if recipe.encoding is Encoding.PNG:
        copy = _encoded(image, "PNG", compress_level=6)
    else:
        copy = _encoded(image, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return StandardCopy(width, height, image_hash(original), copy, thumbnail)


def byte_hash(data: bytes) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(data).hexdigest()


def reason_of(error: DermaFluxError) -> Reason:
    """The kind of a refusal."""
    if isinstance(error, TooSmallError):
        return Reason.TOO_SMALL
    return Reason.TOO_LARGE if isinstance(error, ImageTooLargeError) else Reason.BROKEN


def _decode(data: bytes, name: str) -> Image.Image:
    from backend.corpus.dicom import is_dicom, read_dicom

    if is_dicom(data):
        return Image.fromarray(read_dicom(data, name))
    return open_image(data, name=name)


def _require_size(width: int, height: int, size: int, name: str, recipe: Recipe) -> None:
    measured = {
        Minimum.SHORTER_SIDE: min(width, height),
        Minimum.LONGER_SIDE: max(width, height),
        Minimum.FILE_SIZE: size,
    }[recipe.minimum_of]
    unit = "bytes" if recipe.minimum_of is Minimum.FILE_SIZE else "px"
    if measured < recipe.minimum:
        raise TooSmallError(
            f"{name} has {measured} {unit}, fewer than the {recipe.minimum} asked for."
        )
    if min(width, height) < SMALLEST:
        raise TooSmallError(f"{name} is {width} x {height} px: too small to show a lesion.")


def _fitted(image: Image.Image, recipe: Recipe) -> Image.Image:
    size = (recipe.side, recipe.side)
    lanczos = Image.Resampling.LANCZOS
    if recipe.fit is Fit.SQUASH:
        return image if image.size == size else image.resize(size, lanczos)
    if recipe.fit is Fit.PAD:
        return ImageOps.pad(image, size, lanczos)
    return image if image.size == size else ImageOps.fit(image, size, lanczos)


def _encoded(image: Image.Image, form: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()
