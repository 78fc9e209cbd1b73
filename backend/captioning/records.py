"""Captions and measurements of corpus images as rows: written together, never twice."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select

from backend.abc.attributes import Colour, LesionAttributes
from backend.abc.measure import MEASURED_FIELDS, Measurement
from backend.abc.parser import parse
from backend.captioning.findings import Check, Finding, Severity
from backend.captioning.seen import Seen
from backend.jobs.queue import new_id
from backend.store.attributes import COLOUR_BITS, colour_mask, stated_columns
from backend.store.columns import now
from backend.store.database import Database
from backend.store.tables import CaptionFinding, ImageCaption, ImageMeasurement

AT_ONCE = 500
_MEASURED = ("asymmetry", "border", "edge", "pattern", "skin_tone")


@dataclass(frozen=True)
class NewCaption:
    """What is to be kept of an image; `text` is empty where the captioner was unsure."""

    image_id: str
    text: str
    unsure: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class CaptionView:
    """A caption as it was when it was read."""

    id: str
    image_id: str
    captioner: str
    prompt: str
    text: str
    unsure: str
    findings: tuple[Finding, ...]
    created_at: datetime


@dataclass(frozen=True)
class CaptionCount:
    """Images that a captioner described, was unsure of, and captions with more than a note."""

    captioner: str
    prompt: str
    captions: int
    unsure: int
    flagged: int


def captioned(db: Database, captioner: str, prompt: str, ids: Sequence[str]) -> set[str]:
    """Which of the images have a caption, or were found unsure, by this version of a captioner."""
    found: set[str] = set()
    for first in range(0, len(ids), AT_ONCE):
        with db.session() as session:
            rows = session.scalars(
                select(ImageCaption.image_id).where(
                    ImageCaption.captioner == captioner,
                    ImageCaption.prompt == prompt,
                    ImageCaption.image_id.in_(ids[first : first + AT_ONCE]),
                )
            )
            found.update(rows)
    return found


def forget_unsure(
    db: Database, captioner: str, prompt: str, ids: Sequence[str], *, before: datetime
) -> int:
    """Forget of which images a version of a captioner was unsure before a moment; how many."""
    forgotten = 0
    for first in range(0, len(ids), AT_ONCE):
        statement = delete(ImageCaption).where(
            ImageCaption.captioner == captioner,
            ImageCaption.prompt == prompt,
            ImageCaption.text == "",
            ImageCaption.created_at < before,
            ImageCaption.image_id.in_(ids[first : first + AT_ONCE]),
        )
        with db.session() as session:
            gone = session.execute(statement.returning(ImageCaption.id)).all()
        forgotten += len(gone)
    return forgotten


def keep_captions(
    db: Database,
    captioner: str,
    prompt: str,
    captions: Sequence[NewCaption],
    measurements: Mapping[str, dict[str, Any]],
) -> int:
    """Keep captions and what their images measured in one transaction; returns how many were new.

    An image that has a caption by this captioner and prompt keeps it. `measurements` are columns
    by image id (`measurement_columns`).
    """
    there = captioned(db, captioner, prompt, [one.image_id for one in captions])
    new = [one for one in captions if one.image_id not in there]
    rows, findings = [], []
    moment = now()
    for one in new:
        said = parse(one.text).attributes
        row_id = new_id()
        rows.append(
            {
                "id": row_id,
                "image_id": one.image_id,
                "captioner": captioner,
                "prompt": prompt,
                "text": one.text,
                "unsure": one.unsure,
                "created_at": moment,
                "worst": one.findings[0].severity if one.findings else None,
                "colour_mask": colour_mask(said.colours),
                **stated_columns(said),
            }
        )
        findings += [
            {
                "caption_id": row_id,
                "position": position,
                "check": finding.check,
                "severity": finding.severity,
                "reason": finding.reason,
                "spans": [list(span) for span in finding.spans],
            }
            for position, finding in enumerate(one.findings)
        ]
    with db.session() as session:
        if measurements:
            session.execute(
                delete(ImageMeasurement).where(ImageMeasurement.image_id.in_(list(measurements)))
            )
            session.execute(insert(ImageMeasurement), list(measurements.values()))
        if rows:
            session.execute(insert(ImageCaption), rows)
        if findings:
            session.execute(insert(CaptionFinding), findings)
    return len(rows)


def captions_of(db: Database, image_id: str) -> list[CaptionView]:
    """Every caption of an image, the newest first."""
    statement = select(ImageCaption).where(ImageCaption.image_id == image_id)
    with db.session() as session:
        rows = session.scalars(statement.order_by(ImageCaption.created_at.desc(), ImageCaption.id))
        return [_view(row) for row in rows]


def iterate_captions(db: Database, captioner: str, prompt: str) -> Iterator[CaptionView]:
    """All captions of a version of a captioner in the order of their images' ids."""
    last = ""
    while True:
        statement = (
            select(ImageCaption)
            .where(
                ImageCaption.captioner == captioner,
                ImageCaption.prompt == prompt,
                ImageCaption.image_id > last,
            )
            .order_by(ImageCaption.image_id)
            .limit(AT_ONCE)
        )
        with db.session() as session:
            views = [_view(row) for row in session.scalars(statement)]
        if not views:
            return
        yield from views
        last = views[-1].image_id


