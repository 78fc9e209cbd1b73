"""Predictions that windows look at, kept open by what is in them, so that no move reads a file."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pandas as pd

from backend.evaluation.exploring import Exploration, explore, with_evaluation
from backend.evaluation.prediction_tables import (
    TableEntry,
    content_key,
    find_tables,
    paper_tables,
    read_tables,
)
from backend.evaluation.predictions import Predictions, Split, splits_of
from backend.evaluation.reporting import FIGURES, EvaluateTask, read_evaluation, report_dir
from studio.context import StudioContext

KEPT = 4
T = TypeVar("T")


@dataclass(frozen=True)
class Choice:
    """What a window has chosen: tables, split, whether only shared images count, and runs."""

    tables: tuple[str, ...]
    split: Split = Split.TEST
    shared_only: bool = False
    shown: tuple[str, ...] = ()

    @property
    def task(self) -> EvaluateTask:
        """The job that reports on it."""
        return EvaluateTask(tables=self.tables, split=self.split, shared_only=self.shared_only)


@dataclass(frozen=True)
class OpenTables:
    """Chosen tables: an exploration of them, the splits they have, the paper's tables if any."""

    exploration: Exploration
    splits: tuple[Split, ...]
    tables: Mapping[str, pd.DataFrame]
    has_report: bool


class OpenPredictions:
    """Guards the few tables that are open; several windows may ask at once."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, object] = OrderedDict()

    def open(self, studio: StudioContext, choice: Choice) -> OpenTables:
        """What a window looks at; raises EvaluationError where it cannot be."""
        entries = find_tables(studio.settings.workspace, choice.tables)
        files = tuple((one.name, one.file.stat().st_mtime_ns) for one in entries)
        key = self._get(("key", files), lambda: content_key(entries))
        folder = report_dir(studio.settings, entries, choice.task, key=key)
        figures = folder / FIGURES
        made = figures.stat().st_mtime_ns if figures.is_file() else 0

        def make() -> OpenTables:
            predictions = self._get(("table", key), lambda: read_tables(entries))
            return _opened(predictions, entries, choice, folder_has=made > 0, studio=studio)

        return self._get((key, choice.split, choice.shared_only, choice.shown, made), make)

    def _get(self, key: Hashable, make: Callable[[], T]) -> T:
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]  # type: ignore[return-value]
        value = make()
        with self._lock:
            self._values[key] = value
            while len(self._values) > 3 * self._kept:
                self._values.popitem(last=False)
        return value


def _opened(
    predictions: Predictions,
    entries: Sequence[TableEntry],
    choice: Choice,
    *,
    folder_has: bool,
    studio: StudioContext,
) -> OpenTables:
    found = explore(predictions, choice.split, shown=choice.shown, shared_only=choice.shared_only)
    if folder_has:
        folder = report_dir(studio.settings, entries, choice.task)
        found = with_evaluation(found, read_evaluation(folder))
    return OpenTables(found, splits_of(predictions), paper_tables(entries), folder_has)
