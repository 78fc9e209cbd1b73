"""The states that a job can be in."""

from enum import StrEnum


class JobState(StrEnum):
    """Queued and running are open; the other four are ended."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to the job by itself."""
        return self not in OPEN

    @property
    def can_retry(self) -> bool:
        """Whether the job ended before its work did."""
        return self in (JobState.FAILED, JobState.CANCELLED, JobState.INTERRUPTED)


OPEN = (JobState.QUEUED, JobState.RUNNING)
