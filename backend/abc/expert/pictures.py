"""The images that a table of expert labels names, and the lesion masks that lie beside them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.abc.expert.table import IMAGE_SUFFIXES, stem_of
from backend.images import read_image

_MASK_ENDINGS = ("_lesion", "_segmentation", "_mask", "_seg")
_NO_IMAGES = ("_roi", "_superpixels")


@dataclass(frozen=True)
class Pictures:
    """Image files and mask files of a folder by the stem of the image."""

    images: Mapping[str, Path]
    masks: Mapping[str, Path]


def pictures_in(folder: Path) -> Pictures:
    """All images below a folder: flat, in `images`, or nested as PH2 nests them.

    Of several files with one stem the first by path counts.
    """
    images: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    for path in _image_files(folder):
        stem = stem_of(path.name)
        ending = next((end for end in _MASK_ENDINGS if stem.endswith(end)), None)
        if ending is not None:
            masks.setdefault(stem.removesuffix(ending), path)
        elif path.parent.name.casefold() in ("masks", "segmentations", "lesions"):
            masks.setdefault(stem, path)
        elif "_roi" not in path.parent.name.casefold() and not stem.endswith(_NO_IMAGES):
            images.setdefault(stem, path)
    return Pictures(images, masks)


def read_mask(
    path: Path, shape: tuple[int, int], measured: tuple[int, int]
) -> NDArray[np.bool_] | None:
    """An expert's mask at the size that was measured; None where it is not of the image's shape.

    Raises:
        ImageError: it cannot be read.
    """
    pixels = read_image(path)
    if pixels.shape[:2] != shape:
        return None
    plane = pixels[..., 0]
    if shape != measured:
        plane = cv2.resize(plane, measured[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(plane > 127)


def _image_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
            yield path
