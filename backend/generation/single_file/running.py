"""The job that makes a model's folder of a single file and the model that it was made from."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from backend.files import FileError, copy_file, explained_files, write_file
from backend.generation.errors import ModelError
from backend.generation.layout import check_model_folder, weight_files
from backend.generation.lora.finite import has_nan_or_infinity
from backend.generation.models import CARD, ModelEntry, list_models, usable_model
from backend.generation.registry import model_name, read_registry
from backend.generation.single_file.plan import Move, Part, plan_parts
from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState
from backend.jobs.queue import submit
from backend.settings import Settings
from backend.store.database import Database

if TYPE_CHECKING:
    import torch

KIND = "convert_model"
SHARD_BYTES = 4 * 10**9
"""As much is held in memory at once."""
SPARE_BYTES = 10**9
_WEIGHTS = {"text_encoder": "model"}
_HALVES = 2


class ConversionTask(BaseModel):
    """A single safetensors file, the name of the model that it was made from, and its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Path
    base: str
    name: str


def submit_conversion(
    db: Database, settings: Settings, task: ConversionTask, owner: str | None = None
) -> str:
    """Queue a conversion after a look at the headers; returns the id of the job.

    Raises:
        ModelError: the file does not fit the base, or the name is taken.
    """
    parts = plan_conversion(settings, task)
    return submit(
        db,
        kind=KIND,
        payload=task.model_dump(mode="json"),
        title=conversion_title(task),
        owner=owner,
        total=tensors_in(parts),
    )


def conversion_task(file: Path, base: str, name: str | None = None) -> ConversionTask:
    """A task for a file anywhere on this machine; without a name it is called as the file.

    Raises:
        ModelError: the file is not there, no base is given, or the name cannot be used.
    """
    file = file.expanduser().absolute()
    if not file.is_file():
        raise ModelError(f"There is no file {file}: give the path of a safetensors file.")
    if not base:
        raise ModelError(
            f"The file {file.name} holds weights alone, without the tokenizer and the settings "
            "that a pipeline needs: say from which model it was made."
        )
    return ConversionTask(file=file, base=base, name=model_name(name, file.stem))


def plan_conversion(settings: Settings, task: ConversionTask) -> tuple[Part, ...]:
    """What the file brings; reads headers alone.

    Raises:
        ModelError: the file does not fit the base, or the name is taken.
    """
    taken = {entry.name for entry in list_models(settings)} | set(read_registry(settings).models)
    if task.name in taken:
        raise ModelError(f"There is a model called {task.name} already: give another name.")
    return plan_parts(task.file, usable_model(settings, task.base))


def conversion_title(task: ConversionTask) -> str:
    """What the job is called in lists."""
    return f"Model {task.name} from a single file"


def tensors_in(parts: Sequence[Part]) -> int:
    """What the progress of a conversion counts."""
    return sum(len(part.moves) for part in parts)


def run_conversion(context: JobContext, payload: dict[str, Any], _warm: WarmState) -> None:
    """Write the folder aside, check it, and put it among the models; begins anew when retried.

    Raises:
        ModelError: the file does not fit the base, or holds NaN.
        FileError: the disk is full, or the file system refuses.
        JobStopped: cancelled, interrupted or lost; raised between two tensors.
    """
    settings = context.settings
    try:
        task = ConversionTask.model_validate(payload)
    except ValidationError as error:
        raise ModelError("The task of this job cannot be read: add the file again.") from error
    parts = plan_conversion(settings, task)
    base = usable_model(settings, task.base)
    aside = settings.models_dir / f".{task.name}.partial"
    context.leaves_partial(aside)
    total, done = tensors_in(parts), 0

    def step() -> None:
        nonlocal done
        context.check_cancelled()
        done += 1
        context.progress(done, total, f"tensor {done:,} of {total:,}")

    with explained_files(aside):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
    _check_disk(task.file, aside)
    _take_over(base, aside, without={part.component for part in parts})
    for part in parts:
        write_part(part, aside / part.component, step)
    write_file(aside / CARD, _card(task, base).encode())
    check_model_folder(aside)
    with explained_files(aside):
        aside.replace(settings.models_dir / task.name)
    brought = ", ".join(part.component for part in parts)
    context.log(f"{task.file.name} brought {brought}; everything else is that of {base.title}")


