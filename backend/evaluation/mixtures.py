"""Balanced draws of real and synthetic images, the smaller ones part of the larger."""

import numpy as np

from backend.evaluation.errors import EvaluationError
from backend.evaluation.pools import Pool

REAL, SYNTHETIC = 0, 1


def draw_balanced(
    pool: Pool, count: int, seed: int, *, among: frozenset[int] | None = None, what: str = "real"
) -> tuple[int, ...]:
    """`count` rows of a pool, half of each label, in ascending order.

    The same pool, seed and `among` give draws that grow: what is in a draw is in every larger one,
    as the paper adds images to a fixed set.

    Raises:
        EvaluationError: a label has too few images, or half an image is asked for.
    """
    if count % 2:
        raise EvaluationError(
            f"{count} {what} images cannot be half benign and half malignant: ask for an even "
            "number."
        )
    chosen: list[int] = []
    for label in (0, 1):
        rows = [
            index
            for index, value in enumerate(pool.labels)
            if value == label and (among is None or index in among)
        ]
        if len(rows) < count // 2:
            name = "malignant" if label else "benign"
            raise EvaluationError(
                f"Only {len(rows):,} {name} {what} images are there, not {count // 2:,}: lower "
                "the size or the ratio, or add images."
            )
        order = np.random.default_rng([seed, label, what == "synthetic"]).permutation(len(rows))
        chosen += [rows[index] for index in order[: count // 2]]
    return tuple(sorted(chosen))


def synthetic_count(real: int, ratio: float) -> int:
    """How many synthetic images 1:ratio adds to so many real ones, an even number."""
    return 2 * round(real * ratio / 2)
