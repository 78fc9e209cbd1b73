"""One cell of an experiment: a classifier, what it trains on, and what it is tested on.

A cell is a folder named by the hash of all that decides its result: `task.json`, a checkpoint while
it trains, `epochs.jsonl`, and `predictions.parquet` with validation and test images at the end.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from backend.evaluation.errors import EvaluationError
from backend.evaluation.recipes import Recipe
from backend.files import read_file, write_file

TASK, EPOCHS, CHECKPOINT = "task.json", "epochs.jsonl", "checkpoint"
PREDICTIONS, STATUS = "predictions.parquet", "status.json"
FORMAT = 1

Split = Literal["train", "validation", "test"]


class Rows(BaseModel):
    """Some rows of a pool; `synthetic` says whether they are real."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pool: Path
    digest: str
    indices: tuple[int, ...]
    synthetic: bool = False


class CellTask(BaseModel):
    """Everything that decides the result, and the name of the model in the predictions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    seed: int
    recipe: Recipe
    train: tuple[Rows, ...]
    validation: tuple[Rows, ...] = ()
    test: tuple[Rows, ...]

    @property
    def key(self) -> str:
        """Content hash: equal exactly where the result is; names and places do not count."""
        values = {
            "format": FORMAT,
            "seed": self.seed,
            "recipe": self.recipe.model_dump(mode="json"),
            **{
                split: [[rows.digest, rows.indices] for rows in getattr(self, split)]
                for split in ("train", "validation", "test")
            },
        }
        text = json.dumps(values, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    @property
    def images(self) -> int:
        """Training images."""
        return sum(len(rows.indices) for rows in self.train)


def write_cell(root: Path, task: CellTask) -> Path:
    """The folder of a cell with its task in it.

    Raises:
        FileError: it cannot be written.
    """
    folder = root / task.key
    if not (folder / TASK).exists():
        write_file(folder / TASK, task.model_dump_json(indent=1).encode())
    return folder


def read_cell(folder: Path) -> CellTask:
    """The task of a cell.

    Raises:
        EvaluationError: it is damaged, or of another version.
        FileError: it is gone.
    """
    try:
        return CellTask.model_validate_json(read_file(folder / TASK))
    except ValidationError as error:
        raise EvaluationError(
            f"The task of the cell {folder.name} cannot be read: run the experiment once more."
        ) from error


def is_done(folder: Path) -> bool:
    """Whether a cell has its predictions."""
    return (folder / PREDICTIONS).is_file()


def write_scores(folder: Path, frame: pd.DataFrame) -> None:
    """Keep what a cell predicted, in the columns of the one prediction table; the cell is done."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    write_file(folder / PREDICTIONS, buffer.getvalue())


def read_scores(folder: Path, model: str) -> pd.DataFrame:
    """What a cell predicted, under the name that the experiment gives its model.

    Raises:
        FileError: it is gone.
    """
    frame = pd.read_parquet(io.BytesIO(read_file(folder / PREDICTIONS)))
    return frame.assign(model=model)


def missing_cells(folders: Sequence[Path]) -> list[Path]:
    """Those that have still to be computed, each once."""
    return [folder for folder in dict.fromkeys(folders) if not is_done(folder)]


def write_status(folder: Path, *, epoch: int, epochs: int, error: str = "") -> None:
    """How far a cell is, for whoever waits for it."""
    values = {"epoch": epoch, "epochs": epochs, "error": error}
    write_file(folder / STATUS, json.dumps(values).encode(), durable=False)


def read_status(folder: Path) -> dict[str, int | str]:
    """How far a cell is; nothing where it has not begun."""
    try:
        values: dict[str, int | str] = json.loads((folder / STATUS).read_text())
    except (OSError, ValueError):
        return {}
    return values
