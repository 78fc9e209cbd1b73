"""What the meter makes of a folder: masks that cannot be right, and how often it is unsure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.abc.attributes import Colour, LesionAttributes
from backend.abc.measure import MEASURED_FIELDS, SURE_FROM, MeasureError, measure
from backend.abc.measurement.frame import LARGEST_SIDE
from backend.images import ImageError, Pixels, read_image, resize
from backend.jobs.executors import each_in_processes

FULL = 0.95
"""Share of the picture from which a mask counts as full."""
AT_THE_FRAME = 0.6
"""Share of the frame along which a mask that runs there counts as odd."""
FAINT = 0.3
"""Quality of the segmentation below which a mask counts as odd."""


@dataclass(frozen=True)
class MaskReading:
    """The mask of one image, as shares of the picture and of its frame, and what was said."""

    name: str
    area: float
    frame: float
    quality: float
    attributes: LesionAttributes
    confidence: Mapping[str, float]
    sure_colours: int


@dataclass(frozen=True)
class Survey:
    """Shares of the images, 0..1; `unsure` by attribute, `colour` of a single colour."""

    images: int
    empty: float
    full: float
    odd: float
    usable: float
    unsure: Mapping[str, float]
    asymmetry: Mapping[str, float]
    colours: Mapping[Colour, float]
    problems: tuple[str, ...]


def survey(files: Sequence[Path], *, processes: int = 1) -> Survey:
    """Measure every file and count.

    Raises:
        MeasureError: there is no file that can be measured.
    """
    made = list(each_in_processes(_reading, files, processes))
    readings = [one for one in made if isinstance(one, MaskReading)]
    if not readings:
        raise MeasureError("No image could be measured: name a folder that holds images.")
    problems = tuple(one for one in made if isinstance(one, str))
    return survey_of(readings, problems)


def survey_of(readings: Sequence[MaskReading], problems: Sequence[str] = ()) -> Survey:
    """The counts over readings."""
    found = [one for one in readings if one.area > 0]
    named = Counter(colour for one in found for colour in one.attributes.colours)
    axes = Counter(str(one.attributes.asymmetry) for one in found)
    empty = 1 - len(found) / len(readings)
    full = _share(one.area > FULL for one in readings)
    unsure = {
        field: _share(one.confidence[field] < SURE_FROM for one in readings)
        for field in MEASURED_FIELDS
    }
    single = np.mean([1 - one.sure_colours / len(Colour) for one in readings])
    return Survey(
        images=len(readings),
        empty=empty,
        full=full,
        odd=_share(
            0 < one.area <= FULL and (one.frame > AT_THE_FRAME or one.quality < FAINT)
            for one in readings
        ),
        usable=1 - empty - full,
        unsure=unsure | {"colour": float(single)},
        asymmetry={name: count / max(1, len(found)) for name, count in sorted(axes.items())},
        colours={colour: named[colour] / max(1, len(found)) for colour in Colour},
        problems=tuple(problems),
    )


def contact_sheet(images: Sequence[Pixels], *, side: int, columns: int) -> Pixels:
    """Thumbnails of `side` pixels with the outline of the lesion drawn in, row by row."""
    tiles = [_outlined(image, side) for image in images]
    blank = np.zeros((side, side, 3), dtype=np.uint8)
    tiles += [blank] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[first : first + columns]) for first in range(0, len(tiles), columns)]
    return np.asarray(np.vstack(rows), dtype=np.uint8)


def _outlined(image: Pixels, side: int) -> NDArray[np.uint8]:
    mask = measure(image).mask.astype(np.uint8)
    tile = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    small = cv2.resize(mask, (side, side), interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(small, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(tile, outlines, -1, (30, 230, 150), 1, cv2.LINE_AA))


def _reading(path: Path) -> MaskReading | str:
    """What is said of one file, or why nothing is."""
    try:
        measured = measure(resize(read_image(path), LARGEST_SIDE))
    except (ImageError, MeasureError) as error:
        return f"{path.name}: {error}"
    mask = measured.mask
    frame = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    return MaskReading(
        name=path.name,
        area=float(mask.mean()),
        frame=float(frame.mean()),
        quality=measured.indices.get("segmentation_quality", 0.0),
        attributes=measured.attributes,
        confidence=measured.confidence,
        sure_colours=len(measured.sure_colours),
    )


def _share(flags: Iterable[bool]) -> float:
    return float(np.mean(list(flags)))
