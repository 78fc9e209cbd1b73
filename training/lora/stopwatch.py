"""How long each part of a step takes, without making a GPU wait."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


class Stopwatch:
    """Seconds by part; on a GPU by events on its own stream, read when everything is done."""

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._seconds: dict[str, float] = defaultdict(float)
        self._events: list[tuple[str, Any, Any]] = []

    @contextmanager
    def part(self, name: str, *, on_host: bool = False) -> Iterator[None]:
        """Time the block as a part; `on_host` is work of the CPU whatever the device."""
        if self._on_gpu and not on_host:
            before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            before.record()
            yield
            after.record()
            self._events.append((name, before, after))
            return
        start = time.perf_counter()
        yield
        self._seconds[name] += time.perf_counter() - start

    def read(self) -> dict[str, float]:
        """Seconds since the last reading, by part."""
        for name, before, after in self._events:
            after.synchronize()
            self._seconds[name] += before.elapsed_time(after) / 1_000
        found = {name: round(value, 4) for name, value in self._seconds.items()}
        self._events.clear()
        self._seconds.clear()
        return found
