"""Images per second of classifier training beside timm's own settings, on one GPU.

    python -m benchmarks.classifiers_gpu [--batches 32 128] [--budget SECONDS] [--out FILE] [--json]

Both recipes of the paper at 224 px with random weights in bf16 mixed precision. "ours" is the step
of `training.classifier`; "timm" is a plain loop in the manner of timm's `train.py` with `--amp
--amp-dtype bfloat16 --channels-last` and otherwise its defaults: cross entropy with smoothing 0.1,
weight decay 2e-5 except on vectors, the loss read every 50 updates. It is measured with the
recipe's optimizer (`--opt adamw`), which does the same work, and with timm's default ("timm sgd",
momentum 0.9), which does less. No loader takes part: all go through the same few uint8 batches,
which lie on the GPU, in the layout that the loader of each gives, and scale them there. They take
turns in this process, after a warm-up in which cuDNN tries its algorithms for all of them.

With --budget everything ends within so many seconds, and FILE holds what is measured after each
row.
"""

import argparse
import gc
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from timm.optim import create_optimizer_v2
from torch import Tensor
from torch.nn import functional as F

from backend.evaluation.recipes import PAPER, Recipe
from benchmarks.budget import FAILURES, Clock, Report, end_after, reason_of, say, write_report
from training.classifier.loop import DeviceKind, make_optimizer, placed, train_step
from training.classifier.models import CLASSES, Normalised, build_classifier

OURS, TIMM, TIMM_SGD = "ours", "timm", "timm sgd"
BATCHES_HELD = 4
WARM_STEPS, TURN, ROUNDS = 6, 20, 4
LOG_INTERVAL = 50
SMOOTHING, WEIGHT_DECAY, MOMENTUM, SGD_RATE = 0.1, 2e-5, 0.9, 0.1
ROW_SECONDS = 4.0
"""A row that has less time left than this is not begun."""

Step = Callable[[int], object]
Batches = Sequence[tuple[Tensor, Tensor]]


def main() -> None:
    """Measure and print; one sentence where there is no GPU."""
    clock = Clock()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 128])
    parser.add_argument("--budget", type=float, default=math.inf, help="seconds for everything")
    parser.add_argument("--out", type=Path, help="a JSON file, written after each row")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit(
            "This benchmark needs an NVIDIA GPU, and torch finds none here: run it on such a "
            "machine."
        )
    clock = replace(clock, budget=options.budget)
    end_after(clock)
    figures = measure(
        list(PAPER.values()), options.batches, "cuda", clock, write_report(options.out)
    )
    print(json.dumps(figures, indent=2) if options.json else table(figures), flush=True)


def measure(
    recipes: Sequence[Recipe],
    sizes: Sequence[int],
    device: DeviceKind,
    clock: Clock | None = None,
    report: Report = lambda _: None,
    *,
    turn: int = TURN,
) -> dict[str, Any]:
    """A row for each recipe and batch size: images per second of all, and ours over each."""
    clock = clock or Clock()
    figures: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "torch": torch.__version__,
        "precision": "bfloat16",
        "loader": "none: uint8 batches on the device",
        "rows": [],
        "left_out": [],
    }
    for size in sizes:
        for recipe in recipes:
            case = {"architecture": recipe.architecture, "batch": size}
            if clock.left < ROW_SECONDS:
                figures["left_out"].append({**case, "reason": "no time left"})
            else:
                try:
                    row = measure_row(recipe, size, device, turn)
                except FAILURES as error:
                    figures["left_out"].append({**case, "reason": reason_of(error)})
                else:
                    figures["rows"].append({**case, **row})
                    say(clock, _line(figures["rows"][-1]))
            _release(device)
            report(figures)
    return figures


