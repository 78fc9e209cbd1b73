"""Prediction tables of the workspace: of experiments, and those that people brought.

A table that was brought is a folder named by the hash of its content, with `predictions.parquet`
and `about.json`. An experiment has `predictions.parquet` among its results.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from backend.evaluation.errors import EvaluationError
from backend.evaluation.planning import experiments_dir
from backend.evaluation.prediction_files import read_predictions, write_predictions
from backend.evaluation.predictions import Predictions, join
from backend.evaluation.results import PREDICTION_TABLE
from backend.files import read_file, write_file

EXPERIMENT, BROUGHT = "experiment", "table"
ABOUT = "about.json"
TABLES = ("table-2", "figure-4", "table-3")
"""The tables that an experiment writes beside its predictions."""


@dataclass(frozen=True)
class TableEntry:
    """A table that can be chosen; `name` is `experiment:FOLDER` or `table:HASH`."""

    name: str
    title: str
    folder: Path

    @property
    def file(self) -> Path:
        """The table itself."""
        return self.folder / PREDICTION_TABLE


def list_tables(workspace: Path) -> list[TableEntry]:
    """Experiments that have ended and tables that were brought, the newest first."""
    root = experiments_dir(workspace)
    files = [
        *((EXPERIMENT, file) for file in (root / "grids").glob(f"*/{PREDICTION_TABLE}")),
        *((BROUGHT, file) for file in (root / "tables").glob(f"*/{PREDICTION_TABLE}")),
    ]
    files.sort(key=lambda one: one[1].stat().st_mtime, reverse=True)
    return [TableEntry(f"{kind}:{file.parent.name}", _title(kind, file), file.parent)
            for kind, file in files]  # fmt: skip


def find_tables(workspace: Path, names: Sequence[str]) -> list[TableEntry]:
    """The tables of these names, in their order.

    Raises:
        EvaluationError: none is named, or one is gone.
    """
    if not names:
        raise EvaluationError("Choose the predictions of an experiment, or import a table.")
    known = {entry.name: entry for entry in list_tables(workspace)}
    gone = next((name for name in names if name not in known), None)
    if gone is not None:
        raise EvaluationError(f"The predictions {gone.partition(':')[2]} are gone: choose others.")
    return [known[name] for name in dict.fromkeys(names)]


def read_tables(entries: Sequence[TableEntry]) -> Predictions:
    """Tables as one.

    Raises:
        EvaluationError: one is damaged, or two hold the same row or disagree about an image.
    """
    return join([read_predictions(entry.file) for entry in entries])


def content_key(entries: Sequence[TableEntry]) -> str:
    """Equal exactly where the tables are; the order does not count."""
    digest = hashlib.sha256()
    for one in sorted(hashlib.sha256(read_file(entry.file)).digest() for entry in entries):
        digest.update(one)
    return digest.hexdigest()[:24]


def keep_table(
    workspace: Path,
    file: Path,
    mapping: Mapping[str, str] | None = None,
    *,
    labels: Mapping[str, int] | None = None,
    title: str = "",
) -> TableEntry:
    """Check a file and keep it; the same rows are kept once.

    Raises:
        EvaluationError: its columns or cells cannot be.
        FileError: it cannot be written.
    """
    predictions = read_predictions(file, mapping, labels=labels)
    root = experiments_dir(workspace) / "tables"
    folder = root / _identity(predictions)
    if not (folder / PREDICTION_TABLE).is_file():
        about = {"title": title or file.name, "columns": dict(mapping or {})}
        write_file(folder / ABOUT, json.dumps(about).encode())
        write_predictions(predictions, folder / PREDICTION_TABLE)
    return TableEntry(f"{BROUGHT}:{folder.name}", _title(BROUGHT, folder / ABOUT), folder)


def paper_tables(entries: Sequence[TableEntry]) -> dict[str, pd.DataFrame]:
    """Table 2, Table 3 and Figure 4 of the first experiment among the tables that has them."""
    found: dict[str, pd.DataFrame] = {}
    for entry in entries:
        for name in TABLES:
            file = entry.folder / f"{name}.csv"
            if name not in found and file.is_file():
                found[name] = pd.read_csv(file)
    return found


def _identity(predictions: Predictions) -> str:
    digest = hashlib.sha256()
    for frame in (predictions.frame.astype(str), predictions.facts.astype(str)):
        digest.update("\0".join(frame.columns).encode())
        digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return digest.hexdigest()[:24]


def _title(kind: str, file: Path) -> str:
    folder = file.parent
    try:
        if kind == EXPERIMENT:
            return f"Experiment {json.loads((folder / 'grid.json').read_text())['name']}"
        return str(json.loads((folder / ABOUT).read_text())["title"])
    except (OSError, ValueError, KeyError):
        return folder.name
