"""From the number of a batch to what goes through the denoiser."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.finetuning.buckets import Bucket
from backend.finetuning.config import TrainingConfig
from backend.finetuning.pairs import Pair
from training.lora.latents import LatentStore, content_of
from training.lora.objective import Objective, Text
from training.lora.order import Draw, Order, draw
from training.lora.texts import EMPTY, TextSource

AHEAD = 256
"""Batches whose captions are encoded at once, where memory allows."""


@dataclass(frozen=True)
class Batch:
    """One process's part of a batch; scaled latents and noise (B, C, h, w), levels (B,)."""

    bucket: Bucket
    clean: Tensor
    noise: Tensor
    levels: Tensor
    captions: tuple[str, ...]


class Batches:
    """This process's parts of the batches, `config.batch` images each."""

    def __init__(
        self,
        config: TrainingConfig,
        pairs: Sequence[Pair],
        order: Order,
        latents: LatentStore,
        objective: Objective,
        *,
        process: int,
    ) -> None:
        self._config = config
        self._pairs = pairs
        self._order = order
        self._latents = latents
        self._objective = objective
        self._distinct = len({pair.caption for pair in pairs})
        self._part = slice(process * config.batch, (process + 1) * config.batch)

    def batch(self, number: int) -> Batch:
        """The part of batch `number`: the same pixels, captions and noise every time.

        Raises:
            FinetuningError: the cache lacks an image.
        """
        bucket, places = self._order.batch(number)
        clean, draws, captions = [], [], []
        for item in range(*self._part.indices(len(places))):
            pair = self._pairs[places[item]]
            mean, spread = self._latents.fetch(bucket, content_of(pair, flipped=False))
            one = self._draw(number, item, mean.shape, pair.lowest_noise)
            if one.flipped:
                mean, spread = self._latents.fetch(bucket, content_of(pair, flipped=True))
            clean.append(mean + spread * one.sample)
            draws.append(one)
            captions.append(EMPTY if one.dropped else pair.caption)
        return Batch(
            bucket=bucket,
            clean=self._objective.scaled(torch.stack(clean)),
            noise=torch.stack([one.noise for one in draws]),
            levels=self._objective.levels(draws, bucket.tokens),
            captions=tuple(captions),
        )

    def pairs_of(self, number: int) -> tuple[Bucket, list[Pair]]:
        """The bucket of batch `number` and this process's pairs in it."""
        bucket, places = self._order.batch(number)
        return bucket, [self._pairs[place] for place in places[self._part]]

    def captions(self, first: int, count: int) -> Iterator[str]:
        """What batches from `first` on need, dropped or not, in their order."""
        for number in range(first, first + count):
            for pair in self.pairs_of(number)[1]:
                yield pair.caption

    def prepare_texts(self, texts: TextSource, number: int, last: int, **report: object) -> None:
        """Encode the captions of the batches from `number` on, never after batch `last`."""
        at_once = max(1, (texts.capacity - 1) // self._config.batch)
        count = min(last - number, max(AHEAD, at_once))
        wanted: dict[str, None] = {}
        for caption in self.captions(number, count):
            wanted[caption] = None
            if len(wanted) >= min(texts.capacity - 1, self._distinct):
                break
        texts.prepare(wanted, **report)  # type: ignore[arg-type]

    def _draw(self, number: int, item: int, shape: Sequence[int], lowest: float) -> Draw:
        return draw(
            self._config.seed,
            number,
            item,
            shape,
            dropout=self._config.caption_dropout,
            flip=self._config.flip,
            lowest=lowest,
        )


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor where the denoiser is. For a GPU by way of pinned memory: only from there is it
    copied while the GPU computes and the CPU goes on."""
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def on_device(text: Text, device: torch.device) -> Text:
    """Encoded captions where the denoiser is."""
    pooled = None if text.pooled is None else moved(text.pooled, device)
    return Text(moved(text.states, device), pooled)
