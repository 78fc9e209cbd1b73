"""Planned runs of the tiny models, and checkpoints of random numbers as the trainer writes them."""

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from backend.finetuning.architectures import of_model
from backend.finetuning.config import TrainingConfig
from backend.finetuning.planning import make_run
from backend.finetuning.presets import configure
from backend.finetuning.run_folder import RunFolder, read_config
from backend.finetuning.targets import target_groups
from backend.generation.lora.layouts import Family
from backend.generation.models import usable_model
from backend.images import write_image
from backend.settings import Settings
from backend.store.database import Database

CAPTIONS = (
    "A symmetric lesion with a regular border.",
    "An asymmetric lesion, its border notched.",
)


def write_pairs(folder: Path, count: int = 6, side: int = 64, **more: object) -> Path:
    """A folder of noise images with captions, exported as an image folder is."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    lines = []
    for number in range(count):
        name = f"{number:02d}.png"
        pixels = generator.integers(0, 256, (side, side, 3), dtype=np.uint8)
        write_image(folder / name, pixels)
        row = {
            "file_name": name,
            "text": CAPTIONS[number % 2],
            "label": ("benign", "malignant")[number % 2],
            "dataset": "ham10000",
            "lesion": f"lesion-{number}",
        }
        lines.append(json.dumps(row | more))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def tiny_config(folder: Path, **changes: object) -> TrainingConfig:
    """A run of a few steps on such a folder."""
    values: dict[str, object] = {
        "title": "Tiny moles",
        "base": "tiny",
        "data": {"folder": str(folder), "validation_share": 0.34},
        "lora": {"rank": 4, "alpha": 2},
        "resolutions": (64,),
        "steps": 4,
        "batch": 2,
        "precision": "fp32",
    }
    return configure(None, values | changes)


def planned_run(
    db: Database, settings: Settings, base: Path, pairs: Path, **changes: object
) -> RunFolder:
    """A run of the tiny model in `base`, which the workspace gets under the name tiny."""
    place = settings.models_dir / "tiny"
    if not place.exists():
        shutil.copytree(base, place)
    return make_run(db, settings, tiny_config(pairs, **changes))


def write_checkpoint(
    settings: Settings, run: RunFolder, step: int = 4, *, averaged: bool = False, seed: int = 0
) -> Path:
    """What the trainer leaves behind: fp32 pairs in diffusers' layout, the manifest last."""
    config = read_config(run)
    entry = usable_model(settings, config.base)
    prefix = "transformer." if entry.family is Family.FLUX else "unet."
    generator = torch.Generator().manual_seed(seed)
    rank = config.lora.rank
    tensors = {}
    for group in target_groups(of_model(entry), config.lora):
        kernel = (1, 1) if group.convolution else ()
        down = torch.randn(rank, group.inside, *kernel, generator=generator) / group.inside**0.5
        for layer, outside in zip(group.layers, group.outside, strict=True):
            up = torch.randn(outside, rank, *kernel, generator=generator) * 0.3
            tensors[f"{prefix}{layer}.lora_A.weight"] = down.clone()
            tensors[f"{prefix}{layer}.lora_B.weight"] = up
    folder = run.checkpoints / f"step-{step:08d}"
    folder.mkdir(parents=True)
    save_file(tensors, folder / "lora.safetensors")
    if averaged:
        save_file({key: 0.5 * one for key, one in tensors.items()}, folder / "ema.safetensors")
    (folder / "manifest.json").write_text("{}")
    return folder
