"""Settings from the command line: `--set name=value`, parts of a part by a dot."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from backend.finetuning.errors import FinetuningError

Override = dict[str, Any]


def parse_overrides(
    changes: Iterable[str],
    *,
    base: str | None,
    title: str,
    caption_set: str | None,
    version: int | None,
    subset: str | None,
    folder: Path | None,
) -> Override:
    """What was chosen explicitly; a value is JSON, or else the text as it is.

    Raises:
        FinetuningError: a change has no name, or names a part of something that has none.
    """
    data: Override = {"caption_set": caption_set, "version": version, "subset": subset}
    data["folder"] = None if folder is None else str(folder.expanduser().absolute())
    chosen: Override = {"data": {name: value for name, value in data.items() if value is not None}}
    if base is not None:
        chosen["base"] = base
    if title:
        chosen["title"] = title
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals or not name.strip():
            raise FinetuningError(f"'{change}' is no setting: write it as name=value.")
        _put(chosen, name.strip().split("."), _value(text.strip()), change)
    return chosen


def _put(chosen: Override, path: list[str], value: Any, change: str) -> None:
    *parts, last = path
    for part in parts:
        chosen = chosen.setdefault(part, {})
        if not isinstance(chosen, dict):
            raise FinetuningError(f"'{change}' names a part of a setting that has none.")
    chosen[last] = value


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
