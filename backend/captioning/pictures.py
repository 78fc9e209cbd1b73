"""Images of the corpus as a model gets them, with what was seen on them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from backend.abc.measure import MeasureError, measure
from backend.captioning.answers import Answer, caption_from
from backend.captioning.measuring import Done, Work
from backend.captioning.records import NewCaption, measurement_columns
from backend.captioning.seen import Seen, seen_in
from backend.images import ImageError, open_image

Known = tuple[str, Seen | None]
"""The hash of the pixels that were measured, and what was seen on them."""


@dataclass(frozen=True)
class Picture:
    """An image that could be read; `measurement` where it had to be measured now."""

    work: Work
    image: Image.Image
    seen: Seen | None
    measurement: dict[str, Any] | None

    def captioned(self, answer: Answer, limit: int) -> Done:
        """The caption that an answer of at most `limit` tokens makes."""
        caption = caption_from(
            answer, self.work.image_id, seen=self.seen, label=self.work.label, limit=limit
        )
        return Done(caption, self.measurement)


def open_picture(work: Work, known: Known | None) -> Picture | Done:
    """The image, measured unless `known` is of its pixels; unsure where it cannot be read."""
    try:
        image = open_image(work.file)
    except ImageError as error:
        return Done(NewCaption(work.image_id, "", str(error), ()), None)
    if known is not None and known[0] == work.pixel_hash:
        return Picture(work, image, known[1], None)
    try:
        found = measure(np.asarray(image))
    except MeasureError:  # too small or too large for the meter, not for the model
        return Picture(work, image, None, None)
    columns = measurement_columns(work.image_id, work.pixel_hash, found)
    return Picture(work, image, seen_in(found), columns)
