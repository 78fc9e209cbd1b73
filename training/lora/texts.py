"""Captions encoded ahead of the steps that need them: each once, and never too many at a time."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from backend.generation.lora.layouts import Family
from training.lora.base import Base
from training.lora.objective import Text

HELD_BYTES = 2 * 2**30
"""Of encoded captions held in memory."""
AT_ONCE_ON_GPU = 32
EMPTY = ""
"""What a dropped caption is."""


class TextSource:
    """Encodings by the caption's own words, so that an edited caption is a new one.

    `length` is T5's in tokens. When there are more captions than fit, those not needed soon go.
    """

    def __init__(self, base: Base, length: int, *, held_bytes: int = HELD_BYTES) -> None:
        self._base = base
        self._length = length
        self._held: OrderedDict[str, tuple[Tensor, Tensor | None]] = OrderedDict()
        self._held_bytes = held_bytes
        self._encode([EMPTY])
        states, pooled = self._held[EMPTY]
        one = states.nbytes + (pooled.nbytes if pooled is not None else 0)
        self.capacity = max(2, held_bytes // one)

    def ready(self, captions: Iterable[str]) -> bool:
        """Whether all of them are encoded."""
        return all(caption in self._held for caption in captions)

    def prepare(
        self, captions: Iterable[str], report: Callable[[int, int], None] | None = None
    ) -> None:
        """Encode what is needed soon, in the order in which it is needed; drop what is not.

        Of more than fit, the first are encoded.
        """
        wanted = list(dict.fromkeys(captions))[: self.capacity - 1]
        for caption in (*reversed(wanted), EMPTY):
            if caption in self._held:
                self._held.move_to_end(caption)
        missing = [caption for caption in wanted if caption not in self._held]
        while self._held and len(self._held) + len(missing) > self.capacity:
            oldest = next(iter(self._held))
            del self._held[oldest]
        at_once = 1 if self._base.compute.device.type == "cpu" else AT_ONCE_ON_GPU
        for first in range(0, len(missing), at_once):
            self._encode(missing[first : first + at_once])
            if report is not None:
                report(min(first + at_once, len(missing)), len(missing))
        if EMPTY not in self._held:
            self._encode([EMPTY])

    def batch(self, captions: Sequence[str]) -> Text:
        """Encodings of captions that were prepared, or are encoded now."""
        missing = [caption for caption in dict.fromkeys(captions) if caption not in self._held]
        for caption in missing:
            self._encode([caption])
        found = [self._held[caption] for caption in captions]
        pooled = [one for _, one in found if one is not None]
        states = torch.stack([one for one, _ in found])
        return Text(states, torch.stack(pooled) if pooled else None)

    @torch.no_grad()
    def _encode(self, captions: Sequence[str]) -> None:
        states, pooled = encode_captions(self._base, captions, self._length)
        for place, caption in enumerate(captions):
            one = None if pooled is None else pooled[place].clone()
            self._held[caption] = (states[place].clone(), one)


def encode_captions(
    base: Base, captions: Sequence[str], length: int
) -> tuple[Tensor, Tensor | None]:
    """Captions in main memory as the base's own pipeline encodes them: T5 without a mask."""
    pipeline: Any = base.pipeline
    device = base.compute.device
    if base.entry.family is Family.FLUX:
        states, pooled, _ = pipeline.encode_prompt(
            prompt=list(captions), prompt_2=None, device=device, max_sequence_length=length
        )
        return states.cpu(), pooled.cpu()
    states, _ = pipeline.encode_prompt(list(captions), device, 1, False)
    return states.cpu(), None
