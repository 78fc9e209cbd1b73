"""What a run tells: `status.json` as it is now, `metrics.jsonl` as it went."""

import json
import logging
import resource
import sys
import time
from collections.abc import Mapping
from typing import Any

import torch

from backend.files import explained_files, write_file
from backend.finetuning.run_folder import Phase, RunFolder, Status, read_metrics, write_status
from training.lora.tracking import Trackers

LOGGER = logging.getLogger("training.lora")
STATUS_EVERY_S = 1.0


class Reporter:
    """Writes for the first process alone; the others say nothing.

    Durations come from a clock that cannot be set; the time of day is only shown.
    """

    def __init__(self, run: RunFolder, *, speaks: bool, steps: int, trackers: Trackers) -> None:
        self._run = run
        self._speaks = speaks
        self._trackers = trackers
        self._status = Status(phase=Phase.STARTING, steps=steps)
        self._written = float("-inf")
        self._waiting: list[tuple[str, str]] | None = []

    @property
    def status(self) -> Status:
        """As it was last told."""
        return self._status

    def show(self, phase: Phase, **values: Any) -> None:
        """Say what the program is at; what changes only a little waits for a second to pass."""
        before = self._status
        self._status = before.model_copy(
            update={"phase": phase, "peak_memory": peak_memory(), "message": "", **values}
        )
        due = time.monotonic() - self._written >= STATUS_EVERY_S
        if self._speaks and (due or phase is not before.phase):
            write_status(self._run, self._status)
            self._written = time.monotonic()

    def finish(self, phase: Phase, **values: Any) -> None:
        """The last word."""
        self._written = float("-inf")
        self.show(phase, **values)
        self._trackers.close()

    def write(self, kind: str, step: int, **values: Any) -> None:
        """Append a line to the metrics; raises FileError."""
        if not self._speaks:
            return
        line = {"kind": kind, "step": step, "at": round(time.time(), 3), **values}
        with explained_files(self._run.metrics), self._run.metrics.open("ab") as stream:
            stream.write(json.dumps(line).encode() + b"\n")
        self._trackers.write(kind, step, values)
        LOGGER.info("%s %d %s", kind, step, _short(values))

    def event(self, step: int, text: str, level: str = "info") -> None:
        """Something that happened, as a sentence; before `rewind` it waits for the step."""
        if self._waiting is not None:
            self._waiting.append((text, level))
            return
        self.write("event", step, level=level, text=text)

    def rewind(self, step: int | None) -> None:
        """Take back what was told of steps after a checkpoint, all where there is none; then say
        what waited. Raises FileError."""
        if self._speaks and self._run.metrics.is_file():
            lines = read_metrics(self._run)
            kept = [line for line in lines if step is not None and int(line["step"]) <= step]
            data = b"".join(json.dumps(line).encode() + b"\n" for line in kept)
            write_file(self._run.metrics, data)
        waiting, self._waiting = self._waiting or [], None
        for text, level in waiting:
            self.event(step or 0, text, level)


def peak_memory() -> int:
    """Bytes: of the GPU where there is one in use, else of this process."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return int(torch.cuda.max_memory_allocated())
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _short(values: Mapping[str, Any]) -> str:
    """Numbers for the log; captions and names stay out of it."""
    plain = {key: value for key, value in values.items() if isinstance(value, int | float)}
    text = values.get("text")
    words = [f"{key}={value:.5g}" for key, value in plain.items()]
    return " ".join([*words, *([str(text)] if text else [])])
