"""The images that a dataset's tables or folders speak of, with what could not be used."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from backend.corpus.diagnoses import diagnosis_of
from backend.corpus.exclusions import LeftOut, Reason
from backend.corpus.facts import (
    ImageFacts,
    age_of,
    modality_of,
    sex_of,
    site_of,
    skin_tone_of,
    split_of,
)
from backend.corpus.matching import FoundTable, columns_under, is_image, key_of
from backend.corpus.places import Item, open_item
from backend.corpus.record import Field, Source, TableRecord
from backend.corpus.tables import Table, open_table

Cells = dict[Field, tuple[str, ...]]
"""The filled cells of an image by field, those of several columns in the record's order."""


@dataclass
class Readout:
    """What the tables of a dataset say, in the order of their rows."""

    images: list[ImageFacts] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Row:
    place: str
    name: str
    cells: Cells


def read_tables(source: Source, base: Path, found: Iterable[FoundTable]) -> Readout:
    """Read tables and join them by image and by lesion; what a later table adds never overrides.

    Raises:
        CorpusError: a table is damaged or cannot be opened.
    """
    readout = Readout()
    names: dict[str, str] = {}
    by_image: dict[str, Cells] = {}
    by_lesion: dict[str, Cells] = {}
    for table in sorted(found, key=lambda one: (one.record.optional, one.item)):
        joined = by_lesion if table.record.key is Field.LESION else by_image
        seen: set[str] = set()
        for row in _rows(base, table, readout.left_out):
            key = key_of(row.name)
            if key in seen:
                words = f"{row.name} stands in this table twice: its first row counts"
                readout.left_out.append(LeftOut(row.place, Reason.DUPLICATE_ROW, words))
                continue
            seen.add(key)
            if table.record.optional and key not in joined:
                continue
            names.setdefault(key, row.name)
            joined[key] = row.cells | joined.get(key, {})
    for key in list(by_image):
        cells = by_image.pop(key)
        lesion = cells.get(Field.LESION, ("",))[0].casefold()
        facts = by_lesion.get(lesion, {}) | cells
        readout.images.append(_image_facts(source, names[key], key, facts))
    return readout


def read_folders(source: Source, items: Iterable[Item]) -> Iterator[tuple[Item, ImageFacts]]:
    """The images of a dataset whose labels are its folders; others are passed over."""
    for item in items:
        parts = item.inner.parts[:-1]
        at = _class_folder(source, parts)
        if at is None or not is_image(item):
            continue
        split = next((name for part in reversed(parts[:at]) if (name := split_of(part))), "")
        diagnosis, given = diagnosis_of([parts[at]])
        source_id = "/".join((*((split,) if split else ()), *parts[at:], item.inner.stem))
        facts = ImageFacts(
            source_id=source_id,
            key=source_id.casefold(),
            diagnosis="" if diagnosis in ("benign", "malignant") else diagnosis,
            diagnosis_given=given,
            target=parts[at],
            modality=source.modality,
            split=split,
        )
        yield item, facts


def _class_folder(source: Source, parts: Sequence[str]) -> int | None:
    if source.folders is None:
        return len(parts) - 1 if parts else None
    classes = [place for place, part in enumerate(parts) if part.casefold() in source.folders]
    return classes[-1] if classes else None


def _rows(base: Path, found: FoundTable, left_out: list[LeftOut]) -> Iterator[_Row]:
    record = found.record
    with open_item(base, found.item) as stream:
        table = open_table(stream, found.item.place)
        split = split_of(found.item.inner.name)
        columns = {
            name: columns_under(table.header, wanted) for name, wanted in record.columns.items()
        }
        diagnoses = _one_hot_columns(record, table)
        images = [
            (places[0], modality)
            for column, modality in record.image_columns.items()
            if (places := columns_under(table.header, (column,)))
        ]
        shared: dict[tuple[str, ...], tuple[str, ...]] = {}
        for line, row in table.rows:
            place = f"{found.item.place}:{line}"
            cells = _cells(columns, row, shared)
            if split:
                cells.setdefault(Field.SPLIT, (split,))
            if diagnoses:
                marked = [code for at, code in diagnoses if _is_marked(row[at])]
                if len(marked) != 1:
                    words = f"{len(marked)} diagnoses are marked in this row, not one"
                    left_out.append(LeftOut(place, Reason.BAD_ROW, words))
                    continue
                cells[Field.DIAGNOSIS] = (marked[0],)
            names = [(row[at], modality) for at, modality in images] or [
                (cells.get(record.key, ("",))[0], "")
            ]
            for name, modality in names:
                if not name:
                    words = f"this row names no {record.key}"
                    left_out.append(LeftOut(place, Reason.BAD_ROW, words))
                    continue
                extra: Cells = {Field.MODALITY: (modality,)} if modality else {}
                yield _Row(place, name, cells | extra)


def _cells(
    columns: dict[Field, list[int]],
    row: Sequence[str],
    shared: dict[tuple[str, ...], tuple[str, ...]],
) -> Cells:
    """The filled cells; what stands in many rows is kept once, or a table of 1 GB fills memory."""
    cells: Cells = {}
    for name, places in columns.items():
        filled = tuple(row[at] for at in places if row[at])
        if filled:
            own = name in (Field.IMAGE, Field.LESION)
            cells[name] = filled if own else shared.setdefault(filled, filled)
    return cells


def _one_hot_columns(record: TableRecord, table: Table) -> list[tuple[int, str]]:
    return [
        (places[0], code)
        for code in record.one_hot
        if (places := columns_under(table.header, (code,)))
    ]


def _is_marked(cell: str) -> bool:
    try:
        return float(cell) > 0.5
    except ValueError:
        return cell.casefold() in ("x", "true", "yes")


def _image_facts(source: Source, name: str, key: str, cells: Cells) -> ImageFacts:
    def first(wanted: Field) -> str:
        return cells.get(wanted, ("",))[0]

    diagnosis, given = diagnosis_of(cells.get(Field.DIAGNOSIS, ()))
    return ImageFacts(
        source_id=_without_suffix(name),
        key=key,
        patient=first(Field.PATIENT),
        lesion=first(Field.LESION),
        diagnosis=diagnosis,
        diagnosis_given=given,
        target=first(Field.TARGET),
        modality=modality_of(first(Field.MODALITY)) or source.modality,
        skin_tone=skin_tone_of(first(Field.SKIN_TONE), fitzpatrick=source.fitzpatrick),
        site=site_of(first(Field.SITE)),
        age=age_of(first(Field.AGE)),
        sex=sex_of(first(Field.SEX)),
        split=split_of(first(Field.SPLIT)),
    )


def _without_suffix(name: str) -> str:
    bare = name.replace("\\", "/").rsplit("/", 1)[-1]
    return bare[: len(key_of(name))]
