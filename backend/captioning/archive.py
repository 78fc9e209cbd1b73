"""Captions that others have written: the files of the paper's release, and any of their form.

Accepted are a JSON object `{image: caption}`, a JSON list of objects with `image`, `image_id` or
`file_name` and `caption` or `text`, and JSON lines of such objects.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from backend.abc.caption_text import CaptionError, clean_caption
from backend.captioning.errors import CaptioningError
from backend.corpus.queries import CorpusView
from backend.files import read_file

NAME = "archive"
_IMAGES = ("image", "image_id", "file_name")
_CAPTIONS = ("caption", "text")


def prompt_version(file: Path) -> str:
    """Names the file by its content.

    Raises:
        FileError: it cannot be read.
    """
    return f"{file.stem[:40]}-{hashlib.sha256(read_file(file)).hexdigest()[:12]}"


@dataclass(frozen=True)
class Archive:
    """Image names and cleaned captions in the order of the file, and what could not be used."""

    entries: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]


def read_archive(file: Path) -> Archive:
    """What a file holds; an entry that cannot be used is a problem, not the end.

    Raises:
        CaptioningError: the file is none of the accepted forms, or holds no caption at all.
        FileError: it cannot be read.
    """
    try:
        text = read_file(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CaptioningError(f"The caption file {file.name} is not UTF-8: save it so.") from error
    entries: list[tuple[str, str]] = []
    problems: list[str] = []
    for where, value in _values(file, text):
        try:
            entries.append(_entry(value))
        except CaptionError as error:
            problems.append(f"In the caption file {file.name}, {where}: {error}")
    if not entries:
        more = f" {problems[0]}" if problems else ""
        raise CaptioningError(f"The caption file {file.name} holds no caption.{more}")
    return Archive(tuple(entries), tuple(problems))


def match(
    entries: Sequence[tuple[str, str]], images: Sequence[CorpusView]
) -> tuple[dict[str, str], list[str]]:
    """Captions by the id of their image, and the names that belong to none.

    A name is compared as it stands, then without folder and ending, in any case. Of two captions
    for one image the first counts.
    """
    exact = {image.source_id: image.id for image in images}
    loose: dict[str, str] = {}
    for image in images:
        for name in (image.source_id, image.source_path):
            loose.setdefault(_stem(name), image.id)
    matched: dict[str, str] = {}
    unknown = []
    for name, caption in entries:
        image_id = exact.get(name) or loose.get(_stem(name))
        if image_id is None:
            unknown.append(name)
        else:
            matched.setdefault(image_id, caption)
    return matched, unknown


def _stem(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).stem.casefold()


def _values(file: Path, text: str) -> Iterator[tuple[str, object]]:
    """Each entry with the place where it stands."""
    try:
        whole = json.loads(text)
    except ValueError:
        yield from _lines(file, text)
        return
    if isinstance(whole, Mapping) and not _is_entry(whole):
        whole = [{"image": name, "caption": caption} for name, caption in whole.items()]
    for number, entry in enumerate(whole if isinstance(whole, list) else [whole], 1):
        yield f"entry {number}", entry


def _lines(file: Path, text: str) -> Iterator[tuple[str, object]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield f"line {number}", json.loads(line)
        except ValueError as error:
            raise CaptioningError(
                f"The caption file {file.name} is neither JSON nor JSON lines: line {number} "
                "cannot be read."
            ) from error


def _is_entry(value: Mapping[str, object]) -> bool:
    return any(key in value for key in _IMAGES) and any(key in value for key in _CAPTIONS)


def _entry(value: object) -> tuple[str, str]:
    if not isinstance(value, Mapping) or not _is_entry(value):
        raise CaptionError(f"it needs {' or '.join(_IMAGES)}, and {' or '.join(_CAPTIONS)}.")
    name = next(value[key] for key in _IMAGES if key in value)
    caption = next(value[key] for key in _CAPTIONS if key in value)
    if not isinstance(caption, str):
        raise CaptionError(f"the caption of {name} is no text.")
    return str(name), clean_caption(caption)
