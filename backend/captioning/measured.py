"""The captioner that needs no model: a caption of what the meter is sure of."""

import hashlib
from dataclasses import dataclass

from backend.abc.attributes import LesionAttributes, Modality
from backend.abc.caption_text import CaptionError
from backend.abc.grammar import CaptionStyle, write_caption
from backend.abc.measure import METER_EDITION, SURE_FROM
from backend.abc.measurement.meter import METER_FILE
from backend.captioning.seen import Seen

NAME = "measured"
MIN_CONFIDENCE = SURE_FROM
"""What the meter is less sure of is not said."""
_SAID = ("asymmetry", "border", "edge")


@dataclass(frozen=True)
class Written:
    """A caption; or none, and why in `unsure`."""

    text: str
    unsure: str = ""


def prompt_version() -> str:
    """Changes with the meter, its calibration or its steps, which is all that counts here."""
    return hashlib.sha256(METER_FILE.read_bytes() + METER_EDITION.encode()).hexdigest()[:12]


def caption_of(seen: Seen | None, image_id: str, *, dermoscopic: bool | None = None) -> Written:
    """What is surely seen, in the words of the grammar; the same image gives the same words.

    Neither label nor diagnosis enters: they are not seen.
    """
    if seen is None:
        return Written("", "no lesion was found on the image")
    sure = {
        name: getattr(seen.attributes, name)
        for name in _SAID
        if seen.confidence.get(name, 0.0) >= MIN_CONFIDENCE
    }
    colours = tuple(
        colour for colour in seen.attributes.colours if seen.colours[colour] >= MIN_CONFIDENCE
    )
    if not colours and sure.keys() <= {"edge"}:
        return Written("", "the meter is sure of neither asymmetry nor border nor any colour")
    modality = {True: Modality.DERMOSCOPIC, False: Modality.CLINICAL, None: None}[dermoscopic]
    attributes = LesionAttributes(**sure, colours=colours, modality=modality)
    seed = int.from_bytes(hashlib.sha256(image_id.encode()).digest()[:4])
    try:
        return Written(write_caption(attributes, style=CaptionStyle.PLAIN, seed=seed))
    except CaptionError as error:
        return Written("", str(error))
