"""The only door for foreign pixels: bounded decoding, thumbnails and content hashes."""

import hashlib
import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from backend.errors import DermaFluxError
from backend.files import write_file

Pixels = NDArray[np.uint8]
"""(H, W, 3) sRGB in 0..255."""

MAX_FILE_BYTES = 256 * 2**20
MAX_PIXELS = 80_000_000
"""More than any dermatoscope or camera in use delivers, and 240 MB once decoded."""
MAX_SIDE = 32_768
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")
THUMBNAIL_SIDE = 256


class ImageError(DermaFluxError):
    """An image file is broken, too large or of no format that we read."""


class ImageTooLargeError(ImageError):
    """An image file is beyond what is read."""


def read_image(source: Path | bytes, *, name: str | None = None) -> Pixels:
    """The upright pixels of an image file (H, W, 3), free of EXIF, alpha laid on white.

    Reads PNG, JPEG, WebP, TIFF and BMP. A colour profile is converted to sRGB. `name` is what
    the sentences call the file.

    Raises:
        ImageError: missing, no image, of another format, truncated, or beyond the limits.
    """
    return np.asarray(open_image(source, name=name), dtype=np.uint8)


def open_image(source: Path | bytes, *, name: str | None = None) -> Image.Image:
    """Like `read_image`, for who goes on with Pillow.

    Raises:
        ImageError: as `read_image`.
    """
    label = name or (source.name if isinstance(source, Path) else "The image")
    data = _bounded_bytes(source, label)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                _check_size(image.size, label)
                image.load()
                return _to_rgb(image)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError(_too_large(label)) from error
    except UnidentifiedImageError as error:
        readable = ", ".join(FORMATS[:-1]) + " and " + FORMATS[-1]
        raise ImageError(f"{label} is not an image that can be read: use {readable}.") from error
    except (OSError, ValueError, SyntaxError, MemoryError, EOFError) as error:
        raise ImageError(f"{label} is damaged and cannot be read: get a fresh copy.") from error


def write_image(path: Path, pixels: Pixels) -> None:
    """Write pixels (H, W, 3) as a plain PNG, whole or not at all.

    For pictures about an image; a synthetic image goes through `backend.generation.provenance`.

    Raises:
        FileError: disk full or any other refusal of the file system.
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    write_file(path, buffer.getvalue())


def resize(pixels: Pixels, side: int) -> Pixels:
    """The image with its longer side at most `side` pixels, never enlarged."""
    height, width = pixels.shape[:2]
    scale = min(1.0, side / max(height, width))
    if scale == 1.0:
        return pixels
    target = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(target, Image.Resampling.LANCZOS))


def encode_thumbnail(pixels: Pixels, *, xmp: bytes = b"", side: int = THUMBNAIL_SIDE) -> bytes:
    """A WebP thumbnail that carries `xmp`: the mark of a synthetic image goes there."""
    buffer = io.BytesIO()
    Image.fromarray(resize(pixels, side)).save(buffer, "WEBP", quality=90, method=4, xmp=xmp)
    return buffer.getvalue()


def pixel_hash(pixels: Pixels) -> str:
    """SHA-256 over shape and pixel values: equal exactly where the images are identical."""
    return _pixel_digest(pixels.shape, np.ascontiguousarray(pixels).data)


def image_hash(image: Image.Image) -> str:
    """The `pixel_hash` of an RGB image."""
    return _pixel_digest((image.height, image.width, 3), image.tobytes())


def _pixel_digest(shape: tuple[int, ...], data: bytes | memoryview) -> str:
    digest = hashlib.sha256(f"{shape}:uint8:".encode())
    digest.update(data)
    return digest.hexdigest()


def _bounded_bytes(source: Path | bytes, label: str) -> bytes:
    if isinstance(source, bytes):
        data = source
    else:
        try:
            if source.stat().st_size > MAX_FILE_BYTES:
                raise ImageTooLargeError(_too_large(label))
            data = source.read_bytes()
        except OSError as error:
            reason = error.strerror or "unknown reason"
            raise ImageError(f"{label} cannot be opened: {reason}.") from error
    if len(data) > MAX_FILE_BYTES:
        raise ImageTooLargeError(_too_large(label))
    if not data:
        raise ImageError(f"{label} is empty: get a fresh copy.")
    return data


def _check_size(size: tuple[int, int], label: str) -> None:
    width, height = size
    if width * height > MAX_PIXELS or max(size) > MAX_SIDE:
        raise ImageTooLargeError(_too_large(label))


def _too_large(label: str) -> str:
    return (
        f"{label} is too large: at most {MAX_PIXELS // 10**6} million pixels and "
        f"{MAX_FILE_BYTES // 2**20} MB are read. Scale it down first."
    )


def _to_rgb(image: Image.Image) -> Image.Image:
    ImageOps.exif_transpose(image, in_place=True)
    upright = image
    if upright.mode.startswith("I") or upright.mode == "F":
        upright = _sixteen_to_eight_bits(upright)
    if upright.has_transparency_data:
        layer = upright.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return _to_srgb(upright, image.info.get("icc_profile"))


def _sixteen_to_eight_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image, dtype=np.float64)
    top = 65_535.0 if values.max(initial=0.0) > 255.0 else 255.0
    return Image.fromarray((values.clip(0, top) * (255.0 / top)).round().astype(np.uint8))


def _to_srgb(image: Image.Image, profile: object) -> Image.Image:
    if not isinstance(profile, bytes) or image.mode not in ("RGB", "CMYK", "L"):
        return image if image.mode == "RGB" else image.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):  # a broken profile says nothing about the pixels
        return image.convert("RGB")
    return converted if converted is not None else image.convert("RGB")