def write_part(part: Part, folder: Path, step: Callable[[], None]) -> None:
    """A component's tensors as safetensors, in shards where they are many; `step` after each.

    Raises:
        ModelError: one holds NaN or infinity.
        FileError: the disk is full, or the file system refuses.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    stem = _WEIGHTS.get(part.component, "diffusion_pytorch_model")
    groups = list(_groups(part.moves))
    places: dict[str, str] = {}
    for number, group in enumerate(groups, 1):
        shard = f"-{number:05d}-of-{len(groups):05d}" if len(groups) > 1 else ""
        path = folder / f"{stem}{shard}.safetensors"
        tensors = {move.name: _taken(move, step) for move in group}
        try:
            save_file(tensors, path, metadata={"format": "pt"})
        except (OSError, SafetensorError) as error:
            raise FileError(
                f"The file {path.name} of the new model could not be written: free some space or "
                "check the permissions of the workspace, then press Retry."
            ) from error
        places |= dict.fromkeys(tensors, path.name)
    if len(groups) > 1:
        index = {"metadata": {}, "weight_map": places}
        write_file(folder / f"{stem}.safetensors.index.json", json.dumps(index).encode())


def _taken(move: Move, step: Callable[[], None]) -> "torch.Tensor":
    import torch
    from safetensors import safe_open

    source, piece = move.source, move.piece
    step()
    if has_nan_or_infinity(source):
        raise ModelError(
            f"In the file {source.file.name}, {source.name} holds NaN or infinity: get the file "
            "again, or ask who made it."
        )
    with safe_open(source.file, framework="pt") as opened:
        tensor = opened.get_tensor(source.name)
    if tensor.dtype not in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        tensor = tensor.to(torch.bfloat16)
    if piece.swapped:
        tensor = torch.cat(tensor.chunk(_HALVES)[::-1])
    if piece.total is not None:
        tensor = tensor[piece.first : piece.first + move.shape[0]]
    return tensor.reshape(move.shape).contiguous().clone()


def _groups(moves: Sequence[Move]) -> Iterator[list[Move]]:
    """In their order, as many at once as fill a shard."""
    group: list[Move] = []
    size = 0
    for move in moves:
        took = (move.source.stop - move.source.start) // (move.piece.total or 1)
        took *= move.shape[0] if move.piece.total else 1
        if group and size + took > SHARD_BYTES:
            yield group
            group, size = [], 0
        group.append(move)
        size += took
    yield group


def _take_over(base: ModelEntry, aside: Path, without: set[str]) -> None:
    """Everything of the base but the weights that come: linked where that can be, else copied."""
    for component in ("", *base.kind.components):
        folder = base.folder / component
        left = set(weight_files(folder)) if component in without else set()
        for file in sorted(path for path in folder.iterdir() if path.is_file()):
            index = file.name.endswith(".safetensors.index.json") and component in without
            if file in left or index or (not component and file.name != "model_index.json"):
                continue
            with explained_files(aside):
                (aside / component).mkdir(exist_ok=True)
            _link(file, aside / component / file.name)


def _link(file: Path, target: Path) -> None:
    """Weights are never written in place, so that two folders can share them."""
    if file.suffix == ".safetensors":
        with suppress(OSError):
            os.link(file.resolve(), target)
            return
    copy_file(file, target)


def _card(task: ConversionTask, base: ModelEntry) -> str:
    facts = {
        "title": task.name,
        "sizes": base.sizes,
        "steps": base.steps,
        "guidance_scale": base.guidance_scale,
        "max_sequence_length": base.max_sequence_length,
        "licence": f"as its maker says; made from {base.title} ({base.licence})",
        "description": f"From the file {task.file.name}, with the other parts of {base.title}.",
    }
    return json.dumps(facts, indent=2)


def _check_disk(file: Path, folder: Path) -> None:
    free, size = shutil.disk_usage(folder).free, file.stat().st_size
    if size > free - SPARE_BYTES:
        raise ModelError(
            f"The disk has {free / 1e9:,.1f} GB free, and {size / 1e9:,.1f} GB are to be written: "
            "free some space, or put the workspace on a larger disk, then press Retry."
        )
