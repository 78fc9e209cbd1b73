"""Checkpoints that are whole or not there, and know which run they belong to.

Written aside with the manifest last, every file on the disk, one rename, then read back; only after
that do older ones go.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from backend.files import FileError, explained_files, new_file
from backend.finetuning.errors import FinetuningError
from backend.finetuning.run_folder import STEP_FOLDER

MANIFEST, STATE = "manifest.json", "state.json"
WEIGHTS, AVERAGE, OPTIMIZER = "lora.safetensors", "ema.safetensors", "optimizer.safetensors"
ASIDE = ".aside-"
_NAME = re.compile(r"step-(\d{8,})")


@dataclass(frozen=True)
class Checkpoint:
    """What is kept: tensors by file, and plain facts.

    `identity` is what makes the run this one; `facts` is whatever else has to be remembered.
    """

    step: int
    tensors: Mapping[str, Mapping[str, Tensor]]
    identity: Mapping[str, Any]
    facts: Mapping[str, Any]


def save_checkpoint(folder: Path, checkpoint: Checkpoint, *, keep: int) -> Path:
    """Keep a checkpoint below `folder`, then prune to the newest `keep`; returns its folder.

    Raises:
        FileError: the disk is full or refuses; what was there stays.
        FinetuningError: what was written does not read back as it was.
    """
    final = folder / STEP_FOLDER.format(step=checkpoint.step)
    if final.is_dir() and _is_whole(final):
        return final
    aside = folder / f"{ASIDE}{final.name}"
    with explained_files(aside):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
    try:
        _write(aside, checkpoint)
        with explained_files(final):
            if final.exists():
                shutil.rmtree(final)
            aside.replace(final)
            _sync_folder(folder)
    except FileError:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    if not _is_whole(final):
        raise FinetuningError(
            f"The checkpoint {final.name} does not read back as it was written: the disk may be "
            "failing. The one before it is kept; look at the disk, then resume."
        )
    for old in checkpoint_folders(folder)[:-keep]:
        if old != final:
            shutil.rmtree(old, ignore_errors=True)
    return final


def newest_checkpoint(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest one that is whole, with the names of newer ones that are not."""
    damaged: list[str] = []
    for found in reversed(checkpoint_folders(folder)):
        if _is_whole(found):
            return _read(found), damaged
        damaged.append(found.name)
    return None, damaged


def checkpoint_folders(folder: Path) -> list[Path]:
    """Checkpoints by step, whole or not."""
    if not folder.is_dir():
        return []
    named = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir() if path.is_dir())
    return [path for _, path in sorted((int(match[1]), path) for match, path in named if match)]


def remove_asides(folder: Path) -> None:
    """Remove what a program that was killed had begun; only for who holds the run's lock."""
    if folder.is_dir():
        for path in folder.glob(f"{ASIDE}*"):
            shutil.rmtree(path, ignore_errors=True)


def check_identity(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raises FinetuningError that names the first thing in which a checkpoint is of another run."""
    plain = json.loads(json.dumps(wanted))
    for key, value in plain.items():
        if found.get(key) != value:
            raise FinetuningError(
                f"This run cannot be resumed: its checkpoint was trained with {key} = "
                f"{found.get(key)}, and now it is {value}. Undo that, or start a new run."
            )


def _write(aside: Path, checkpoint: Checkpoint) -> None:
    hashes = {}
    state = {
        "step": checkpoint.step,
        "identity": dict(checkpoint.identity),
        "facts": dict(checkpoint.facts),
    }
    for name, tensors in checkpoint.tensors.items():
        hashes[name] = _write_file(aside / name, save(dict(tensors), {"format": "pt"}))
    hashes[STATE] = _write_file(aside / STATE, json.dumps(state, indent=1).encode())
    manifest = {"step": checkpoint.step, "sha256": hashes}
    _write_file(aside / MANIFEST, json.dumps(manifest, indent=1).encode())
    with explained_files(aside):
        _sync_folder(aside)


def _write_file(path: Path, data: bytes) -> str:
    with new_file(path) as stream:
        stream.write(data)
    return hashlib.sha256(data).hexdigest()


def _is_whole(folder: Path) -> bool:
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        hashes = dict(manifest["sha256"])
        return STATE in hashes and all(
            _file_hash(folder / Path(name).name) == digest for name, digest in hashes.items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _read(folder: Path) -> Checkpoint:
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        state = json.loads((folder / STATE).read_bytes())
        tensors = {
            name: load((folder / name).read_bytes())
            for name in manifest["sha256"]
            if name.endswith(".safetensors")
        }
        return Checkpoint(int(state["step"]), tensors, state["identity"], state["facts"])
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise FinetuningError(
            f"The checkpoint {folder.name} cannot be read: remove its folder to go on from the one "
            "before it."
        ) from error


def _file_hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
