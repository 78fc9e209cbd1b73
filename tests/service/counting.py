"""A worker that counts, for tests that need long work without a model.

Run as a program it is a real worker process; each step leaves a file, and steps that have one
are not done again.
"""

import os
import time
from pathlib import Path
from typing import Any

from backend.errors import DermaFluxError
from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState
from backend.jobs.worker import run_worker
from backend.logs import configure_logging
from backend.settings import load_settings


class CountingError(DermaFluxError):
    """A number that cannot be counted to."""


def count(context: JobContext, payload: dict[str, Any], warm: WarmState) -> None:
    """`steps` files in the image folder, `pause` seconds each, whole or not there."""
    steps, pause = payload["steps"], payload.get("pause", 0.0)
    if steps < 0:
        raise CountingError("Counting to a negative number is not possible: choose 0 or more.")
    warm.get("counter", lambda: context.job.id)
    context.log(f"counting to {steps}")
    for step in range(steps):
        context.check_cancelled()
        file = context.settings.images_dir / f"{context.job.id}-{step:04d}.txt"
        if not file.exists():
            _write_slowly(file, pause)
        context.progress(step + 1, steps, f"step {step + 1} of {steps}")


def fail(context: JobContext, payload: dict[str, Any], warm: WarmState) -> None:
    """Raises what the payload names, with a caption in its message."""
    context.attempting = "4 images of 2048 x 2048 px"
    context.remedy = payload.get("remedy", "")
    warm.get("counter", lambda: context.job.id)
    if payload["error"] == "disk":
        raise OSError(payload["message"], os.strerror(payload["message"]))
    errors = {"memory": MemoryError, "bug": KeyError, "torch": RuntimeError}
    raise errors[payload["error"]](payload["message"])


HANDLERS = {"count": count, "fail": fail}


def _write_slowly(file: Path, pause: float) -> None:
    temporary = file.with_name(f"{file.name}.partial")
    temporary.write_text(f"{time.time()}\n")
    time.sleep(pause)
    temporary.replace(file)


if __name__ == "__main__":
    settings = load_settings()
    configure_logging(settings, "worker")
    run_worker(settings, handlers=HANDLERS)
