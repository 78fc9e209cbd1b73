"""Whether a candidate may enter a set, and how well it answers its caption."""

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import with_config

from backend.abc.agreement import agreement
from backend.abc.attributes import LesionAttributes
from backend.abc.measure import Measurement, measure
from backend.generation.building.task import Rules
from backend.images import Pixels, pixel_hash
from backend.store.tables import Verdict

THUMBNAIL_SIDE = 24
_NUMBERS = THUMBNAIL_SIDE * THUMBNAIL_SIDE * 3


@with_config(ser_json_bytes="base64", val_json_bytes="base64")
@dataclass(frozen=True)
class Judgement:
    """What the rules and the meter say of a candidate; `confidence` is that of its mask, 0..1."""

    verdict: Verdict
    agreement: float
    confidence: float
    measured: LesionAttributes
    pixel_hash: str
    thumbnail: bytes


class Thumbnails:
    """Guards the thumbnails of a growing set, each centred and of length one.

    The correlation of two 24 x 24 RGB thumbnails finds near-duplicates among lesions, where
    difference hashes do not: most lesions are a blob on plain skin.
    """

    def __init__(self, capacity: int) -> None:
        self._vectors = np.zeros((capacity, _NUMBERS), dtype=np.float32)
        self._count = 0

    def add(self, thumbnail: bytes) -> None:
        """Take a thumbnail into the set."""
        self._vectors[self._count] = _normalised(thumbnail)
        self._count += 1

    def nearest(self, thumbnail: bytes) -> float:
        """The highest correlation with any of the set; -1 where it is empty."""
        if not self._count:
            return -1.0
        return float((self._vectors[: self._count] @ _normalised(thumbnail)).max())


def judge(
    pixels: Pixels, requested: LesionAttributes, rules: Rules
) -> tuple[Judgement, Measurement]:
    """The first rule that rejects the pixels (H, W, 3) whatever else is in the set, or PASSED.

    And what was measured.
    """
    measurement = measure(pixels)
    confidence = float(measurement.indices.get("segmentation_quality", 0.0))
    judgement = Judgement(
        verdict=_verdict(measurement.found, confidence, rules),
        agreement=agreement(requested, measurement.attributes),
        confidence=confidence,
        measured=measurement.attributes,
        pixel_hash=pixel_hash(pixels),
        thumbnail=thumbnail_of(pixels),
    )
    return judgement, measurement


def compared(judgement: Judgement, rules: Rules, *sets: Thumbnails) -> Judgement:
    """The judgement, now that the members of the set are known as well."""
    alike = max(members.nearest(judgement.thumbnail) for members in sets)
    if judgement.verdict is Verdict.PASSED and alike > rules.max_correlation:
        return replace(judgement, verdict=Verdict.DUPLICATE)
    return judgement


def thumbnail_of(pixels: Pixels) -> bytes:
    """The image (H, W, 3) as 24 x 24 RGB bytes, each the mean of what it covers."""
    side = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    return Image.fromarray(pixels).resize(side, Image.Resampling.BOX).tobytes()


def _verdict(found: bool, confidence: float, rules: Rules) -> Verdict:
    if rules.lesion and not found:
        return Verdict.NO_LESION
    if confidence < rules.min_confidence:
        return Verdict.UNSURE
    return Verdict.PASSED


def _normalised(thumbnail: bytes) -> NDArray[np.float32]:
    vector = np.frombuffer(thumbnail, dtype=np.uint8).astype(np.float32)
    centred = vector - vector.mean()
    length = float(np.linalg.norm(centred))
    return cast("NDArray[np.float32]", centred / length if length else centred)
