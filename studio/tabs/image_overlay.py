"""The measured outline drawn on an image, made the first time it is asked for."""

from pathlib import Path

from backend.abc.drawing import draw_outline
from backend.abc.measure import measure
from backend.files import write_file
from backend.generation.gallery import ImageView, outline_file
from backend.generation.provenance import encode_preview
from backend.images import read_image


def overlay_file(image: ImageView) -> Path:
    """The PNG with the outline, marked synthetic, beside the thumbnail.

    Raises ImageError or MeasureError where the image cannot be read or measured.
    """
    path = outline_file(image.thumbnail)
    if not path.is_file():
        pixels = read_image(image.path)
        write_file(path, encode_preview(draw_outline(pixels, measure(pixels))))
    return path
