"""The exported LoRA: from a checkpoint to files that this studio and other programs read."""

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from backend.files import explained_files, write_file
from backend.finetuning.card import write_card
from backend.finetuning.config import TrainingConfig
from backend.finetuning.errors import FinetuningError
from backend.finetuning.plan import Plan, read_plan
from backend.finetuning.run_folder import RunFolder, read_config, read_status
from backend.generation.errors import LoraError
from backend.generation.lora.export import converted
from backend.generation.lora.layouts import Family, Layout
from backend.generation.lora.reading import read_lora

if TYPE_CHECKING:
    import torch

WEIGHTS, AVERAGED, MANIFEST = "lora.safetensors", "ema.safetensors", "manifest.json"
KOHYA = "lora-kohya.safetensors"
LONGEST_TITLE = 180
_CHECKPOINT = re.compile(r"step-(\d{8,})")
_DOWN, _UP = ".lora_A.weight", ".lora_B.weight"


class LoraPrecision(StrEnum):
    """What an exported LoRA is written in: bf16 as the authors', or fp32 bit for bit."""

    BF16 = "bf16"
    FP32 = "fp32"


def checkpoint_steps(run: RunFolder) -> list[int]:
    """The steps of the complete checkpoints that are kept, in order."""
    if not run.checkpoints.is_dir():
        return []
    return sorted(
        int(match[1])
        for path in run.checkpoints.iterdir()
        if (match := _CHECKPOINT.fullmatch(path.name)) and (path / MANIFEST).is_file()
    )


def write_export(
    run: RunFolder,
    *,
    step: int | None = None,
    precision: LoraPrecision = LoraPrecision.BF16,
    averaged: bool = True,
) -> Path:
    """Write `export/lora.safetensors` and its card from a checkpoint; returns the LoRA's path.

    The newest checkpoint unless `step` names one; `averaged` takes its moving average where there
    is one. The layout is that of diffusers, with alpha / rank taken into what goes up.

    Raises:
        FinetuningError: there is no such checkpoint, or it is damaged or holds NaN.
        FileError: disk full, or the folder cannot be written.
    """
    config, plan = read_config(run), _as_run(run)
    folder = _checkpoint(run, step)
    source = folder / AVERAGED if averaged and (folder / AVERAGED).is_file() else folder / WEIGHTS
    done = int(folder.name.removeprefix("step-"))
    tensors = _exported(source, config, precision)
    from safetensors.torch import save

    notes = metadata(run, config, plan, done, averaged=source.name == AVERAGED)
    run.shelved.unlink(missing_ok=True)
    write_file(run.lora, save(tensors, notes))
    write_card(run, config, plan, done, averaged=source.name == AVERAGED)
    return run.lora


def write_kohya(run: RunFolder, out: Path | None = None) -> Path:
    """Write the exported LoRA in the layout of sd-scripts, which ComfyUI and A1111 read.

    Raises:
        FinetuningError: the run has no export yet, it broke, or `out` is there already.
        FileError: disk full, or the folder cannot be written.
    """
    path = out or run.lora.with_name(KOHYA)
    if out is not None and out.is_dir():
        path = out / f"{run.path.name}.safetensors"
    if path.suffix != ".safetensors":
        raise FinetuningError(f"A LoRA is written as .safetensors: call the file {path.stem} so.")
    if out is not None and path.exists():
        raise FinetuningError(f"There is a file {path} already: give another name.")
    try:
        data = converted(read_lora(exported(run)), Layout.KOHYA)
    except LoraError as error:
        raise FinetuningError(str(error)) from error
    write_file(path, data)
    return path


def exported(run: RunFolder) -> Path:
    """The run's LoRA; raises FinetuningError where it has none yet."""
    if not run.lora.is_file():
        raise FinetuningError(
            f"The training run {run.path.name} has no LoRA yet: let it reach a checkpoint, then "
            "export it."
        )
    return run.lora


def _as_run(run: RunFolder) -> Plan:
    """The plan with the steps that the program counted, once images that it cannot read are out."""
    plan, status = read_plan(run), read_status(run)
    return plan.model_copy(update={"steps": status.steps}) if status and status.steps else plan


def metadata(
    run: RunFolder, config: TrainingConfig, plan: Plan, step: int, *, averaged: bool
) -> dict[str, str]:
    """What the file says of itself, under keys that `backend.generation.lora.facts` reads."""
    title = (config.title or run.path.name)[:LONGEST_TITLE]
    notes = {
        "format": "pt",
        "modelspec.title": title if step >= plan.steps else f"{title}, step {step}",
        "base_model": plan.base.name,
        "base_model_hash": plan.base.hash,
        "ss_network_dim": str(config.lora.rank),
        "ss_network_alpha": str(config.lora.rank),
        "rank": str(config.lora.rank),
        "alpha_while_training": f"{config.lora.alpha:g}",
        "targets": config.lora.targets.value,
        "fused": str(config.lora.fused).lower(),
        "steps": str(step),
        "weights": "moving average" if averaged else "last step",
        "data": plan.data.name,
        "data_version": str(plan.data.version or ""),
        "data_hash": plan.data.hash,
        "licence": "; ".join(licences(plan)),
        "run": run.path.name,
        "synthetic": "images made with this LoRA are synthetic, and not for diagnosis",
    }
    if plan.base.family is Family.FLUX:
        notes["t5_length"] = str(plan.t5_length)
    libraries = ", ".join(f"{name} {version}" for name, version in plan.libraries.items())
    return notes | ({"libraries": libraries} if libraries else {})


def licences(plan: Plan) -> list[str]:
    """Every licence behind a LoRA: that of the base, then those of the data, each once."""
    each = [plan.base.licence, *(dataset.licence for dataset in plan.data.datasets)]
    return list(dict.fromkeys(each))


def _checkpoint(run: RunFolder, step: int | None) -> Path:
    steps = checkpoint_steps(run)
    if not steps:
        raise FinetuningError(
            f"The training run {run.path.name} has no complete checkpoint yet: let it go on, or "
            "ask it to save now."
        )
    if step is not None and step not in steps:
        kept = ", ".join(map(str, steps))
        raise FinetuningError(
            f"The training run {run.path.name} keeps no checkpoint of step {step}: choose one of "
            f"these: {kept}."
        )
    return run.checkpoints / f"step-{steps[-1] if step is None else step:08d}"


def _exported(
    file: Path, config: TrainingConfig, precision: LoraPrecision
) -> "dict[str, torch.Tensor]":
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        with explained_files(file):
            tensors = load_file(file)
    except SafetensorError as error:
        raise FinetuningError(
            f"The file {file.name} of the checkpoint {file.parent.name} is damaged: export an "
            "earlier one."
        ) from error
    bad = next((key for key, tensor in tensors.items() if not torch.isfinite(tensor).all()), None)
    if bad is not None:
        raise FinetuningError(
            f"The checkpoint {file.parent.name} holds NaN or infinity in {bad}: export an earlier "
            "one."
        )
    strange = next((key for key in tensors if not key.endswith((_DOWN, _UP))), None)
    if strange is not None or not tensors:
        raise FinetuningError(
            f"The file {file.name} of the checkpoint {file.parent.name} holds no LoRA in diffusers "
            f"layout, but {strange or 'nothing'}: export an earlier one."
        )
    scale = config.lora.alpha / config.lora.rank
    dtype = torch.bfloat16 if precision is LoraPrecision.BF16 else torch.float32
    return {
        key: (tensor * scale if key.endswith(_UP) else tensor).to(dtype).contiguous()
        for key, tensor in tensors.items()
    }
