"""Seconds that a measurement may take: what is left of them, lines of progress, and their end."""

import json
import math
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.errors import DermaFluxError

FAILURES = (
    DermaFluxError,
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    ImportError,
    OSError,
)
"""What may befall a row without ending those after it: no memory, a kernel that is not there."""

Report = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Clock:
    """How long all may take, in seconds."""

    budget: float = math.inf
    started: float = field(default_factory=time.monotonic)

    @property
    def spent(self) -> float:
        """Since the start."""
        return time.monotonic() - self.started

    @property
    def left(self) -> float:
        """Until the end."""
        return self.budget - self.spent


def say(clock: Clock, what: str) -> None:
    """A line of progress on standard error."""
    print(f"{clock.spent:7.1f} s  {what}", file=sys.stderr, flush=True)


def reason_of(error: BaseException) -> str:
    """The kind of an error and its first line."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:300]}"


def write_report(file: Path | None) -> Report:
    """Writes figures to a file, where there is one."""

    def report(figures: Mapping[str, Any]) -> None:
        if file is not None:
            file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")

    return report


def end_after(clock: Clock, folder: Path | None = None) -> None:
    """End the process at the end of the budget whatever it does then; a folder, which may be much
    of the memory, goes first."""
    if not math.isfinite(clock.budget):
        return

    def end() -> None:
        say(clock, "the time is over")
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    timer = threading.Timer(max(0.0, clock.left), end)
    timer.daemon = True
    timer.start()
