"""Where a training run keeps what: one folder a run, all that the page needs to know in its files.

`config.json` is written by whoever plans the run, all else by the program; `requests/` holds empty
files by which the page asks for something, which the program removes when it has done it.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from backend.files import remove_file, write_file
from backend.finetuning.config import TrainingConfig
from backend.finetuning.errors import FinetuningError
from backend.settings import Settings

RUN_ID = re.compile(r"[0-9a-z][0-9a-z-]{0,79}")
Part = TypeVar("Part", bound=BaseModel)
STEP_FOLDER = "step-{step:08d}"


class Wish(StrEnum):
    """What the page may ask of a running program; the name of a file in `requests/`."""

    STOP_NOW = "stop-now"
    STOP_AFTER_CHECKPOINT = "stop-after-checkpoint"
    SAVE_NOW = "save-now"
    SAMPLE_NOW = "sample-now"


class Phase(StrEnum):
    """What the program is at."""

    STARTING = "starting"
    CACHING = "caching latents"
    ENCODING = "encoding captions"
    DRY_RUN = "dry run"
    TRAINING = "training"
    VALIDATING = "validating"
    SAMPLING = "sampling"
    SAVING = "saving"
    EXPORTING = "exporting"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


class Status(BaseModel):
    """`status.json`: where the program is now; steps are optimiser steps, images of all processes.

    `done` and `total` count what the phase counts (images cached, steps). `error` is the sentence
    for the person. Memory is the peak so far, in bytes: that of the process on a CPU.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    phase: Phase
    step: int = 0
    steps: int = 0
    done: int = 0
    total: int = 0
    images_per_second: float | None = None
    seconds_left: float | None = None
    checkpoint_step: int | None = None
    peak_memory: int | None = None
    message: str = ""
    error: str | None = None


@dataclass(frozen=True)
class RunFolder:
    """The paths of one run."""

    path: Path

    @property
    def config(self) -> Path:
        """The TrainingConfig, as planned."""
        return self.path / "config.json"

    @property
    def plan(self) -> Path:
        """The estimate that was shown before the start, and what the data are."""
        return self.path / "plan.json"

    @property
    def status(self) -> Path:
        """The Status."""
        return self.path / "status.json"

    @property
    def metrics(self) -> Path:
        """One JSON object a line, `kind` says which: step, validation, samples, event."""
        return self.path / "metrics.jsonl"

    @property
    def log(self) -> Path:
        """What the program printed."""
        return self.path / "log.txt"

    @property
    def notes(self) -> Path:
        """What people wrote about the run."""
        return self.path / "notes.txt"

    @property
    def requests(self) -> Path:
        """Wishes of the page."""
        return self.path / "requests"

    @property
    def checkpoints(self) -> Path:
        """One folder a kept checkpoint."""
        return self.path / "checkpoints"

    @property
    def samples(self) -> Path:
        """One folder a step, with one PNG a sample caption."""
        return self.path / "samples"

    @property
    def lora(self) -> Path:
        """The exported LoRA in diffusers' layout, with its metadata."""
        return self.path / "export" / "lora.safetensors"

    @property
    def shelved(self) -> Path:
        """Which tensors of the exported LoRA are on the shelf, once they are."""
        return self.path / "export" / "shelf.json"

    @property
    def card(self) -> Path:
        """The model card of the exported LoRA."""
        return self.path / "export" / "README.md"


def runs_dir(settings: Settings) -> Path:
    """Where the runs of a workspace are."""
    return settings.workspace / "training"


def find_run(settings: Settings, run_id: str) -> RunFolder:
    """The folder of a run.

    Raises:
        FinetuningError: there is none.
    """
    folder = RunFolder(runs_dir(settings) / run_id)
    if not RUN_ID.fullmatch(run_id) or not folder.config.is_file():
        raise FinetuningError(f"There is no training run {run_id} in this workspace.")
    return folder


def list_runs(settings: Settings) -> list[RunFolder]:
    """All runs, the newest first by name: names begin with the time they were planned."""
    parent = runs_dir(settings)
    if not parent.is_dir():
        return []
    found = [RunFolder(path) for path in parent.iterdir() if (path / "config.json").is_file()]
    return sorted(found, key=lambda run: run.path.name, reverse=True)


def read_part(run: RunFolder, file: Path, kind: type[Part], called: str) -> Part:
    """What a file of a run holds.

    Raises:
        FinetuningError: the file is missing or not one of ours.
    """
    try:
        return kind.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise FinetuningError(
            f"The {called} of the training run {run.path.name} cannot be read: start a new run "
            "with the same choices."
        ) from error


def read_config(run: RunFolder) -> TrainingConfig:
    """What the run was asked to do.

    Raises:
        FinetuningError: the file is missing or not one of ours.
    """
    return read_part(run, run.config, TrainingConfig, "configuration")


def write_config(run: RunFolder, config: TrainingConfig) -> None:
    """Keep what a run is asked to do; raises FileError."""
    write_file(run.config, config.model_dump_json(indent=1).encode())


def read_status(run: RunFolder) -> Status | None:
    """Where the program is; None before it began."""
    try:
        return Status.model_validate_json(run.status.read_bytes())
    except (OSError, ValidationError):
        return None


def write_status(run: RunFolder, status: Status) -> None:
    """Say where the program is; raises FileError."""
    write_file(run.status, status.model_dump_json().encode(), durable=False)


def wish(run: RunFolder, wanted: Wish) -> None:
    """Ask the program for something; raises FileError."""
    write_file(run.requests / wanted.value, b"", durable=False)


def wishes(run: RunFolder) -> frozenset[Wish]:
    """What was asked and is not done yet."""
    return frozenset(wanted for wanted in Wish if (run.requests / wanted.value).is_file())


def grant(run: RunFolder, *wanted: Wish) -> None:
    """Take wishes away that were fulfilled; raises FileError."""
    for one in wanted:
        remove_file(run.requests / one.value)


def read_metrics(run: RunFolder) -> Iterator[dict[str, Any]]:
    """The lines of the metrics in their order; a last line that was cut off is left out."""
    if not run.metrics.is_file():
        return
    with run.metrics.open("rb") as stream:
        for line in stream:
            if not line.endswith(b"\n"):
                return
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue
