"""The way of an exported LoRA onto the shelf that Generate offers."""

import itertools
import json
import re
from collections.abc import Iterator

from backend.files import write_file
from backend.finetuning.errors import FinetuningError
from backend.finetuning.run_folder import RunFolder
from backend.finetuning.submitting import run_title
from backend.generation.lora.shelf import LONGEST_NAME, examine, list_loras, shelf_name, shelve
from backend.settings import Settings
from backend.store.database import Database

ENDING = 16
"""Signs at the end of a long title that stay: the step is there."""


def put_on_shelf(db: Database, settings: Settings, run: RunFolder) -> str:
    """Put the LoRA of a run onto the shelf under its title; returns its name there.

    That is the run's title, and the step where it is not the last. One whose tensors are there
    already keeps its name.

    Raises:
        FinetuningError: the run has no LoRA yet.
        LoraError: the file is not sound.
        FileError, StoreError: disk or database stand in the way.
    """
    if not run.lora.is_file():
        raise FinetuningError(
            f"The run '{run_title(run)}' has no LoRA yet: let it reach a checkpoint, then stop it, "
            "or let it train to its end."
        )
    facts = examine(run.lora)
    name = shelf_name(db, settings, facts.hash)
    if name is None:
        taken = {view.name for view in list_loras(db, settings)}
        name = next(one for one in _names(facts.title) if one not in taken)
        shelve(db, settings, run.lora, facts, name=name, title=facts.title)
    write_file(run.shelved, json.dumps({"hash": facts.hash}).encode())
    return name


def name_on_shelf(db: Database, settings: Settings, run: RunFolder) -> str | None:
    """What the LoRA of a run is called on the shelf; None where it is not there."""
    try:
        tensor_hash = str(json.loads(run.shelved.read_bytes())["hash"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return shelf_name(db, settings, tensor_hash)


def _names(title: str) -> Iterator[str]:
    """The title as the shelf can have it, a long one without its middle, then with a number."""
    stem = re.sub(r"[^\w.-]+", "-", title).strip(".-") or "lora"
    most = LONGEST_NAME - 8
    if len(stem) > most:
        stem = f"{stem[: most - ENDING - 1].strip('.-')}-{stem[-ENDING:].strip('.-')}"
    yield stem
    for number in itertools.count(2):
        yield f"{stem}-{number}"
