"""Folders of training runs as the program leaves them, and a program that trains nothing."""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from backend.finetuning.config import TrainingConfig
from backend.finetuning.run_folder import (
    Phase,
    RunFolder,
    Status,
    Wish,
    grant,
    runs_dir,
    wishes,
    write_config,
    write_status,
)
from backend.settings import Settings

CAPTION = "The lesion is asymmetric, with an irregular border and black colour."


def a_run(settings: Settings, name: str = "20260101-000000-a", **changes: Any) -> RunFolder:
    """A planned run."""
    run = RunFolder(runs_dir(settings) / name)
    asked = {"title": "First try", "data": {"caption_set": "paper"}, "steps": 40, "batch": 2}
    write_config(run, TrainingConfig.model_validate({**asked, **changes}))
    return run


def trained(run: RunFolder, steps: int, *, of: int = 40, phase: Phase = Phase.TRAINING) -> None:
    """What a run leaves behind that came so far: metrics, samples, status."""
    lines: list[Mapping[str, Any]] = [step_line(step) for step in range(1, steps + 1)]
    for step in range(10, steps + 1, 10):
        lines += [validation_line(step), samples_line(run, step)]
    add_lines(run, lines)
    write_status(run, Status(phase=phase, step=steps, steps=of, checkpoint_step=steps // 10 * 10))


def add_lines(run: RunFolder, lines: Sequence[Mapping[str, Any]]) -> None:
    """Append to the metrics."""
    with run.metrics.open("a", encoding="utf-8") as stream:
        stream.writelines(json.dumps(line) + "\n" for line in lines)


def step_line(step: int, loss: float | None = None) -> dict[str, Any]:
    """One optimiser step."""
    return {
        "kind": "step",
        "step": step,
        "at": 1e9 + step,
        "loss": 1 / step if loss is None else loss,
        "learning_rate": 1e-4,
        "grad_norm": 0.5,
        "lora_norm": step / 10,
        "images_per_second": 4.0,
        "seconds": {"data": 0.1, "text": 0.1, "forward_backward": 0.7, "optimizer": 0.1},
        "skipped": 0,
    }


def validation_line(step: int) -> dict[str, Any]:
    """One validation."""
    loss = 1 + 1 / step
    return {
        "kind": "validation",
        "step": step,
        "at": 1e9 + step,
        "loss": loss,
        "images": 8,
        "by_bucket": {"128x128": loss},
        "by_timestep": {"0.0625": loss + 1, "0.9375": loss - 1},
        "by_class": {"benign": loss, "malignant": loss},
    }


def samples_line(run: RunFolder, step: int) -> dict[str, Any]:
    """One image, written, with its measured ABC."""
    file = f"samples/step-{step:08d}/00.png"
    (run.path / file).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 32), (step, 80, 60)).save(run.path / file)
    agreement = {"asymmetry": 1.0, "border": 0.0, "colours": 0.5}
    image = {"file": file, "caption": CAPTION, "agreement": agreement}
    line = {"kind": "samples", "step": step, "at": 1e9, "images": [image]}
    return line | {"agreement": agreement}


def main(folder: Path, behaviour: str) -> None:
    """A program that keeps the contract of `training.lora`, and learns nothing.

    It waits for a wish where it is to `wait`, ends well where it is to be `done`, and says what
    went wrong, or nothing at all, where it is to `fail` or to `crash`.
    """
    run = RunFolder(folder)
    (run.path / "pid").write_text(str(os.getpid()), "ascii")
    print("begun", behaviour)
    trained(run, 10)
    if behaviour == "fail":
        failed = Status(phase=Phase.FAILED, step=10, steps=40, error="The disk is full: free some.")
        write_status(run, failed)
        sys.exit(1)
    if behaviour == "crash":
        sys.exit(3)
    if behaviour == "deaf":
        while True:
            time.sleep(0.05)
    while behaviour == "wait" and not wishes(run) & {Wish.STOP_NOW, Wish.STOP_AFTER_CHECKPOINT}:
        time.sleep(0.05)
    stopped = Status(phase=Phase.STOPPED, step=10, steps=40, checkpoint_step=10)
    done = Status(phase=Phase.DONE, step=40, steps=40, checkpoint_step=40)
    grant(run, *Wish)
    write_status(run, stopped if behaviour == "wait" else done)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