def count_captions(db: Database) -> list[CaptionCount]:
    """What each captioner has written, by version of its prompt."""
    grave = func.count().filter(ImageCaption.worst.in_((Severity.ERROR, Severity.WARNING)))
    unsure = func.count().filter(ImageCaption.text == "")
    key = (ImageCaption.captioner, ImageCaption.prompt)
    statement = select(*key, func.count() - unsure, unsure, grave).group_by(*key).order_by(*key)
    with db.session() as session:
        return [CaptionCount(*row) for row in session.execute(statement)]


def count_findings(db: Database, captioner: str, prompt: str) -> dict[Check, int]:
    """How many captions each check speaks against."""
    statement = (
        select(CaptionFinding.check, func.count())
        .join(ImageCaption)
        .where(ImageCaption.captioner == captioner, ImageCaption.prompt == prompt)
        .group_by(CaptionFinding.check)
    )
    with db.session() as session:
        counts = {row[0]: row[1] for row in session.execute(statement)}
    return {check: counts[check] for check in Check if check in counts}


def seen_on(db: Database, ids: Sequence[str]) -> dict[str, tuple[str, Seen | None]]:
    """By image id: the hash of the pixels that were measured, and what was seen on them."""
    with db.session() as session:
        statement = select(ImageMeasurement).where(ImageMeasurement.image_id.in_(ids))
        return {row.image_id: (row.pixel_hash, seen_of(row)) for row in session.scalars(statement)}


def measurement_columns(image_id: str, pixel_hash: str, measured: Measurement) -> dict[str, Any]:
    """The columns of an ImageMeasurement."""
    said = measured.attributes
    return {
        "image_id": image_id,
        "pixel_hash": pixel_hash,
        "found": measured.found,
        **{name: getattr(said, name) for name in _MEASURED},
        "dominant": said.colours[0] if said.colours else None,
        "colour_mask": colour_mask(said.colours),
        **{f"{name}_confidence": measured.confidence[name] for name in MEASURED_FIELDS},
        **{colour.value: measured.colours[colour] for colour in Colour},
    }


def seen_of(row: ImageMeasurement) -> Seen | None:
    """What a measurement says; None where no lesion was found."""
    if not row.found:
        return None
    rest = [c for c in Colour if row.colour_mask & COLOUR_BITS[c] and c is not row.dominant]
    colours = (row.dominant, *rest) if row.dominant else tuple(rest)
    attributes = LesionAttributes(
        **{name: getattr(row, name) for name in _MEASURED}, colours=colours
    )
    confidence = {name: getattr(row, f"{name}_confidence") for name in MEASURED_FIELDS}
    return Seen(attributes, confidence, {colour: getattr(row, colour.value) for colour in Colour})


def _view(row: ImageCaption) -> CaptionView:
    findings = tuple(
        Finding(one.check, one.severity, one.reason, tuple((a, b) for a, b in one.spans))
        for one in row.findings
    )
    values = {
        name: getattr(row, name)
        for name in ("id", "image_id", "captioner", "prompt", "text", "unsure", "created_at")
    }
    return CaptionView(**values, findings=findings)
