"""How long an experiment will take, from what classifiers of this machine took before."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from backend.evaluation.cells import EPOCHS, read_cell
from backend.evaluation.grid import Size
from backend.evaluation.recipes import Recipe

FIRST_GUESS: Mapping[str, float] = {
    "resnext50_32x4d": 2.0,
    "vit_base_patch16_224": 1.2,
    "tf_efficientnet_lite0": 6.0,
    "resnet10t": 6.0,
    "mobilenetv3_small_050": 24.0,
}
"""Training images a second on one processor at 224 px, before anything was measured here."""
UNKNOWN = 3.0
GUESSED_SIDE = 224
SECONDS_A_PROGRAM = 15.0


def estimate_s(root: Path, folders: Sequence[Path], programs: int) -> float:
    """Seconds that training these cells will take, so many side by side."""
    if not folders:
        return 0.0
    speeds = _measured(root)
    tasks = [read_cell(folder) for folder in folders]
    work = sum(_work_s(task.recipe, task.images, speeds) for task in tasks)
    return SECONDS_A_PROGRAM + work / max(1, min(programs, len(folders)))


def estimate_grid_s(root: Path, sizes: Sequence[Size], programs: int) -> float:
    """Seconds for all that a grid plans, before its images were looked at."""
    speeds = _measured(root)
    work = sum(
        _work_s(size.architecture.recipe(), size.real + size.synthetic, speeds) for size in sizes
    )
    return SECONDS_A_PROGRAM + work / max(1, programs) if sizes else 0.0


def words(seconds: float) -> str:
    """So many seconds for a person."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def _work_s(recipe: Recipe, images: int, speeds: Mapping[tuple[str, int], float]) -> float:
    speed = speeds.get((recipe.architecture, recipe.side))
    if speed is None:
        guess = FIRST_GUESS.get(recipe.architecture, UNKNOWN)
        speed = guess * (GUESSED_SIDE / recipe.side) ** 2
    return images * recipe.epochs / speed


def _measured(root: Path) -> dict[tuple[str, int], float]:
    """Images a second of the classifiers that were trained here, by architecture and side."""
    found: dict[tuple[str, int], list[float]] = {}
    for log in (root / "cells").glob(f"*/{EPOCHS}"):
        lines = log.read_text().splitlines()
        if lines:
            recipe = read_cell(log.parent).recipe
            speed = json.loads(lines[-1])["images_per_second"]
            found.setdefault((recipe.architecture, recipe.side), []).append(speed)
    return {key: statistics.median(speeds) for key, speeds in found.items()}
