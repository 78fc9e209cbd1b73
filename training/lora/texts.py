"""Captions encoded ahead of the steps that need them: each once, and never too many at a time."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from backend.generation.lora.layouts import Family
from training.lora.base import Base
from training.lora.memory import free_memory, release
from training.lora.objective import Text

HELD_BYTES = 2 * 2**30
"""Of encoded captions held in memory."""
AT_ONCE_ON_GPU = 8
ENCODING_BYTES = 1_500_000_000
"""What encoding takes on a GPU beside the encoders themselves."""
EMPTY = ""
"""What a dropped caption is."""


class TextSource:
    """Encodings by the caption's own words, so that an edited caption is a new one.

    `length` is T5's in tokens. When there are more captions than fit, those not needed soon go.
    The encoders leave a GPU after each use unless `stay` is set.
    """

    stay = False

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
        self._encode(missing, report)
        if EMPTY not in self._held:
            self._encode([EMPTY])

    def batch(self, captions: Sequence[str]) -> Text:
        """Encodings of captions that were prepared, or are encoded now."""
        missing = [caption for caption in dict.fromkeys(captions) if caption not in self._held]
        self._encode(missing)
        found = [self._held[caption] for caption in captions]
        pooled = [one for _, one in found if one is not None]
        states = torch.stack([one for one, _ in found])
        return Text(states, torch.stack(pooled) if pooled else None)

    @torch.no_grad()
    def _encode(
        self, captions: Sequence[str], report: Callable[[int, int], None] | None = None
    ) -> None:
        if not captions:
            return
        with encoders_ready(self._base, stay=self.stay) as device:
            at_once = 1 if device.type == "cpu" else AT_ONCE_ON_GPU
            for first in range(0, len(captions), at_once):
                part = captions[first : first + at_once]
                states, pooled = encode_captions(self._base, part, self._length, device)
                for place, caption in enumerate(part):
                    one = None if pooled is None else pooled[place].clone()
                    self._held[caption] = (states[place].clone(), one)
                if report is not None:
                    report(first + len(part), len(captions))


@contextmanager
def encoders_ready(base: Base, *, stay: bool) -> Iterator[torch.device]:
    """The text encoders on the GPU, or on the CPU where there is none or no room beside what is
    there already; afterwards in main memory unless they may stay."""
    device = base.compute.device
    if device.type == "cpu":
        yield device
        return
    encoders: list[Any] = list(base.text_encoders)
    away = [one for one in encoders if one.device.type == "cpu"]
    if bytes_of(away) + ENCODING_BYTES > free_memory(device):
        for one in encoders:
            one.to("cpu")
        yield torch.device("cpu")
        return
    for one in away:
        one.to(device)
    try:
        yield device
    finally:
        if not stay:
            for one in base.text_encoders:
                one.to("cpu")
            release(device)


def bytes_of(modules: Iterable[torch.nn.Module]) -> int:
    """Of all parameters."""
    return sum(one.nbytes for module in modules for one in module.parameters())


def encode_captions(
    base: Base, captions: Sequence[str], length: int, device: torch.device
) -> tuple[Tensor, Tensor | None]:
    """Captions in main memory as the base's own pipeline encodes them: T5 without a mask. `device`
    is where the encoders are."""
    pipeline: Any = base.pipeline
    if base.entry.family is Family.FLUX:
        states, pooled, _ = pipeline.encode_prompt(
            prompt=list(captions), prompt_2=None, device=device, max_sequence_length=length
        )
        return states.cpu(), pooled.cpu()
    states, _ = pipeline.encode_prompt(list(captions), device, 1, False)
    return states.cpu(), None
