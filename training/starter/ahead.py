"""What a step needs of captions, made by other processes while the device computes.

A wording, its grammar and its tokens cost a processor half a millisecond a caption: too long for a
GPU to wait for, and nothing that it could do itself.
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

from torch.utils.data import DataLoader, Dataset

PER_WORKER = 4
Made = TypeVar("Made")


class _Steps(Dataset[Made]):
    def __init__(self, make: Callable[[int], Made], steps: range) -> None:
        self._make, self._steps = make, steps

    def __len__(self) -> int:
        return len(self._steps)

    def __getitem__(self, place: int) -> Made:
        return self._make(self._steps[place])


def made_ahead(make: Callable[[int], Made], steps: range, workers: int) -> Iterator[Made]:
    """`make(step)` for every step in order; without workers each is made when it is asked for."""
    if not workers:
        yield from map(make, steps)
        return
    yield from DataLoader(
        _Steps(make, steps),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=PER_WORKER,
        collate_fn=_unchanged,
        multiprocessing_context="fork",
    )


def _unchanged(made: Made) -> Made:
    return made
