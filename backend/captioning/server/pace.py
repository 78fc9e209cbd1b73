"""When the next request may go: so many a minute, none while the server asks for a pause."""

import random
import threading
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_PAUSE_S = 600.0
MAX_BACKOFF_S = 60.0


class Pace:
    """Guards the moment of the next request for all threads that ask one server.

    `ended` is set where nobody waits any more.
    """

    def __init__(self, requests_per_minute: float | None, ended: threading.Event) -> None:
        self.ended = ended
        self._apart = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._lock = threading.Lock()
        self._next = 0.0
        self._paused_until = 0.0

    def wait(self) -> bool:
        """Wait for a turn; False where all has ended."""
        while not self.ended.is_set():
            with self._lock:
                moment = time.monotonic()
                left = max(self._next, self._paused_until) - moment
                if left <= 0:
                    self._next = moment + self._apart
                    return True
            self.ended.wait(left)
        return False

    def pause(self, seconds: float) -> None:
        """Nobody asks for so long."""
        with self._lock:
            until = time.monotonic() + min(seconds, MAX_PAUSE_S)
            self._paused_until = max(self._paused_until, until)


def backoff(attempt: int, first_s: float) -> float:
    """The wait after failure `attempt` (0-based): doubled each time, and between half and all of
    that, so that many who failed together do not come back together."""
    whole = min(MAX_BACKOFF_S, first_s * 2.0**attempt)
    return whole * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def retry_after(header: str | None) -> float | None:
    """What a Retry-After asks for in seconds, given so or as a date (RFC 9110, 10.2.3)."""
    if header is None:
        return None
    text = header.strip()
    if text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
