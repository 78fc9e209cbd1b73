"""Models added from folders, checked to the last byte, and removed."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.files import explained_files
from backend.generation.attribute_guidance.files import classifier_files
from backend.generation.download.hub import has_hash
from backend.generation.download.running import read_manifest
from backend.generation.errors import ModelError
from backend.generation.layout import check_model_folder, weight_files
from backend.generation.lora.layouts import Family
from backend.generation.models import (
    ModelEntry,
    Origin,
    classifier_hash,
    find_model,
    hash_cache,
    model_hash,
    usable_model,
)
from backend.generation.registry import ModelRecord, model_name, register, unregister
from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState
from backend.jobs.queue import submit
from backend.settings import Settings
from backend.store.database import Database

CHECK = "check_model"


@dataclass(frozen=True)
class ModelCheck:
    """What a look at every file of a model gave: `hash` is SHA-256 over its tensors."""

    name: str
    family: Family
    files: int
    bytes: int
    hash: str
    compared: int
    """How many files were compared with the hashes of the hub, none for a folder of one's own."""


def add_model(settings: Settings, folder: Path, name: str | None = None) -> ModelEntry:
    """List a diffusers folder anywhere on this machine; it stays where it is.

    Raises:
        ModelError: the folder is not a complete pipeline, or the name is taken or cannot be used.
        FileError: the list cannot be written.
    """
    folder = folder.expanduser().absolute()
    if not folder.is_dir():
        raise ModelError(f"There is no folder {folder}: give the path of one in diffusers layout.")
    family = check_model_folder(folder)
    name = model_name(name, folder.name)
    register(settings, ModelRecord(name=name, family=family.family, folder=folder))
    return usable_model(settings, name)


def remove_model(settings: Settings, name: str) -> str:
    """Take a model away; returns what became of its files, in a sentence.

    A folder of the workspace is deleted; one elsewhere is only taken off the list.

    Raises:
        ModelError: there is none, or it is not the workspace's to remove.
        FileError: the file system refuses.
    """
    entry = find_model(settings, name)
    if entry.origin is Origin.REGISTERED:
        unregister(settings, name)
        return f"{entry.title} is off the list; its files stay in {entry.folder}."
    if entry.origin is not Origin.WORKSPACE:
        raise ModelError(f"{entry.title} {entry.origin} and cannot be removed from here.")
    aside = entry.folder.with_name(f".removed-{entry.folder.name}")
    with explained_files(entry.folder):
        if entry.folder.is_symlink():
            entry.folder.unlink()
        else:
            shutil.rmtree(aside, ignore_errors=True)
            entry.folder.replace(aside)
            shutil.rmtree(aside)
    return f"{entry.title} is removed with its files; images made with it stay."


def submit_check(db: Database, settings: Settings, name: str, owner: str | None = None) -> str:
    """Queue a check of every byte of a model; returns the id of the job.

    Raises:
        ModelError: there is none of this name.
    """
    entry = find_model(settings, name)
    return submit(
        db,
        kind=CHECK,
        payload={"name": name},
        title=check_title(entry),
        owner=owner,
        total=1,
    )


def check_title(entry: ModelEntry) -> str:
    """What the job is called in lists."""
    return f"Check of {entry.title}"


def run_check(context: JobContext, payload: dict[str, Any], _warm: WarmState) -> None:
    """Read every file of a model; fails with a sentence that names what is wrong.

    Raises:
        ModelError: a file is missing, damaged, or not what was downloaded.
        JobStopped: cancelled, interrupted or lost; raised between two files.
    """
    found = check_model(context.settings, str(payload.get("name")), context)
    context.log(
        f"{found.files} files, {found.bytes:,} bytes, {found.family.full_name}, tensors "
        f"{found.hash}; {found.compared} files compared with the hashes of the hub"
    )


def check_model(settings: Settings, name: str, context: JobContext | None = None) -> ModelCheck:
    """The facts of a model whose every file has been read.

    Raises:
        ModelError: there is none, a file is missing, damaged, or not what was downloaded.
    """
    entry = usable_model(settings, name)
    listing = read_manifest(entry.folder)
    files = listing.files if listing else ()
    for number, file in enumerate(files, 1):
        path = entry.folder / file.path
        if not path.is_file() or not has_hash(path, file):
            raise ModelError(
                f"The file {file.path} of the model {name} is not what was downloaded: remove the "
                "model and download it again."
            )
        if context is not None:
            context.progress(number, len(files) + 1, f"file {number} of {len(files)}")
            context.check_cancelled()
    value = model_hash(entry.folder, cache=hash_cache(settings), anew=True)
    classifier_hash(entry.folder, cache=hash_cache(settings), anew=True)
    if context is not None:
        context.progress(len(files) + 1, len(files) + 1, "every file is as it should be")
    weights = [file for part in entry.kind.weighted for file in weight_files(entry.folder / part)]
    read = len(weights) + len(classifier_files(entry.folder))
    return ModelCheck(name, entry.family, len(files) or read, entry.bytes, value, len(files))
