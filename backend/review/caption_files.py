"""Caption sets as files: CSV, JSON lines, ImageFolder; read back, they are the same set."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from sqlalchemy import select

from backend.abc.caption_text import CaptionError, clean_caption
from backend.corpus.catalogue import image_id
from backend.errors import DermaFluxError
from backend.exports.folders import whole_folder
from backend.exports.rows import METADATA, csv_line, json_bytes
from backend.files import copy_file
from backend.review.caption_sets import Entry, add_version, get_version, read_version
from backend.review.errors import ReviewError, ReviewTakenError
from backend.review.people import Actor, keep
from backend.review.states import Action, Origin
from backend.review.views import ImportView
from backend.settings import Settings
from backend.store.database import Database
from backend.store.tables import CorpusImage

COLUMNS = ("dataset", "source", "text", "origin", "captioner", "prompt")
NAMED = 100
AT_ONCE = 500
_QUOTE = "'"
_IMAGES = ("source", "image", "image_id", "file_name")
_CAPTIONS = ("text", "caption")


class CaptionFormat(StrEnum):
    """How a caption set is written."""

    CSV = "csv"
    JSONL = "jsonl"
    IMAGE_FOLDER = "imagefolder"


def read_format(text: str) -> CaptionFormat:
    """The format of that name; raises ReviewError for any other."""
    try:
        return CaptionFormat(text.strip().lower())
    except ValueError:
        raise ReviewError(f"There is no format '{text}': use {', '.join(CaptionFormat)}.") from None


@dataclass(frozen=True)
class _Line:
    """One caption of a file, before its image was looked for."""

    where: str
    dataset: str
    name: str
    text: str
    origin: Origin
    captioner: str
    prompt: str


def export_bytes(
    db: Database, settings: Settings, name: str, version: int, form: CaptionFormat
) -> bytes:
    """A version as one file; for `imagefolder` its metadata.jsonl, without the images.

    Raises:
        ReviewMissingError: there is no such caption set or version.
    """
    entries = read_version(db, name, version)
    if form is CaptionFormat.CSV:
        lines = (csv_line([_guarded(value) for value in _values(one)]) for one in entries)
        return csv_line(COLUMNS) + b"".join(lines)
    if form is CaptionFormat.JSONL:
        rows: Iterable[dict[str, object]] = (
            dict(zip(COLUMNS, _values(one), strict=True)) for one in entries
        )
    else:
        files = _files(db, settings, entries)
        rows = (
            {"file_name": file.name, **dict(zip(COLUMNS, _values(one), strict=True))}
            for one, file in ((one, files.get(one.image_id)) for one in entries)
            if file is not None
        )
    return b"".join(json_bytes(row) + b"\n" for row in rows)


def export_folder(
    db: Database, settings: Settings, name: str, version: int | None, folder: Path
) -> int:
    """An ImageFolder with the standard copies of the images; returns how many are in it.

    Raises:
        ReviewMissingError: there is no such caption set or version.
        ReviewError: the folder holds something already.
        FileError: the disk refuses.
    """
    version = get_version(db, name, version).version
    metadata = export_bytes(db, settings, name, version, CaptionFormat.IMAGE_FOLDER)
    files = _files(db, settings, read_version(db, name, version))
    with whole_folder(folder, ReviewError) as aside:
        (aside / METADATA).write_bytes(metadata)
        for key, file in files.items():
            copy_file(file.path, aside / f"{key}{file.path.suffix}")
    return len(files)


def import_captions(
    db: Database,
    actor: Actor,
    name: str,
    content: bytes,
    form: CaptionFormat,
    *,
    note: str = "",
) -> ImportView:
    """Make a version from a file; images that are not in the corpus are named, the rest is kept.

    A line names its image by `dataset` and `source`, or by `image`, `image_id` or `file_name` as
    the captions of the paper's release do. The same file again makes no second version.

    Raises:
        ReviewError: it cannot be read, or nothing of it can be kept.
        AccountError: the role does not allow it.
    """
    keep(db, actor)
    lines, problems = _read(content, form)
    entries, unknown = _matched(db, lines, problems)
    if not entries:
        first = f"it names {unknown[0]}, which is not in the corpus" if unknown else "it is empty"
        raise ReviewError(
            f"Nothing of the file can be kept: {problems[0] if problems else first}. Import the "
            "images first, or choose another file."
        )
    try:
        version = add_version(db, actor, name, entries.values(), note=note, action=Action.IMPORTED)
    except ReviewTakenError:
        version = get_version(db, name)
    return ImportView(
        version=version,
        kept=len(entries),
        unknown=tuple(unknown[:NAMED]),
        unknown_count=len(unknown),
        problems=tuple(problems[:NAMED]),
        problem_count=len(problems),
    )


@dataclass(frozen=True)
class _File:
    name: str
    path: Path


def _files(db: Database, settings: Settings, entries: Sequence[Entry]) -> dict[str, _File]:
    """The standard copy of each image that is still in the corpus, by its id."""
    found: dict[str, _File] = {}
    ids = [one.image_id for one in entries]
    for first in range(0, len(ids), AT_ONCE):
        with db.session() as session:
            rows = session.execute(
                select(CorpusImage.id, CorpusImage.file).where(
                    CorpusImage.id.in_(ids[first : first + AT_ONCE])
                )
            ).all()
        for key, file in rows:
            found[key] = _File(f"{key}{PurePosixPath(file).suffix}", settings.workspace / file)
    return found


def _values(one: Entry) -> list[str]:
    return [one.dataset, one.source, one.text, one.origin.value, one.captioner, one.prompt]


def _guarded(text: str) -> str:
    """A leading quote is doubled, so that the one before a formula can be told from it."""
    return f"{_QUOTE}{text}" if text.startswith(_QUOTE) else text


def _read(content: bytes, form: CaptionFormat) -> tuple[list[_Line], list[str]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReviewError("The file is not UTF-8: save it so, then import it again.") from error
    problems: list[str] = []
    lines = []
    rows = _csv_rows(text) if form is CaptionFormat.CSV else _json_rows(text, problems)
    for where, row in rows:
        try:
            lines.append(_line(where, row))
        except DermaFluxError as error:
            problems.append(f"{where}: {error}")
    return lines, problems


def _csv_rows(text: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        own = tuple(reader.fieldnames or ()) == COLUMNS
        for row in reader:
            cells = {str(key): value for key, value in row.items() if key is not None}
            if own:
                cells = {key: (value or "").removeprefix(_QUOTE) for key, value in cells.items()}
            yield f"Line {reader.line_num}", cells
    except csv.Error as error:
        raise ReviewError(
            f"The file is no CSV that can be read ({error}): save it anew."
        ) from error


def _json_rows(text: str, problems: list[str]) -> Iterator[tuple[str, Mapping[str, object]]]:
    """A list of objects, captions by image, or one object a line."""
    try:
        whole = json.loads(text)
    except ValueError:
        yield from _json_lines(text, problems)
        return
    if isinstance(whole, Mapping):
        named = any(key in whole for key in _IMAGES)
        pairs = ({"image": name, "caption": said} for name, said in whole.items())
        whole = [whole] if named else list(pairs)
    for number, row in enumerate(whole if isinstance(whole, list) else [whole], 1):
        yield f"Entry {number}", row if isinstance(row, Mapping) else {}


def _json_lines(text: str, problems: list[str]) -> Iterator[tuple[str, Mapping[str, object]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            problems.append(f"Line {number}: this is no JSON.")
            continue
        yield f"Line {number}", row if isinstance(row, Mapping) else {}


def _line(where: str, row: Mapping[str, object]) -> _Line:
    name = next((row[key] for key in _IMAGES if row.get(key)), None)
    text = next((row[key] for key in _CAPTIONS if key in row), None)
    if not isinstance(name, str | int) or not isinstance(text, str):
        raise CaptionError(
            f"an image ({', '.join(_IMAGES)}) and a caption ({' or '.join(_CAPTIONS)}) are needed."
        )
    said = str(row.get("origin") or "")
    origin = Origin(said) if said in set(Origin) else Origin.IMPORTED
    return _Line(
        where=where,
        dataset=_plain(row.get("dataset")),
        name=_plain(name),
        text=clean_caption(text),
        origin=origin,
        captioner=_plain(row.get("captioner"))[:200],
        prompt=_plain(row.get("prompt"))[:64],
    )


def _plain(value: object) -> str:
    """Text without what no database keeps: NUL, and halves of a character."""
    text = "" if value is None else str(value)
    return text.replace("\0", "").encode("utf-8", "ignore").decode()


def _matched(
    db: Database, lines: Sequence[_Line], problems: list[str]
) -> tuple[dict[str, Entry], list[str]]:
    """Entries by image, and names that no image has; of two captions for one the first counts."""
    there = _known(db, {image_id(one.dataset, one.name) for one in lines if one.dataset})
    loose = _loose(db, [one for one in lines if not one.dataset])
    entries: dict[str, Entry] = {}
    unknown: list[str] = []
    for one in lines:
        found = there.get(image_id(one.dataset, one.name)) if one.dataset else None
        found = found or loose.get(_stem(one.name))
        if found is None:
            unknown.append(f"{one.dataset}/{one.name}" if one.dataset else one.name)
            continue
        key, dataset, source = found
        if key in entries:
            problems.append(f"{one.where}: a second caption for {one.name}; the first counts.")
            continue
        entries[key] = Entry(key, dataset, source, one.text, one.origin, one.captioner, one.prompt)
    return entries, unknown


_Found = tuple[str, str, str]


def _known(db: Database, ids: set[str]) -> dict[str, _Found]:
    found: dict[str, _Found] = {}
    wanted = sorted(ids)
    for first in range(0, len(wanted), AT_ONCE):
        with db.session() as session:
            rows = session.execute(
                select(CorpusImage.id, CorpusImage.dataset, CorpusImage.source_id).where(
                    CorpusImage.id.in_(wanted[first : first + AT_ONCE])
                )
            )
            found.update({key: (key, dataset, source) for key, dataset, source in rows})
    return found


def _loose(db: Database, lines: Sequence[_Line]) -> dict[str, _Found]:
    """Images by id or by name without folder and ending, in any case; the first by dataset."""
    if not lines:
        return {}
    wanted = {_stem(one.name) for one in lines}
    found: dict[str, _Found] = {}
    statement = select(CorpusImage.id, CorpusImage.dataset, CorpusImage.source_id).order_by(
        CorpusImage.dataset, CorpusImage.source_id
    )
    with db.session() as session:
        for key, dataset, source in session.execute(statement):
            for name in (key, _stem(source)):
                if name in wanted:
                    found.setdefault(name, (key, dataset, source))
    return found


def _stem(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).stem.casefold()
