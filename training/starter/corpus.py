"""The phantoms that the starter model learns from, rendered once into resumable shards.

They come in families of three siblings: one lesion on one skin with everything alike but its
asymmetry, or but its border. What an attribute looks like is learnt from such differences many
times sooner than from lesions that differ in everything. Others lie between two siblings: no
caption is of them, but the classifier learns from them how far a lesion is from what is asked.
"""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.abc.attributes import Asymmetry, Border, LesionAttributes
from backend.abc.sampling import is_held_out, sample_split
from backend.phantom import Phantom, render, render_between
from training.starter.config import IMAGE_SIZE, RunFolder, StarterConfig
from training.starter.progress import log_event

AXES: tuple[tuple[str, type[Enum]], ...] = (("asymmetry", Asymmetry), ("border", Border))
"""What siblings differ in, and what guidance opposes."""
SIBLINGS = 3
SHARD = 160 * SIBLINGS
TRAINING_SEEDS = 3_000_000_000
VALIDATION_SEEDS = 3_500_000_000
BETWEEN_SEEDS = 3_700_000_000
BETWEEN = "between"
PAIRS, PAIR_SHARE = ((0, 1), (1, 2), (0, 2)), (0.45, 0.45, 0.1)
"""Which siblings a lesion lies between, and how often."""


@dataclass(frozen=True)
class Between:
    """A lesion between two siblings: true of the nearer one, and its share of each value of the
    axis that they differ in."""

    truth: LesionAttributes
    axis: str
    shares: tuple[float, ...]


def render_corpus(config: StarterConfig, run: RunFolder, *, processes: int) -> None:
    """Render every missing shard; combinations that are held out never appear."""
    run.phantoms.mkdir(parents=True, exist_ok=True)
    missing = [
        (run.phantoms / name, start, count)
        for name, start, count in _plan(config)
        if not (run.phantoms / f"{name}.json").exists()
    ]
    with ProcessPoolExecutor(processes) as pool:
        for done, _ in enumerate(pool.map(_render_shard, missing), 1):
            if done % 8 == 0 or done == len(missing):
                log_event(run.log, "phantoms", shards_done=done, shards=len(missing))


def family(seed: int) -> list[LesionAttributes]:
    """The siblings of a seed: they differ in asymmetry (even seeds) or border (odd seeds) alone.

    None of them is among the combinations that are held out.
    """
    axis, values = AXES[seed % 2]
    rng = np.random.default_rng(seed)
    while True:
        lesion = sample_split(rng, held_out=False)
        siblings = [lesion.model_copy(update={axis: value}) for value in values]
        if not any(is_held_out(sibling) for sibling in siblings):
            return siblings


def load_images(path: Path) -> NDArray[np.uint8]:
    """The pictures (N, 128, 128, 3) of a shard, memory-mapped."""
    images: NDArray[np.uint8] = np.load(path.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
    return images


def load_truths(path: Path) -> list[LesionAttributes]:
    """What is exactly true of each phantom of a shard of siblings."""
    return [LesionAttributes.model_validate(row) for row in json.loads(path.read_text())]


def load_between(run: RunFolder) -> list[Between]:
    """What is true of every phantom between two siblings, in order."""
    return [
        Between(LesionAttributes.model_validate(row["truth"]), row["axis"], tuple(row["shares"]))
        for path in shards(run, BETWEEN)
        for row in json.loads(path.read_text())
    ]


def shards(run: RunFolder, split: str) -> Iterator[Path]:
    """Manifests of the finished shards of `training`, `validation` or `between`, in order."""
    yield from sorted(run.phantoms.glob(f"{split}-*.json"))


def _plan(config: StarterConfig) -> Iterator[tuple[str, int, int]]:
    splits = (
        ("validation", config.validation_phantoms, VALIDATION_SEEDS, SIBLINGS),
        ("training", config.phantoms, TRAINING_SEEDS, SIBLINGS),
        (BETWEEN, config.between_phantoms, BETWEEN_SEEDS, 1),
    )
    for split, phantoms, first_seed, of_a_seed in splits:
        for start in range(0, phantoms, SHARD):
            count = min(SHARD, phantoms - start)
            yield f"{split}-{start:06d}", first_seed + start // of_a_seed, count


def _render_shard(task: tuple[Path, int, int]) -> None:
    stem, first_seed, count = task
    images = np.empty((count, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    rows: list[dict[str, object]] = []
    draw = _draw_between if stem.name.startswith(BETWEEN) else _draw_sibling
    for index in range(count):
        phantom, row = draw(first_seed, index)
        images[index] = phantom.image
        rows.append(row)
    with stem.with_suffix(".npy").open("wb") as file:
        np.save(file, images, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    aside = stem.with_suffix(".aside")
    aside.write_text(json.dumps(rows))
    aside.replace(stem.with_suffix(".json"))


def _draw_sibling(first_seed: int, index: int) -> tuple[Phantom, dict[str, object]]:
    seed = first_seed + index // SIBLINGS
    phantom = render(family(seed)[index % SIBLINGS], size=IMAGE_SIZE, seed=seed)
    return phantom, phantom.truth.model_dump(mode="json")


def _draw_between(first_seed: int, index: int) -> tuple[Phantom, dict[str, object]]:
    seed = first_seed + index
    siblings, rng = family(seed), np.random.default_rng([seed, SIBLINGS])
    one, other = PAIRS[int(rng.choice(len(PAIRS), p=PAIR_SHARE))]
    share = float(rng.random())
    phantom = render_between(siblings[one], siblings[other], share, size=IMAGE_SIZE, seed=seed)
    shares = [0.0] * SIBLINGS
    shares[one], shares[other] = 1 - share, share
    truth = phantom.truth.model_dump(mode="json")
    return phantom, {"truth": truth, "axis": AXES[seed % 2][0], "shares": shares}
