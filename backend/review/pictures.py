"""The picture of an item as bytes or as a file; in a blinded test nothing about it tells."""

import io
from pathlib import Path
from typing import Literal

from PIL import Image as Pillow
from sqlalchemy.orm import Session

from backend.abc.drawing import draw_outline
from backend.abc.measure import MeasureError, measure
from backend.corpus.outlines import outlined
from backend.corpus.queries import corpus_view
from backend.files import write_file
from backend.generation.gallery import outline_file
from backend.generation.provenance import encode_preview
from backend.images import ImageError, open_image, read_image
from backend.review.errors import ReviewError, ReviewMissingError
from backend.review.items import item_of
from backend.review.people import Actor, seat_of
from backend.review.states import ReviewKind
from backend.settings import Settings
from backend.store.database import Database
from backend.store.review_tables import ReviewItem
from backend.store.tables import CorpusImage, Image

Size = Literal["full", "thumbnail", "overlay"]
BLIND_SIDE = {"full": 512, "thumbnail": 256}
BLIND_QUALITY = 92


def picture(
    db: Database, settings: Settings, actor: Actor, set_id: str, item_id: int, size: Size
) -> Path | bytes:
    """A file of the workspace, or (in a real-or-synthetic set) a JPEG made for this screen.

    Raises:
        ReviewMissingError: no such item, or its image was taken out since.
        ReviewForbiddenError: it was not given to them.
        ReviewError: there is no overlay, or the image cannot be measured.
    """
    with db.session() as session:
        seat = seat_of(session, actor, set_id)
        row = item_of(session, seat, item_id)
        veiled = seat.row.kind is ReviewKind.REAL_OR_SYNTHETIC
        image = _image(session, row)
    if not (settings.workspace / image.file).is_file():
        raise ReviewMissingError(_gone(row))
    if veiled:
        return _veiled(settings, image, size)
    if isinstance(image, CorpusImage):
        return _of_corpus(settings, image, size)
    return _of_gallery(settings, image, size)


def _image(session: Session, row: ReviewItem) -> CorpusImage | Image:
    image: CorpusImage | Image | None
    if row.synthetic:
        image = session.get(Image, row.image_id)
    else:
        image = session.get(CorpusImage, row.image_id)
    if image is None:
        raise ReviewMissingError(_gone(row))
    return image


def _gone(row: ReviewItem) -> str:
    return f"The image of item {row.position} is no longer in the studio: skip it."


def _veiled(settings: Settings, image: CorpusImage | Image, size: Size) -> bytes:
    """Decoded, cut square, of one size, encoded anew: bytes, names and metadata say nothing."""
    if size == "overlay":
        raise ReviewError("This test shows the picture alone.")
    side = BLIND_SIDE[size]
    pixels = open_image(settings.workspace / image.file, name="The image")
    width, height = pixels.size
    edge = min(width, height)
    left, top = (width - edge) // 2, (height - edge) // 2
    square = pixels.crop((left, top, left + edge, top + edge))
    buffer = io.BytesIO()
    square.resize((side, side), Pillow.Resampling.LANCZOS).save(
        buffer, "JPEG", quality=BLIND_QUALITY
    )
    return buffer.getvalue()


def _of_corpus(settings: Settings, image: CorpusImage, size: Size) -> Path:
    if size != "overlay":
        return settings.workspace / (image.file if size == "full" else image.thumbnail)
    try:
        overlay = outlined(settings, corpus_view(image, settings)).overlay
    except (ImageError, MeasureError) as error:
        raise ReviewError(f"The image cannot be measured: {error}") from error
    if overlay is None:
        raise ReviewMissingError("No lesion was found on this image, so there is no outline.")
    return overlay


def _of_gallery(settings: Settings, image: Image, size: Size) -> Path:
    if size != "overlay":
        return settings.workspace / (image.file if size == "full" else image.thumbnail)
    drawn = outline_file(settings.workspace / image.thumbnail)
    if drawn.is_file():
        return drawn
    try:
        pixels = read_image(settings.workspace / image.file, name="The image")
        measured = measure(pixels)
    except (ImageError, MeasureError) as error:
        raise ReviewError(f"The image cannot be measured: {error}") from error
    if not measured.found:
        raise ReviewMissingError("No lesion was found on this image, so there is no outline.")
    write_file(drawn, encode_preview(draw_outline(pixels, measured)))
    return drawn