def measure_row(recipe: Recipe, size: int, device: DeviceKind, turn: int) -> dict[str, Any]:
    """All by turns of a few steps, so that whatever else the machine does meets each."""
    recipe = recipe.model_copy(update={"batch_size": size, "precision": "bfloat16"})
    torch.manual_seed(0)
    model = build_classifier(recipe)
    steps: dict[str, Step] = {
        OURS: our_step(deepcopy(model), recipe, device),
        TIMM: timm_step(deepcopy(model), recipe, device, "adamw", recipe.learning_rate),
        TIMM_SGD: timm_step(model, recipe, device, "sgd", SGD_RATE * size / 256),
    }
    for step in steps.values():
        for number in range(min(WARM_STEPS, turn)):
            step(number)
    spent = dict.fromkeys(steps, 0.0)
    for first in range(0, turn * ROUNDS, turn):
        for name, step in steps.items():
            begun = _now(device)
            for number in range(first, first + turn):
                step(number)
            spent[name] += _now(device) - begun
    rates = {name: turn * ROUNDS * size / seconds for name, seconds in spent.items()}
    return {
        "images_per_second": rates,
        "times_timm": rates[OURS] / rates[TIMM],
        "times_timm_sgd": rates[OURS] / rates[TIMM_SGD],
    }


def our_step(model: Normalised, recipe: Recipe, device: DeviceKind) -> Step:
    """The update of `training.classifier`, whose batches are (B, H, W, 3)."""
    model = placed(model, device).train()
    optimizer = make_optimizer(model, recipe, device)
    batches = random_batches(recipe, device, channels_last=True)

    def step(number: int) -> Tensor:
        pixels, labels = batches[number % len(batches)]
        return train_step(model, optimizer, pixels, labels, recipe, device)

    return step


def timm_step(
    model: Normalised, recipe: Recipe, device: DeviceKind, optimizer_name: str, rate: float
) -> Step:
    """The update of a plain loop with timm's settings, whose batches are (B, 3, H, W)."""
    torch.backends.cudnn.benchmark = device == "cuda"
    network = model.network.to(device=device).to(memory_format=torch.channels_last).train()
    mean, std = (255 * values.to(device) for values in (model.mean, model.std))
    optimizer = create_optimizer_v2(
        network, opt=optimizer_name, lr=rate, weight_decay=WEIGHT_DECAY, momentum=MOMENTUM
    )
    batches = random_batches(recipe, device, channels_last=False)

    def step(number: int) -> float | None:
        pixels, labels = batches[number % len(batches)]
        images = pixels.float().sub_(mean).div_(std).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device, torch.bfloat16):
            loss = F.cross_entropy(network(images), labels, label_smoothing=SMOOTHING)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item() if number % LOG_INTERVAL == 0 else None

    return step


def random_batches(recipe: Recipe, device: DeviceKind, *, channels_last: bool) -> Batches:
    """Noise and labels, on the device before any clock starts."""
    generator = torch.Generator().manual_seed(0)
    side, size = recipe.side, recipe.batch_size
    shape = (size, side, side, 3) if channels_last else (size, 3, side, side)
    return [
        (
            torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator).to(device),
            torch.randint(0, CLASSES, (size,), generator=generator).to(device),
        )
        for _ in range(BATCHES_HELD)
    ]


def table(figures: Mapping[str, Any]) -> str:
    """The figures for people."""
    head = (
        f"{'architecture':<24}{'batch':>6}{'ours':>9}{'timm':>9}{'sgd':>9}{'x timm':>8}{'x sgd':>8}"
    )
    lines = [f"{figures['device']}, {figures['precision']}, torch {figures['torch']}", head]
    lines += [_line(row) for row in figures["rows"]]
    lines += [
        f"{row['architecture']:<24}{row['batch']:>6}  left out: {row['reason']}"
        for row in figures["left_out"]
    ]
    return "\n".join(lines)


def _line(row: Mapping[str, Any]) -> str:
    rates = row["images_per_second"]
    return (
        f"{row['architecture']:<24}{row['batch']:>6}{rates[OURS]:>9.1f}{rates[TIMM]:>9.1f}"
        f"{rates[TIMM_SGD]:>9.1f}{row['times_timm']:>8.3f}{row['times_timm_sgd']:>8.3f}"
    )


def _release(device: DeviceKind) -> None:
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()


def _now(device: DeviceKind) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
