"""Which images a step sees, and which random numbers: from the number of the step alone.

A run that was stopped, or that is divided among more processes, goes through the same sequence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.finetuning.buckets import Bucket

_ORDER, _MIX, _ITEM, _VALIDATION = 1, 2, 3, 4


@dataclass(frozen=True)
class Draw:
    """The random numbers of one image in one step; all fp32.

    sample and noise (C, h, w) standard normal; level standard normal, or uniform in 0..1 for
    families that draw timesteps evenly; dropped, flipped: yes or no; lowest: of the noise levels in
    0..1 that the image may be learnt at.
    """

    sample: Tensor
    noise: Tensor
    normal: float
    uniform: float
    dropped: bool
    flipped: bool
    lowest: float = 0.0


class Order:
    """The endless sequence of batches, each of one bucket and of `size` images.

    Every bucket is an endless stream, one permutation of its images after the other, cut into
    batches; an epoch takes the batches that begin in it, in an order drawn anew. So every image
    counts the same in the long run, and a bucket with one image works as any other.
    """

    def __init__(self, buckets: Mapping[Bucket, Sequence[int]], size: int, seed: int) -> None:
        self._buckets = [(bucket, np.asarray(places)) for bucket, places in buckets.items()]
        self.size = size
        self.seed = seed
        self._first = [0]
        self._permutation = lru_cache(maxsize=4 * len(self._buckets))(self._permuted)
        self._epoch = lru_cache(maxsize=2)(self._mixed)

    def batch(self, number: int) -> tuple[Bucket, list[int]]:
        """The bucket of a batch and the places of its images."""
        epoch = 0
        while self._starts(epoch + 1) <= number:
            epoch += 1
        which, chunk = self._epoch(epoch)[number - self._starts(epoch)]
        bucket, places = self._buckets[which]
        stream = range(chunk * self.size, (chunk + 1) * self.size)
        return bucket, [self._at(which, len(places), position) for position in stream]

    def _starts(self, epoch: int) -> int:
        """How many batches there are before an epoch."""
        while len(self._first) <= epoch:
            done = len(self._first)
            self._first.append(
                sum(-(-done * len(places) // self.size) for _, places in self._buckets)
            )
        return self._first[epoch]

    def _mixed(self, epoch: int) -> list[tuple[int, int]]:
        """The batches of an epoch: number of the bucket, number of the batch in its stream."""
        chunks = [
            (which, chunk)
            for which, (_, places) in enumerate(self._buckets)
            for chunk in range(
                -(-epoch * len(places) // self.size), -(-(epoch + 1) * len(places) // self.size)
            )
        ]
        order = np.random.default_rng([self.seed, _MIX, epoch]).permutation(len(chunks))
        return [chunks[place] for place in order.tolist()]

    def _at(self, which: int, count: int, position: int) -> int:
        round_, place = divmod(position, count)
        return int(self._permutation(which, round_)[place])

    def _permuted(self, which: int, round_: int) -> NDArray[np.int64]:
        places = self._buckets[which][1]
        rng = np.random.default_rng([self.seed, _ORDER, which, round_])
        return np.asarray(places[rng.permutation(len(places))])


def draw(
    seed: int,
    batch: int,
    item: int,
    shape: Sequence[int],
    *,
    dropout: float,
    flip: bool,
    lowest: float = 0.0,
) -> Draw:
    """The random numbers of image `item` of a batch, counted over all processes."""
    generator = _generator(seed, _ITEM, batch, item)
    sample, noise = torch.randn((2, *shape), generator=generator)
    normal = torch.randn((), generator=generator)
    uniform, dropped, flipped = torch.rand(3, generator=generator).tolist()
    return Draw(
        sample,
        noise,
        float(normal),
        uniform,
        dropped=dropped < dropout,
        flipped=flip and flipped < 0.5,
        lowest=lowest,
    )


def validation_noise(content: str, shape: Sequence[int]) -> Tensor:
    """Noise (C, h, w) that belongs to an image by its content, whatever the run."""
    return torch.randn(tuple(shape), generator=_generator(int(content[:16], 16), _VALIDATION))


def _generator(*key: int) -> torch.Generator:
    state = np.random.SeedSequence(key).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]))
