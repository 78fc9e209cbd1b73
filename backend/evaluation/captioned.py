"""Whether images of a folder show what their captions state, as the ABC meter sees them.

Captions are those of `metadata.jsonl`, the layout of our exports and of the `datasets` library, and
else those that PNGs of ours carry themselves; so sets of other generators are measured alike.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.abc.adherence import bootstrap_intervals, score_attributes
from backend.abc.attributes import LesionAttributes
from backend.abc.measure import MeasureError, measure
from backend.abc.parser import parse
from backend.evaluation.errors import EvaluationError
from backend.exports.rows import METADATA, caption_in
from backend.generation.errors import ForeignImageError
from backend.generation.provenance import read_png
from backend.images import ImageError, read_image


@dataclass(frozen=True)
class SetAdherence:
    """Scores in 0..1 by attribute with 95 % bootstrap intervals, over so many captioned images."""

    images: int
    scores: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]


def measure_adherence(folder: Path, files: Sequence[Path]) -> SetAdherence | None:
    """How well the captioned ones among these files show what is stated; None without captions.

    Colours by micro-averaged F1, asymmetry, border and edge by balanced accuracy, skin tone by the
    share within one Fitzpatrick type. An image that cannot be measured is wrong in every attribute.

    Raises:
        EvaluationError: the metadata of the folder cannot be read.
    """
    stated = stated_in(folder, files)
    if not stated:
        return None
    pairs = [(lesion, _measured(file)) for file, lesion in stated.items()]
    intervals = bootstrap_intervals(pairs)
    return SetAdherence(
        images=len(pairs),
        scores=score_attributes(pairs),
        intervals={name: (one.low, one.high) for name, one in intervals.items()},
    )


def stated_in(folder: Path, files: Sequence[Path]) -> dict[Path, LesionAttributes]:
    """What the caption of each file states, for those that have a caption.

    Raises:
        EvaluationError: `metadata.jsonl` cannot be read, or one of its lines is no JSON object.
    """
    told = _metadata(folder)
    captions = {file: told.get(file.resolve()) if told else _own_caption(file) for file in files}
    return {file: parse(text).attributes for file, text in captions.items() if text}


def _metadata(folder: Path) -> dict[Path, str]:
    file = folder / METADATA
    if not file.is_file():
        return {}
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(
            f"{file.name} of {folder.name} cannot be read as UTF-8 text."
        ) from error
    captions: dict[Path, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            name = row["file_name"]
            text = caption_in(row)
            place = (folder / name).resolve()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise EvaluationError(
                f"Line {number} of {file.name} in {folder.name} does not name a file: mend it, or "
                "take the file away to measure without captions."
            ) from error
        if text:
            captions[place] = text
    return captions


def _own_caption(file: Path) -> str | None:
    if file.suffix.lower() != ".png":
        return None
    try:
        return read_png(file).request.caption
    except ForeignImageError:
        return None


def _measured(file: Path) -> LesionAttributes:
    try:
        return measure(read_image(file)).attributes
    except (ImageError, MeasureError):
        return LesionAttributes()
