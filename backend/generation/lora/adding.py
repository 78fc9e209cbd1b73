"""The job that puts a large LoRA of this machine onto the shelf: reading it takes seconds."""

from pathlib import Path
from typing import Any

from backend.files import partial_of, size_words
from backend.generation.lora.facts import LoraFacts
from backend.generation.lora.reading import read_lora
from backend.generation.lora.shelf import (
    examine,
    refuse_taken_name,
    shelf_copy,
    shelf_name,
    shelf_name_for,
    shelve,
)
from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState
from backend.jobs.queue import submit
from backend.settings import Settings
from backend.store.database import Database

KIND = "add_lora"
STEPS = 2


def submit_add(
    db: Database,
    settings: Settings,
    file: Path,
    name: str | None = None,
    owner: str | None = None,
) -> str:
    """Queue a LoRA file of this machine for the shelf; returns the id of the job.

    What its header tells is checked at once.

    Raises:
        LoraError: there is no such file, it is no sound LoRA, or its name cannot be used.
    """
    file = file.expanduser().absolute()
    name = shelf_name_for(file, name)
    refuse_taken_name(db, settings, name)
    read_lora(file)
    return submit(
        db,
        kind=KIND,
        payload={"file": str(file), "name": name},
        title=f"LoRA {name}, {size_words(file.stat().st_size)}",
        owner=owner,
        total=STEPS,
    )


def run_add(context: JobContext, payload: dict[str, Any], _warm: WarmState) -> None:
    """Check every number of the file, then copy it; killed at any point, it is done again.

    Raises:
        LoraError: the file is gone, not sound, or changed meanwhile, or its name was taken.
        FileError: the disk is full, or the workspace cannot be written.
        JobStopped: cancelled, interrupted or lost; raised between the two.
    """
    file = Path(str(payload["file"]))
    name = shelf_name_for(file, str(payload["name"]))
    context.progress(0, STEPS, "reading every number of the file")
    facts = examine(file)
    context.progress(1, STEPS, "copying it onto the shelf")
    context.check_cancelled()
    if shelf_name(context.database, context.settings, facts.hash) != name:
        _shelve(context, file, facts, name)
    context.progress(STEPS, STEPS, f"{name} is on the shelf")
    context.log(f"{name} is on the shelf: {facts.parameters:,} parameters, tensors {facts.hash}")


def _shelve(context: JobContext, file: Path, facts: LoraFacts, name: str) -> None:
    context.leaves_partial(partial_of(shelf_copy(context.settings, facts)))
    shelve(context.database, context.settings, file, facts, name=name)
