"""Checkpoints as safetensors, whole or not there at all, so that a stopped stage goes on."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

MANIFEST = "manifest.json"


def save_checkpoint(
    folder: Path,
    *,
    step: int,
    identity: Mapping[str, object],
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer] = MappingProxyType({}),
) -> None:
    """Write aside, manifest last, then replace the old checkpoint in one rename."""
    aside = folder.with_name(folder.name + ".aside")
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for name, module in modules.items():
        save_file(_contiguous(module.state_dict()), aside / f"{name}.safetensors")
    for name, optimizer in optimizers.items():
        save_file(_optimizer_tensors(optimizer), aside / f"{name}.safetensors")
    manifest = {"step": step, "identity": json.loads(json.dumps(identity))}
    with (aside / MANIFEST).open("w") as file:
        json.dump(manifest, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.replace(old)
    aside.replace(folder)
    shutil.rmtree(old, ignore_errors=True)


def load_checkpoint(
    folder: Path,
    *,
    identity: Mapping[str, object],
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer] = MappingProxyType({}),
) -> int:
    """Load what `save_checkpoint` wrote and return its step; 0 where there is none.

    Raises ValueError naming the first difference when the checkpoint is of another run.
    """
    manifest = _manifest(folder)
    if manifest is None:
        return 0
    wanted = json.loads(json.dumps(identity))
    for key, value in wanted.items():
        if manifest["identity"].get(key) != value:
            raise ValueError(
                f"{folder.name} was trained with {key} = {manifest['identity'].get(key)}, "
                f"not {value}: use another --run folder or the same settings."
            )
    for name, module in modules.items():
        module.load_state_dict(load_file(folder / f"{name}.safetensors"))
    for name, optimizer in optimizers.items():
        _restore_optimizer(optimizer, load_file(folder / f"{name}.safetensors"))
    return int(manifest["step"])


def _manifest(folder: Path) -> dict[str, Any] | None:
    """What is said of a checkpoint; one that was being replaced by the next is taken up again."""
    old = folder.with_name(folder.name + ".old")
    if not folder.exists() and (old / MANIFEST).exists():
        old.replace(folder)
    if not (folder / MANIFEST).exists():
        return None
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    return manifest


def _contiguous(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone().contiguous() for name, tensor in state.items()}


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state: dict[int, dict[str, Tensor]] = optimizer.state_dict()["state"]
    return {
        f"{index}.{key}": tensor.detach().clone().contiguous()
        for index, entries in state.items()
        for key, tensor in entries.items()
    }


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    restored: dict[str, Any] = optimizer.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    restored["state"] = state
    optimizer.load_state_dict(restored)
