"""The rows of a cell as one memory-mapped whole, and the batches of an epoch."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.evaluation.cells import Rows
from backend.evaluation.errors import EvaluationError
from backend.evaluation.pools import read_pool


@dataclass(frozen=True)
class Examples:
    """`pixels` uint8 (N, side, side, 3), `labels` (N,) 1 for malignant."""

    image_ids: tuple[str, ...]
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.image_ids)


def load_examples(parts: tuple[Rows, ...], side: int) -> Examples:
    """The pictures of some rows of pools, in their order.

    Raises:
        EvaluationError: a pool is gone, or holds other pictures than when the cell was planned.
    """
    ids: list[str] = []
    labels: list[int] = []
    pixels = [np.empty((0, side, side, 3), np.uint8)]
    for part in parts:
        pool = read_pool(part.pool)
        if pool.digest != part.digest or pool.side != side:
            raise EvaluationError(
                "The images of this cell are no longer those that it was planned with: run the "
                "experiment once more."
            )
        pixels.append(pool.pixels()[list(part.indices)])
        ids += [pool.image_ids[index] for index in part.indices]
        labels += [pool.labels[index] for index in part.indices]
    return Examples(tuple(ids), np.concatenate(pixels), np.asarray(labels, np.int64))


def epoch_batches(
    examples: Examples, batch_size: int, *, seed: int, epoch: int, flips: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """Shuffled batches of pixels and labels; the same for the same seed and epoch.

    A last batch of one image is left out: batch statistics need two.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(examples))
    for first in range(0, len(order), batch_size):
        rows = order[first : first + batch_size]
        if len(rows) < 2 <= len(order):
            return
        pixels = examples.pixels[rows]
        if flips:
            pixels = _flipped(pixels, rng)
        yield torch.from_numpy(pixels), torch.from_numpy(examples.labels[rows])


def steps_per_epoch(images: int, batch_size: int) -> int:
    """How many batches `epoch_batches` gives."""
    whole, rest = divmod(images, batch_size)
    return whole + (rest > 1 or whole == 0)


def _flipped(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Each picture mirrored at random along both axes: a lesion has no up and no left."""
    flipped = pixels.copy()
    for axis, chosen in ((1, rng.random(len(pixels)) < 0.5), (2, rng.random(len(pixels)) < 0.5)):
        flipped[chosen] = np.flip(flipped[chosen], axis)
    return flipped
