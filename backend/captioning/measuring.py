"""Images measured, and captioned by the measured captioner, in processes of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.abc.attributes import Label, Modality
from backend.abc.measure import MeasureError, measure
from backend.captioning import measured
from backend.captioning.checks import check_caption
from backend.captioning.records import NewCaption, measurement_columns
from backend.captioning.seen import seen_in
from backend.corpus.queries import CorpusView
from backend.images import ImageError, read_image


@dataclass(frozen=True)
class Work:
    """An image to be captioned, with what a captioner may know of it."""

    image_id: str
    file: Path
    pixel_hash: str
    label: Label
    dermoscopic: bool | None


@dataclass(frozen=True)
class Done:
    """Its caption, and the columns of its measurement; none where it was not measured now."""

    caption: NewCaption
    measurement: dict[str, Any] | None


def work_on(image: CorpusView) -> Work:
    """What is to be done for an image of the corpus."""
    dermoscopic = {Modality.DERMOSCOPIC.value: True, Modality.CLINICAL.value: False}
    return Work(
        image.id, image.file, image.pixel_hash, image.label, dermoscopic.get(image.modality)
    )


def caption_images(works: Sequence[Work]) -> list[Done]:
    """Measure and caption; an image that cannot be read is named as unsure."""
    return [_caption(work) for work in works]


def _caption(work: Work) -> Done:
    try:
        found = measure(read_image(work.file))
    except (ImageError, MeasureError) as error:
        return Done(NewCaption(work.image_id, "", str(error), ()), None)
    seen = seen_in(found)
    written = measured.caption_of(seen, work.image_id, dermoscopic=work.dermoscopic)
    findings = check_caption(written.text, seen=seen, label=work.label) if written.text else ()
    caption = NewCaption(work.image_id, written.text, written.unsure, findings)
    return Done(caption, measurement_columns(work.image_id, work.pixel_hash, found))
