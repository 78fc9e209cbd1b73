"""Measure the images of an expert's table and compare: `python -m backend measure --evaluate`."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import jaccard_score

from backend.abc.attributes import Asymmetry, Colour
from backend.abc.expert.agreement import Agreement, Comparison, agreement_of
from backend.abc.expert.pictures import pictures_in, read_mask
from backend.abc.expert.table import ExpertRow, ExpertTable, find_table, read_table, stem_of
from backend.abc.measure import SURE_FROM, MeasureError, Measurement, measure
from backend.abc.measurement.frame import LARGEST_SIDE
from backend.files import write_file
from backend.images import ImageError, read_image, resize
from backend.jobs.executors import each_in_processes

_AXES = tuple(Asymmetry)


@dataclass(frozen=True)
class Evaluation:
    """What was read, how far it agrees, and a sentence for everything that was left out."""

    table: Path
    agreement: Agreement
    comparisons: tuple[Comparison, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class _Work:
    row: ExpertRow
    image: Path
    mask: Path | None


def evaluate(folder: Path, *, table: Path | None = None, processes: int = 1) -> Evaluation:
    """Compare the meter with the experts whose labels lie in a folder of images.

    Raises:
        FileError: the table cannot be opened.
        MeasureError: there is no such table, or none of its images can be measured.
    """
    labels = read_table(table or find_table(folder))
    work, missing = _found(folder, labels)
    made = list(each_in_processes(_compared, work, processes))
    comparisons = tuple(comparison for comparison, _ in made if comparison is not None)
    problems = [*labels.problems, *missing, *(sentence for _, sentence in made if sentence)]
    if not comparisons:
        raise MeasureError(
            f"None of the images of {labels.path.name} could be measured"
            + (f": {problems[0]}" if problems else ": the table names none.")
        )
    return Evaluation(labels.path, agreement_of(comparisons), comparisons, tuple(problems))


def compare(
    row: ExpertRow, measured: Measurement, mask: NDArray[np.bool_] | None = None
) -> Comparison:
    """One image's labels beside its measurement."""
    overlap = (
        None
        if mask is None
        else jaccard_score(mask.ravel(), measured.mask.ravel(), zero_division=0.0)
    )
    return Comparison(
        image=row.image,
        expert=row.asymmetry,
        expert_colours=row.colours,
        measured=measured.attributes.asymmetry,
        colours=frozenset(measured.attributes.colours) if measured.found else None,
        sure=measured.confidence["asymmetry"] >= SURE_FROM,
        sure_colours=measured.sure_colours,
        overlap=None if overlap is None else float(overlap),
    )


def write_readings(path: Path, comparisons: Sequence[Comparison]) -> None:
    """What experts and meter say of each image, as CSV.

    Raises:
        FileError: disk full or any other refusal of the file system.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(
        (
            *("image", "asymmetry", "measured_asymmetry", "sure"),
            *("colours", "measured_colours", "unsure_colours", "mask_iou"),
        )
    )
    for one in comparisons:
        unsure = frozenset(Colour) - one.sure_colours
        rows.writerow(
            (
                one.image,
                "" if one.expert is None else _AXES.index(one.expert),
                "" if one.measured is None else _AXES.index(one.measured),
                int(one.sure),
                _joined(one.expert_colours),
                _joined(one.colours),
                _joined(unsure),
                "" if one.overlap is None else f"{one.overlap:.4f}",
            )
        )
    write_file(path, text.getvalue().encode())


def _joined(colours: frozenset[Colour] | None) -> str:
    return ";".join(colour for colour in Colour if colour in (colours or ()))


def _found(folder: Path, labels: ExpertTable) -> tuple[list[_Work], list[str]]:
    pictures = pictures_in(folder)
    work, missing = [], []
    for row in labels.rows:
        stem = stem_of(row.image)
        if stem in pictures.images:
            work.append(_Work(row, pictures.images[stem], pictures.masks.get(stem)))
        else:
            missing.append(
                f"Line {row.line} ({row.image}): no such image lies in {folder.name} or below."
            )
    return work, missing


def _compared(work: _Work) -> tuple[Comparison | None, str]:
    """The comparison of one image, if it could be measured, and what was wrong, if anything."""
    where = f"Line {work.row.line} ({work.row.image}): "
    try:
        pixels = read_image(work.image)
        measured = measure(resize(pixels, LARGEST_SIDE))
    except (ImageError, MeasureError) as error:
        return None, f"{where}{error}"
    if work.mask is None:
        return compare(work.row, measured), ""
    try:
        mask = read_mask(work.mask, pixels.shape[:2], measured.mask.shape[:2])
    except ImageError as error:
        return compare(work.row, measured), f"{where}{error}"
    if mask is None:
        return compare(work.row, measured), (
            f"{where}the mask {work.mask.name} is not of the size of its image; it was left out."
        )
    return compare(work.row, measured, mask), ""
