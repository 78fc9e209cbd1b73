"""What commands print: JSON for scripts, aligned text for people."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON for scripts instead of text for people.")
]


def emit(value: object, as_json: bool, text: str | Iterable[str]) -> None:
    """Print `value` as one JSON document, or `text`, a string or lines."""
    if as_json:
        typer.echo(json.dumps(value, default=_plain, ensure_ascii=False, indent=2))
        return
    for line in [text] if isinstance(text, str) else text:
        typer.echo(line)


def aligned(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Rows under a header, each column as wide as its longest cell."""
    cells = [list(header)] + [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def _plain(value: object) -> Any:
    """JSON for the value objects of the backend; raises TypeError for anything else."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")
