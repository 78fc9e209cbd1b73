"""What the meter sees in an image of the corpus, as pictures that are made once and kept."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backend.abc.attributes import LesionAttributes
from backend.abc.drawing import draw_outline
from backend.abc.measure import measure
from backend.corpus.queries import CorpusView
from backend.files import write_file
from backend.generation.provenance import encode_preview
from backend.images import Pixels, read_image, write_image
from backend.settings import Settings

FOLDER = "outlines"


@dataclass(frozen=True)
class Outlined:
    """The measurement of an image, and two pictures of it; none where no lesion was found."""

    attributes: LesionAttributes
    found: bool
    overlay: Path | None
    mask: Path | None


def outlined(settings: Settings, image: CorpusView) -> Outlined:
    """Measure an image; its outline and its mask are PNG files of the workspace.

    Raises:
        ImageError, MeasureError: it cannot be read or measured.
        FileError: the workspace cannot be written.
    """
    pixels = read_image(image.file, name=image.source_id)
    measured = measure(pixels)
    if not measured.found:
        return Outlined(measured.attributes, False, None, None)
    folder = settings.corpus_dir / FOLDER / image.recipe / image.byte_hash[:2]
    drawn = folder / f"{image.byte_hash}-outline.png"
    mask = folder / f"{image.byte_hash}-mask.png"
    if not drawn.is_file():
        _write(drawn, draw_outline(pixels, measured), synthetic=image.synthetic)
    if not mask.is_file():
        plane = measured.mask.astype(np.uint8) * 255
        _write(mask, np.repeat(plane[..., None], 3, axis=2), synthetic=image.synthetic)
    return Outlined(measured.attributes, True, drawn, mask)


def _write(path: Path, pixels: Pixels, *, synthetic: bool) -> None:
    if synthetic:
        write_file(path, encode_preview(pixels))
    else:
        write_image(path, pixels)
