"""Tiny LoRA runs for tests: a model of random weights, noise for images, a folder of pairs."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from backend.finetuning.config import TrainingConfig
from backend.finetuning.run_folder import RunFolder, runs_dir, write_config
from backend.settings import REPOSITORY, Settings, prepare_workspace

CAPTIONS = (
    "A symmetric benign lesion with a regular border and a uniform light brown colour.",
    "A malignant lesion, asymmetric in two axes, with an irregular border and black colour.",
    "A benign lesion with a notched border, dark brown.",
)


def write_pairs(
    folder: Path,
    sizes: Sequence[tuple[int, int]] = ((64, 64),) * 8,
    *,
    captions: Sequence[str] = CAPTIONS,
) -> Path:
    """A folder of images (width, height) of noise, two a patient, with its metadata."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, (width, height) in enumerate(sizes):
        rng = np.random.default_rng(number)
        pixels = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
        rows.append(
            {
                "file_name": f"{number:03d}.png",
                "text": captions[number % len(captions)],
                "label": ("benign", "malignant")[number % 2],
                "patient": f"patient-{number // 2}",
            }
        )
    write_rows(folder, rows)
    return folder


def write_rows(folder: Path, rows: Sequence[object]) -> None:
    """The metadata of a folder."""
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "metadata.jsonl").write_text(text, encoding="utf-8")


def tiny_config(folder: Path, **choices: Any) -> TrainingConfig:
    """Four steps of two images at 64 px, rank 4, without samples unless asked for."""
    values: dict[str, Any] = {
        "base": "tiny-flux",
        "data": {"folder": str(folder), "validation_share": 0.25},
        "lora": {"rank": 4, "alpha": 4, "targets": "all linear layers of the blocks"},
        "resolutions": (64,),
        "steps": 4,
        "batch": 2,
        "learning_rate": 0.01,
        "warmup": 2,
        "precision": "fp32",
        "checkpoint_every": 2,
        "validate_every": 2,
        "sample_every": 0,
        "sample_steps": 2,
    }
    return TrainingConfig.model_validate(values | choices)


def training_settings(workspace: Path, models: Path) -> Settings:
    """A workspace on the CPU that sees a folder of models."""
    settings = Settings(workspace=workspace, model_folders=(models,), device="cpu", threads=1)
    prepare_workspace(settings)
    return settings


def run_program(settings: Settings, run: RunFolder, *launcher: str) -> None:
    """The trainer as a program of its own, by a launcher of several processes if one is named."""
    done = subprocess.run(
        [sys.executable, *launcher, "-m", "training.lora", "--run", str(run.path)],
        cwd=REPOSITORY,
        env=os.environ | settings.environment() | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]


def a_run(settings: Settings, name: str, config: TrainingConfig) -> RunFolder:
    """A run folder with its configuration, not planned any further."""
    run = RunFolder(runs_dir(settings) / name)
    write_config(run, config)
    return run
