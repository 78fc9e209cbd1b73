"""Logs as JSON lines that hold events and numbers, never captions or file names.

Privacy by construction: of a record, the constant message is kept, and of its extras only
numbers and single words. Messages of other libraries are withheld (diffusers prints the part of
a prompt that CLIP cuts off), and of an exception only its type and its frames are kept.
"""

import json
import logging
import re
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from typing import Any

from backend.settings import Settings

ROOMS = ("backend", "studio", "training", "app", "__main__")
MAX_BYTES = 2_000_000
BACKUPS = 5
WITHHELD = "(withheld)"

_WORD = re.compile(r"[A-Za-z0-9_:+-]{1,64}")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)*")
_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure_logging(settings: Settings, process: str) -> None:
    """Send this process's records to the console and to `<workspace>/logs/<process>.jsonl`.

    A record that cannot be written, say on a full disk, is dropped: logging would print it whole.
    Raises OSError where the log folder cannot be written.
    """
    settings.logs_dir.mkdir(parents=True, exist_ok=True)
    file = RotatingFileHandler(
        settings.logs_dir / f"{process}.jsonl",
        maxBytes=MAX_BYTES,
        backupCount=BACKUPS,
        encoding="utf-8",
        delay=True,
    )
    file.setFormatter(JsonLines(process))
    console = Console()
    verbose = settings.log_level == "DEBUG"
    console.setFormatter(ForPeople(frames=verbose))
    if process == "command" and not verbose:
        console.setLevel(logging.WARNING)
    logging.raiseExceptions = False
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    for handler in (file, console):
        handler.addFilter(_is_wanted)
        root.addHandler(handler)
    root.setLevel(settings.log_level)


class Console(logging.Handler):
    """Writes to what is stderr at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """One record, one write."""
        try:
            sys.stderr.write(self.format(record) + "\n")
        except (OSError, ValueError):
            self.handleError(record)


class JsonLines(logging.Formatter):
    """One JSON object a record: at, level, process, room, event, extras, exception."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self.process = process

    def format(self, record: logging.LogRecord) -> str:
        """The record without anything that could be a caption or a path."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": self.process,
            "pid": record.process,
            "room": record.name,
            "event": _event(record),
            **_extras(record),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = type(record.exc_info[1]).__name__
            line["frames"] = _frames(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)


class ForPeople(logging.Formatter):
    """`12:00:01 info event key=value`, with frames of an exception where asked for."""

    def __init__(self, *, frames: bool) -> None:
        super().__init__()
        self.frames = frames

    def format(self, record: logging.LogRecord) -> str:
        """The same facts as in the file, on one line."""
        clock = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        facts = "".join(f" {name}={value}" for name, value in _extras(record).items())
        text = f"{clock} {record.levelname.lower():7} {_event(record)}{facts}"
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            return text
        text += f" ({type(error).__name__})"
        return "\n  ".join([text, *_frames(error)]) if self.frames else text


def _is_wanted(record: logging.LogRecord) -> bool:
    return _is_ours(record) or record.levelno >= logging.WARNING


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] in ROOMS


def _event(record: logging.LogRecord) -> str:
    """Our own constant message, its arguments filtered; of a library only where it spoke."""
    if not _is_ours(record):
        return f"{record.name} {record.levelname.lower()} at {record.funcName}:{record.lineno}"
    if not record.args:
        return str(record.msg)
    arguments: Any = (
        {name: _safe(value) for name, value in record.args.items()}
        if isinstance(record.args, Mapping)
        else tuple(_safe(value) for value in record.args)
    )
    try:
        return str(record.msg) % arguments
    except (TypeError, ValueError):
        return f"{record.msg} {arguments}"


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    if not _is_ours(record):
        return {}
    return {name: _safe(value) for name, value in vars(record).items() if _is_given(name)}


def _is_given(name: str) -> bool:
    """Whether a caller gave it: what libraries mark records with begins with an underscore."""
    return name not in _OWN_FIELDS and not name.startswith("_")


def _safe(value: object) -> bool | int | float | str | None:
    """Numbers and single words as they are; anything else could be text of a person."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    return text if _WORD.fullmatch(text) or _NUMBER.fullmatch(text) else WITHHELD


def _frames(error: BaseException) -> list[str]:
    """`module function:line`, innermost last, without messages or values."""
    return [
        f"{frame.f_globals.get('__name__', '?')} {frame.f_code.co_name}:{line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
