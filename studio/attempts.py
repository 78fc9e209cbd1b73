"""Wrong passwords, counted, so that guessing is slow."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable

WINDOW_S = 5 * 60
MOST_KEYS = 10_000


class WrongPasswords:
    """Counts failures of the last WINDOW_S by key: an address, or an address and a name."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: dict[Hashable, deque[float]] = {}

    def count(self, key: Hashable) -> None:
        """Remember one more failure of `key`."""
        with self._lock:
            self._forget_old()
            self._failures.setdefault(key, deque()).append(self._clock())

    def wait_s(self, key: Hashable, allowed: int) -> int:
        """Whole seconds until `key` may try again; 0 while it had fewer than `allowed` failures."""
        with self._lock:
            self._forget_old()
            failures = self._failures.get(key, deque())
            if len(failures) < allowed:
                return 0
            return max(1, math.ceil(failures[-allowed] + WINDOW_S - self._clock()))

    def forget(self, key: Hashable) -> None:
        """Clear `key` after a right password."""
        with self._lock:
            self._failures.pop(key, None)

    def _forget_old(self) -> None:
        """Drop what is past the window, and the oldest keys where a flood made too many."""
        horizon = self._clock() - WINDOW_S
        for key, failures in list(self._failures.items()):
            while failures and failures[0] <= horizon:
                failures.popleft()
            if not failures:
                del self._failures[key]
        while len(self._failures) > MOST_KEYS:
            del self._failures[next(iter(self._failures))]
